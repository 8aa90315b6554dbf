"""The tables of the store's own records: their columns, and the version of their format."""

from __future__ import annotations

from collections.abc import Iterable

from workbench.names import quote

FORMAT_VERSION = 1

# JSON values are VARCHAR in the lake, so that every reader of Parquet understands them.
SPEC: dict[str, dict[str, str]] = {
    "store": {"format_version": "BIGINT", "made_by": "VARCHAR", "made_at": "TIMESTAMPTZ"},
    "tables": {"schema": "VARCHAR", "name": "VARCHAR", "key": "JSON", "auto": "BOOLEAN", "next_id": "BIGINT"},
    "definitions": {
        "kind": "VARCHAR",
        "name": "VARCHAR",
        "version": "BIGINT",
        "fingerprint": "VARCHAR",
        "definition": "JSON",
        "status": "VARCHAR",
        "recorded_at": "TIMESTAMPTZ",
    },
    "runs": {
        "id": "VARCHAR",
        "name": "VARCHAR",
        "kind": "VARCHAR",
        "mode": "VARCHAR",
        "reason": "VARCHAR",
        "inputs": "JSON",
        "rows_read": "BIGINT",
        "rows_written": "BIGINT",
        "rows_deleted": "BIGINT",
        "seconds": "DOUBLE",
        "status": "VARCHAR",
        "error": "VARCHAR",
        "details": "JSON",
        "started_at": "TIMESTAMPTZ",
    },
    "watermarks": {"derivation": "VARCHAR", "input": "VARCHAR", "snapshot": "BIGINT"},
    "fitted": {
        "name": "VARCHAR",
        "version": "BIGINT",
        "step": "VARCHAR",
        "call": "VARCHAR",
        "statistic": "VARCHAR",
        "position": "BIGINT",
        "number": "DOUBLE",
        "text": "VARCHAR",
        "snapshot": "BIGINT",
    },
    "models": {
        "name": "VARCHAR",
        "version": "BIGINT",
        "task": "VARCHAR",
        "algorithm": "VARCHAR",
        "label": "VARCHAR",
        "features": "JSON",
        "query": "VARCHAR",
        "inputs": "JSON",
        "snapshot": "BIGINT",
        "digest": "VARCHAR",
        "rows": "BIGINT",
        "split": "JSON",
        "params": "JSON",
        "metrics": "JSON",
        "classes": "JSON",
        "seed": "BIGINT",
        "mlflow_run_id": "VARCHAR",
        "model_uri": "VARCHAR",
        "fingerprint": "VARCHAR",
        "seconds": "DOUBLE",
        "trained_at": "TIMESTAMPTZ",
    },
    "trials": {
        "name": "VARCHAR",
        "version": "BIGINT",
        "trial": "BIGINT",
        "algorithm": "VARCHAR",
        "params": "JSON",
        "metric": "VARCHAR",
        "value": "DOUBLE",
        "spread": "DOUBLE",
        "folds": "BIGINT",
        "rows": "BIGINT",
        "seconds": "DOUBLE",
        "status": "VARCHAR",
        "error": "VARCHAR",
        "clauses": "VARCHAR",
        "problem": "VARCHAR",
        "digest": "VARCHAR",
    },
    "deployments": {
        "model": "VARCHAR",
        "version": "BIGINT",
        "previous": "BIGINT",
        "reason": "VARCHAR",
        "deployed_at": "TIMESTAMPTZ",
    },
    "importance": {
        "model": "VARCHAR",
        "version": "BIGINT",
        "feature": "VARCHAR",
        "metric": "VARCHAR",
        "permutation": "DOUBLE",
        "permutation_sd": "DOUBLE",
        "rows": "BIGINT",
        "shap": "DOUBLE",
        "shap_rows": "BIGINT",
    },
    "slices": {
        "model": "VARCHAR",
        "version": "BIGINT",
        "segment": "VARCHAR",
        "rows": "BIGINT",
        "of_rows": "BIGINT",
        "metric": "VARCHAR",
        "value": "DOUBLE",
        "rest": "DOUBLE",
        "loss": "VARCHAR",
        "difference": "DOUBLE",
        "low": "DOUBLE",
        "high": "DOUBLE",
    },
    "confusion": {
        "model": "VARCHAR",
        "version": "BIGINT",
        "actual": "VARCHAR",
        "predicted": "VARCHAR",
        "rows": "BIGINT",
    },
    "curves": {
        "model": "VARCHAR",
        "version": "BIGINT",
        "curve": "VARCHAR",
        "series": "VARCHAR",
        "position": "BIGINT",
        "x": "DOUBLE",
        "y": "DOUBLE",
        "threshold": "DOUBLE",
        "rows": "BIGINT",
    },
    "decisions": {
        "model": "VARCHAR",
        "version": "BIGINT",
        "deployed": "BOOLEAN",
        "gate": "VARCHAR",
        "champion": "BIGINT",
        "rows": "BIGINT",
        "conditions": "JSON",
        "reason": "VARCHAR",
        "decided_at": "TIMESTAMPTZ",
    },
    "requests": {
        "id": "VARCHAR",
        "binding": "VARCHAR",
        "model": "VARCHAR",
        "asked": "JSON",
        "value": "VARCHAR",
        "score": "DOUBLE",
        "error": "VARCHAR",
        "milliseconds": "DOUBLE",
        "asked_at": "TIMESTAMPTZ",
    },
    "lineage": {
        "name": "VARCHAR",
        "version": "BIGINT",
        "output_column": "VARCHAR",
        "input": "VARCHAR",
        "input_column": "VARCHAR",
        "kind": "VARCHAR",
    },
}


def create_statements(tables: Iterable[str] = SPEC) -> list[str]:
    """Return the statements that make record tables."""
    return [
        f"CREATE TABLE lake.mlstore.{quote(table)} ("
        + ", ".join(
            f"{quote(column)} {'VARCHAR' if kind == 'JSON' else kind}" for column, kind in SPEC[table].items()
        )
        + ")"
        for table in tables
    ]
