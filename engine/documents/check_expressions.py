"""Checks of the expressions in configs and in the output.

Each text is compiled by itself, so that a mistake is reported at its own place and hides no other.
A node may name those that can have run before it: those with a path to it. That is a matter of
the graph, so one walk over the graph answers it for all names together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from engine.documents.check_edges import Graph
from engine.documents.check_nodes import KnownNode
from engine.documents.outline import NodeOutline, Outline
from engine.documents.problems import Path, shown
from engine.documents.report import Report
from engine.documents.topology import Ancestors
from engine.errors import ExpressionError
from engine.expressions import Names, check_value, compile_value

OPENING = "{{"


@dataclass(frozen=True, slots=True)
class _Use:
    """One text of a node's config, and the nodes that it names."""

    path: Path
    user: int
    names: list[int]


@dataclass(slots=True)
class _Compiler:
    """Compiles texts, each different one once: generated documents repeat themselves."""

    outline: Outline
    report: Report
    _known: dict[str, Names | list[str]] = field(default_factory=dict)

    def names(self, value: Any, path: Path) -> Iterator[tuple[Path, Names]]:
        """What each text of the value names; those that do not compile are reported."""
        for inner, text in texts(value):
            if OPENING not in text:
                continue
            place = (*path, *inner)
            found = self._known.get(text)
            if found is None:
                found = self._known[text] = _compile(text)
            if isinstance(found, Names):
                yield place, found
            else:
                for message in found:
                    self.report.add(place, message, self._fix(text, message))

    def _fix(self, text: str, message: str) -> str:
        """Hyphens are subtraction; no message about the expression can know that ids have them."""
        for id in self.outline.numbers if len(self.outline.numbers) <= 1000 else ():
            if "-" in id and f"nodes.{id}" in text:
                return f"write nodes['{id}']: in an expression, '-' subtracts"
        if "allowed are" in message or "there are" in message or "did you mean" in message:
            return ""
        return "expressions look like '{{ input.total }}'"


def check_expressions(
    outline: Outline, known: list[KnownNode], graph: Graph, report: Report
) -> None:
    compiler = _Compiler(outline, report)
    uses: list[_Use] = []
    for place, node in enumerate(outline.nodes):
        for path, names in compiler.names(node.config, (*node.path, "config")):
            _check_ports(names, path, place, node, known[place], graph, report)
            if found := _find_nodes(names, path, outline, report):
                uses.append(_Use(path, place, found))
    _check_order(uses, outline, graph, report)
    if outline.has_output:
        for path, names in compiler.names(outline.output, ("output",)):
            _find_nodes(names, path, outline, report)
            if names.message or names.ports:
                report.add(
                    path,
                    "the output is built when the run has ended, and no message is there",
                    "name a node's result, as in '{{ nodes.<id>.output }}'",
                )
            if names.secrets:
                report.add(path, "a secret cannot be part of a run's output", "leave it out")


def texts(value: Any) -> Iterator[tuple[Path, str]]:
    """The texts in a JSON value, in order, each with the path to it."""
    pending: list[tuple[Path, Any]] = [((), value)]
    while pending:
        path, part = pending.pop()
        if isinstance(part, str):
            yield path, part
        elif isinstance(part, dict):
            pending.extend(((*path, key), part[key]) for key in reversed(part))
        elif isinstance(part, list):
            pending.extend(((*path, i), part[i]) for i in reversed(range(len(part))))


def _compile(text: str) -> Names | list[str]:
    """What the text names, or what is wrong with it."""
    if problems := check_value(text):
        return [message for _, message in problems]
    try:
        return compile_value(text).names
    except ExpressionError as error:
        return [str(error)]


def _find_nodes(names: Names, path: Path, outline: Outline, report: Report) -> list[int]:
    """The named nodes that exist; the others are reported."""
    found: list[int] = []
    for id in sorted(names.nodes | names.all_of):
        if id in outline.numbers:
            found.append(outline.numbers[id])
        else:
            fix = report.choice(id, outline.ids, "the nodes are")
            report.add(path, f"'nodes.{id}' names no node: there is no node {shown(id)}", fix)
    return found


def _check_ports(
    names: Names,
    path: Path,
    place: int,
    node: NodeOutline,
    known: KnownNode,
    graph: Graph,
    report: Report,
) -> None:
    """A start node's message comes from outside, so its ports need no edges."""
    for port in sorted(names.ports - graph.connected[place]):
        if place in graph.starts and known.actor is not None and port in known.actor.inports:
            continue
        report.add(
            path,
            f"'messages.{port}' is never there: no edge leads to the inport {shown(port)}",
            report.choice(port, sorted(graph.connected[place]), "connected are")
            or f"add an edge to '{node.id}.{port}'",
        )


def _check_order(uses: list[_Use], outline: Outline, graph: Graph, report: Report) -> None:
    ancestors = Ancestors((name for use in uses for name in use.names), graph.successors)
    for use in uses:
        for name in use.names:
            if ancestors.lead(name, use.user):
                continue
            id = outline.nodes[name].id
            if name == use.user:
                message = f"'nodes.{id}' is this node itself, and it runs only once"
                fix = "name a node that runs before it"
            else:
                message = f"'nodes.{id}' may not have run yet: no path leads from it to this node"
                fix = f"add an edge from {shown(id)} to this node, or name one that runs before it"
            report.add(use.path, message, fix)
