"""How many rows tables have, from the catalog alone."""

from __future__ import annotations

from workbench.engines.duckdb import Cursor, execute
from workbench.names import METADATA


def row_counts(cursor: Cursor) -> dict[str, int]:
    """Count the rows of all tables, by qualified name; no data is read.

    Views have no rows of their own and are left out; so are the records, whose rows are inlined.
    """
    rows = execute(
        cursor,
        "SELECT s.schema_name || '.' || t.table_name, coalesce(f.rows, 0) - coalesce(d.rows, 0) "
        f"FROM {METADATA}.ducklake_table AS t JOIN {METADATA}.ducklake_schema AS s USING (schema_id) "
        "LEFT JOIN (SELECT table_id, sum(record_count)::BIGINT AS rows "
        f"FROM {METADATA}.ducklake_data_file WHERE end_snapshot IS NULL GROUP BY table_id) AS f "
        "USING (table_id) "
        "LEFT JOIN (SELECT table_id, sum(delete_count)::BIGINT AS rows "
        f"FROM {METADATA}.ducklake_delete_file WHERE end_snapshot IS NULL GROUP BY table_id) AS d "
        "USING (table_id) WHERE t.end_snapshot IS NULL AND s.schema_name <> 'mlstore'",
    ).fetchall()
    return {str(name): int(count) for name, count in rows}
