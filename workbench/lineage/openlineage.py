"""Lineage as OpenLineage events (specification 2-0-2, https://openlineage.io/spec/2-0-2/OpenLineage.json)."""

from __future__ import annotations

from typing import Any

from workbench.lineage.graph import ANY, Edge, Lineage, Node

PRODUCER = "https://pypi.org/project/mlstore/"

_SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/{}"
_FACET = "https://openlineage.io/spec/facets/{0}/{1}.json#/$defs/{1}"

# The edge's kind → what OpenLineage calls such a dependency.
_TRANSFORMATIONS = {
    "value": {"type": "DIRECT", "subtype": "TRANSFORMATION"},
    "filter": {"type": "INDIRECT", "subtype": "FILTER"},
    "join": {"type": "INDIRECT", "subtype": "JOIN"},
    "group": {"type": "INDIRECT", "subtype": "GROUP_BY"},
}


def events(lineage: Lineage, namespace: str) -> list[dict[str, Any]]:
    """Return an event for each node of the graph; see `Lineage.to_openlineage`."""
    return [_event(node, lineage, namespace) for node in lineage.nodes]


def _event(node: Node, lineage: Lineage, namespace: str) -> dict[str, Any]:
    moment = node.defined_at or lineage.latest()
    base = {"eventTime": moment.isoformat(), "producer": PRODUCER}
    sources = [edge for edge in lineage.edges if edge.target == node.name]
    if not sources and not node.query:
        return {**base, "schemaURL": _SPEC.format("DatasetEvent"), "dataset": _dataset(node, namespace)}
    nodes = {each.name: each for each in lineage.nodes}
    output = _dataset(node, namespace)
    output["facets"]["columnLineage"] = _column_lineage(sources, namespace)
    return {
        **base,
        "schemaURL": _SPEC.format("JobEvent"),
        "job": {"namespace": namespace, "name": f"{node.kind}.{node.name}", "facets": _job_facets(node)},
        "inputs": [_dataset(nodes[edge.source], namespace) for edge in sources],
        "outputs": [output],
    }


def _dataset(node: Node, namespace: str) -> dict[str, Any]:
    fields = [{"name": column} for column in node.columns]
    facets = {"schema": _facet("1-1-1", "SchemaDatasetFacet", fields=fields)} if fields else {}
    return {"namespace": namespace, "name": node.name, "facets": facets}


def _job_facets(node: Node) -> dict[str, Any]:
    kind = _facet(
        "2-0-3", "JobTypeJobFacet", processingType="BATCH", integration="MLSTORE", jobType=node.kind.upper()
    )
    if not node.query:
        return {"jobType": kind}
    return {"jobType": kind, "sql": _facet("1-1-0", "SQLJobFacet", query=node.query, dialect="duckdb")}


def _column_lineage(sources: list[Edge], namespace: str) -> dict[str, Any]:
    """Return the columnLineage facet; what concerns all columns stands under `dataset`."""
    fields: dict[str, dict[str, Any]] = {}
    everywhere: list[dict[str, Any]] = []
    for edge in sources:
        for pair in edge.columns:
            field = {
                "namespace": namespace,
                "name": edge.source,
                "field": pair.source,
                "transformations": [_TRANSFORMATIONS[pair.kind]],
            }
            if pair.source == ANY:
                continue
            if pair.target == ANY:
                everywhere.append(field)
            else:
                fields.setdefault(pair.target, {"inputFields": []})["inputFields"].append(field)
    return _facet("1-2-0", "ColumnLineageDatasetFacet", fields=fields, dataset=everywhere)


def _facet(version: str, name: str, **content: object) -> dict[str, Any]:
    return {"_producer": PRODUCER, "_schemaURL": _FACET.format(version, name), **content}
