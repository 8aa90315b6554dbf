"""Engineered tables and named queries."""

from workbench.transform.definition import Transform, find_transform, transforms
from workbench.transform.query import Query, define_query, find_query
from workbench.transform.refresh import create_transform

__all__ = [
    "Query",
    "Transform",
    "create_transform",
    "define_query",
    "find_query",
    "find_transform",
    "transforms",
]
