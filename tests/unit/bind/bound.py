"""Short ways to bind a function, and to read what it gave."""

from __future__ import annotations

from workbench.store import Store


def bind(store: Store, column: str = "p", function: str = "double", **more: object) -> None:
    """Bind a function of the module to a column of the table."""
    arguments = {"on": "t", "inputs": ["v"], "isolate": "none", **more}
    store.bind(column, model=f"py:test_models:{function}", **arguments)  # type: ignore[arg-type]


def column(store: Store, name: str, view: str = "t", order: str = "id") -> list[object]:
    """Read a column of a view of predictions."""
    return store.sql(f"SELECT {name} FROM predictions.{view} ORDER BY {order}").to_arrow()[name].to_pylist()
