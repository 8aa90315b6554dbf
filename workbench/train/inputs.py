"""Rows as a model learned them: their columns in its types, where nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.engines.casts import cast, fits, whole
from workbench.engines.duckdb import type_name
from workbench.errors import InvalidRows
from workbench.train.dataset import kind_of

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.train.dataset import ColumnSpec, FeatureSpec
    from workbench.train.preparation import Preparation

_LEARNED = {"number": "DOUBLE", "boolean": "BOOLEAN", "category": "VARCHAR", "timestamp": "TIMESTAMP"}


def typed(
    rows: pa.RecordBatch | pa.Table, features: FeatureSpec, preparation: Preparation | None, model: str
) -> pa.RecordBatch | pa.Table:
    """Convert the columns that are of another type than a model learned; all others stay as they are.

    Raises
    ------
    InvalidData
        If a column holds what can never be given for what the model learned.
    InvalidRows
        If some of its values cannot, or are lists of another length.
    """
    specs = {} if preparation else {each.name.lower(): each for each in features.columns}
    kinds = {name.lower(): kind for name, kind in preparation.types.items()} if preparation else {}
    for place, field in enumerate(rows.schema):
        spec = specs.get(field.name.lower())
        kind = kinds.get(field.name.lower()) if spec is None else _other(field.type, spec)
        if kind is not None and not fits(type_name(field.type), kind):
            made = cast(whole(rows.column(place)), kind, field.name, model)
            rows = rows.set_column(place, field.name, made)
        elif spec is not None and spec.kind == "list" and kind_of(field.type) == "list":
            _check_lengths(whole(rows.column(place)), spec, model)
    return rows


def _other(given: pa.DataType, spec: ColumnSpec) -> str | None:
    """Return the type that a column has to have; None if it can be read as it is, or never."""
    found = kind_of(given)
    if found == spec.kind or (found, spec.kind) == ("boolean", "number"):
        return None
    return _LEARNED.get(spec.kind)


def _check_lengths(lists: pa.Array, spec: ColumnSpec, model: str) -> None:
    import pyarrow.compute as pc

    lengths = pc.list_value_length(lists)
    places = pc.indices_nonzero(pc.not_equal(lengths, spec.length)).to_pylist()
    if places:
        found = lengths.take(places).to_pylist()
        bad = {
            place: f"{spec.name} has {length:,} elements, not {spec.length:,}"
            for place, length in zip(places, found, strict=True)
        }
        raise InvalidRows(
            f"The lists of {spec.name!r} have {found[0]:,} elements where {model} learned {spec.length:,}, "
            f"in {len(bad):,} of {len(lists):,} rows.",
            hint="Bring them to one length in the query of the table.",
            rows=bad,
        )
