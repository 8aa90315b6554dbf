"""Engineered tables and named queries."""

from workbench.transform.create import create_transform, redefine
from workbench.transform.definition import Transform, find_transform, transforms
from workbench.transform.query import Query, define_query, find_query

__all__ = [
    "Query",
    "Transform",
    "create_transform",
    "define_query",
    "find_query",
    "find_transform",
    "redefine",
    "transforms",
]
