"""The parts of a document that can still be checked, whatever is wrong with the others.

A misspelt retry policy must not hide a misspelt actor, nor a bad id the edges that name it. So
what lies behind the model is checked on this outline, which is drawn from the plain value and
leaves out only what the model refused.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from engine.definition import DEFAULT_INPORT, DEFAULT_OUTPORT
from engine.documents.model import split_end
from engine.documents.problems import Path


@dataclass(frozen=True, slots=True)
class NodeOutline:
    """`id` and `actor` are None where there is none to go by; an odd id still serves."""

    index: int
    id: str | None
    actor: str | None
    config: Any
    retry: dict[str, Any]
    concurrency: int
    optional: tuple[str, ...]

    @property
    def path(self) -> Path:
        return ("nodes", self.index)


@dataclass(frozen=True, slots=True)
class EdgeOutline:
    """`from_` and `to` are (node id, port), None where they cannot be used."""

    index: int
    from_: tuple[str, str] | None
    to: tuple[str, str] | None

    @property
    def path(self) -> Path:
        return ("edges", self.index)


@dataclass(frozen=True, slots=True)
class Outline:
    nodes: tuple[NodeOutline, ...]
    edges: tuple[EdgeOutline, ...]
    start: tuple[str, ...] | None
    input_schema: Any
    output: Any
    has_output: bool
    numbers: dict[str, int] = field(default_factory=dict)
    """Id -> place in `nodes` of the first node that has it."""

    @property
    def ids(self) -> Collection[str]:
        return self.numbers.keys()


def outline(document: dict[str, Any], broken: set[Path]) -> Outline:
    """`broken` are the paths that the model refused."""

    def usable(*path: str | int) -> bool:
        return not any(path[:length] in broken for length in range(1, len(path) + 1))

    def members(name: str) -> list[tuple[int, dict[str, Any]]]:
        values = document.get(name)
        if not isinstance(values, list):
            return []
        return [(index, value) for index, value in enumerate(values) if isinstance(value, dict)]

    nodes = tuple(
        NodeOutline(
            index=index,
            id=node["id"] if isinstance(node.get("id"), str) else None,
            actor=node.get("actor") if usable("nodes", index, "actor") else None,
            config=node.get("config", {}),
            retry=_retry(index, node, broken),
            concurrency=node.get("concurrency", 1) if usable("nodes", index, "concurrency") else 1,
            optional=_texts(node.get("optional")),
        )
        for index, node in members("nodes")
    )
    edges = tuple(
        EdgeOutline(
            index=index,
            from_=_end(edge.get("from"), DEFAULT_OUTPORT),
            to=_end(edge.get("to"), DEFAULT_INPORT),
        )
        for index, edge in members("edges")
    )
    start = document.get("start")
    numbers: dict[str, int] = {}
    for place, node in enumerate(nodes):
        if node.id is not None:
            numbers.setdefault(node.id, place)
    return Outline(
        nodes=nodes,
        edges=edges,
        start=None if start is None else (start,) if isinstance(start, str) else _texts(start),
        input_schema=document.get("input_schema") if usable("input_schema") else None,
        output=document.get("output"),
        has_output="output" in document,
        numbers=numbers,
    )


def _end(value: Any, default_port: str) -> tuple[str, str] | None:
    return split_end(value, default_port) if isinstance(value, str) and value else None


def _retry(index: int, node: dict[str, Any], broken: set[Path]) -> dict[str, Any]:
    """The fields of the retry policy that the model accepts."""
    retry = node.get("retry")
    if not isinstance(retry, dict):
        return {}
    place = ("nodes", index, "retry")
    return {key: value for key, value in retry.items() if (*place, key) not in broken}


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(part for part in value if isinstance(part, str)) if isinstance(value, list) else ()
