"""What a commit changed, as DuckLake writes it into its catalog."""

from __future__ import annotations

import re

# Entries that leave the rows of a table as they were.
UPKEEP = ("compacted_table", "flushed_inlined", "merge_adjacent", "rewrite_delete")

_ENTRY = re.compile(r'([a-z_]+):((?:"(?:[^"]|"")*"\.?)+|\d+)')


def entries(changes: str) -> list[tuple[str, str]]:
    """Split DuckLake's text of what a snapshot changed into kinds, and names or ids of tables.

    Examples
    --------
    >>> entries('created_table:"main"."t",inserted_into_table:2')
    [('created_table', 'main.t'), ('inserted_into_table', '2')]
    """
    return [(kind, value.replace('"', "")) for kind, value in _ENTRY.findall(changes)]
