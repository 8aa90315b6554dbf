"""What the service takes and gives, in OpenAPI: a path and schemas for each binding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.bind.endpoint import Endpoint


def describe(endpoints: dict[str, Endpoint], base: dict[str, Any]) -> dict[str, Any]:
    """Add the paths of the bindings to the description of the others."""
    paths = {f"/predict/{name}": _path(name, each) for name, each in endpoints.items()}
    schemas = {
        name: schema for key, each in endpoints.items() for name, schema in _schemas(key, each).items()
    }
    components = dict(base.get("components", {}))
    components["schemas"] = {**components.get("schemas", {}), **schemas, "Error": _ERROR}
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return {**base, "paths": {**base["paths"], **paths}, "components": components}


_ERROR = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
}


def _path(name: str, endpoint: Endpoint) -> dict[str, Any]:
    refused = {"content": {"application/json": {"schema": _link("Error")}}}
    return {
        "post": {
            "summary": f"Predict {endpoint.binding.column} of {endpoint.binding.table}",
            "operationId": f"predict_{name}",
            "security": [{"token": []}],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": _link(f"{name}_request")}},
            },
            "responses": {
                "200": {
                    "description": "One prediction for each row, in order; a row that failed says why.",
                    "content": {"application/json": {"schema": _link(f"{name}_response")}},
                },
                "401": {"description": "The token is missing or wrong.", **refused},
                "404": {"description": "There is no such binding.", **refused},
                "413": {"description": "The request is too long.", **refused},
                "422": {"description": "The request is no list of keys or rows.", **refused},
                "503": {"description": "The model cannot be asked.", **refused},
            },
        }
    }


def _schemas(name: str, endpoint: Endpoint) -> dict[str, Any]:
    row, key = _record(endpoint.inputs), _record(endpoint.key, null=False)
    if len(endpoint.key) == 1:
        key = {"oneOf": [_type(endpoint.key.field(0).type), key]}
    asked = {"keys": _list(_link(f"{name}_key")), "rows": _list(_link(f"{name}_row"))}
    prediction = {
        "type": "object",
        "required": ["value", "score", "error"],
        "properties": {
            "value": _or_null(_VALUES.get(endpoint.predictor.value_type, {})),
            "score": _or_null({"type": "number"}),
            "error": {"oneOf": [_link("Error"), {"type": "null"}]},
        },
    }
    return {
        f"{name}_key": key,
        f"{name}_row": row,
        f"{name}_request": {
            "oneOf": [
                {
                    "type": "object",
                    "required": [each],
                    "properties": {each: schema},
                    "additionalProperties": False,
                }
                for each, schema in asked.items()
            ]
        },
        f"{name}_prediction": prediction,
        f"{name}_response": {
            "type": "object",
            "required": ["model", "errors", "predictions"],
            "properties": {
                "model": {"type": "string", "examples": [endpoint.ref]},
                "errors": {"type": "integer"},
                "predictions": _list(_link(f"{name}_prediction")),
            },
        },
    }


_VALUES: dict[str, dict[str, Any]] = {
    "BOOLEAN": {"type": "boolean"},
    "BIGINT": {"type": "integer"},
    "DOUBLE": {"type": "number"},
    "VARCHAR": {"type": "string"},
}


def _record(schema: pa.Schema, *, null: bool = True) -> dict[str, Any]:
    return {
        "type": "object",
        "required": schema.names,
        "properties": {
            field.name: _or_null(_type(field.type)) if null else _type(field.type) for field in schema
        },
        "additionalProperties": False,
    }


def _type(kind: pa.DataType) -> dict[str, Any]:
    """Return the JSON schema of a column's type; of one that JSON has no word for, as it is written."""
    from pyarrow import types

    if types.is_boolean(kind):
        return {"type": "boolean"}
    if types.is_integer(kind):
        return {"type": "integer"}
    if types.is_floating(kind):
        return {"type": "number"}
    if types.is_timestamp(kind):
        # The format asks for a time zone, and a time without one has none.
        return {
            "type": "string",
            **({"format": "date-time"} if kind.tz else {"examples": ["2026-01-31T08:00:00"]}),
        }
    if types.is_date(kind):
        return {"type": "string", "format": "date"}
    if types.is_list(kind) or types.is_large_list(kind):
        return _list(_type(kind.value_type))
    if types.is_struct(kind):
        return {"type": "object"}
    return {"type": "string"}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]} if schema else {}


def _link(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
