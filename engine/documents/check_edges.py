"""Checks of the graph: edges' ends, start nodes, what no run can reach, optional inports.

A misspelt end must not make its neighbours look unreachable. So an edge that cannot be resolved
leads to, or comes from, one extra node that stands for everything unknown (`Graph.unknown`). In the
one case it leads to all nodes that nothing else leads to, in the other every node leads to it.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.documents.catalog import ANY_PORT, accepts
from engine.documents.check_nodes import KnownNode
from engine.documents.outline import EdgeOutline, Outline
from engine.documents.problems import Path, listed, shown
from engine.documents.report import Report
from engine.documents.topology import reachable


@dataclass(frozen=True, slots=True)
class Graph:
    """`successors` by place in the outline; the last one is `unknown`'s."""

    successors: list[list[int]]
    starts: set[int]
    connected: list[set[str]]
    """The inports of each node that some edge leads to."""

    @property
    def unknown(self) -> int:
        return len(self.successors) - 1


def check_edges(outline: Outline, known: list[KnownNode], report: Report) -> Graph:
    unknown = len(outline.nodes)
    successors: list[list[int]] = [[] for _ in range(unknown + 1)]
    connected: list[set[str]] = [set() for _ in outline.nodes]
    seen: dict[tuple[tuple[str, str], tuple[str, str]], EdgeOutline] = {}
    for edge in outline.edges:
        source = _find(edge.from_, (*edge.path, "from"), outline, report)
        target = _find(edge.to, (*edge.path, "to"), outline, report)
        if edge.from_ and edge.to:
            first = seen.setdefault((edge.from_, edge.to), edge)
            if first is not edge:
                _report_duplicate(edge, first, report)
                continue
        if edge.from_ and source is not None:
            _check_outport(edge, edge.from_, known[source], report)
        if edge.to and target is not None:
            _check_inport(edge, edge.to, known[target], report)
            connected[target].add(edge.to[1])
        if source is not None or target is not None:
            successors[unknown if source is None else source].append(
                unknown if target is None else target
            )
    starts = _starts(outline, successors, report)
    graph = Graph(successors, starts, connected)
    _check_reachable(outline, graph, report)
    _check_optional(outline, known, graph, report)
    return graph


def _find(end: tuple[str, str] | None, path: Path, outline: Outline, report: Report) -> int | None:
    """The node that one end of an edge names; None if there is none, which is reported."""
    if end is None:
        return None
    node, port = end
    if node not in outline.numbers:
        fix = report.choice(node, outline.ids, "the nodes are")
        report.add(path, f"there is no node {shown(node)}", fix)
        return None
    if not port:
        report.add(path, "there is no port after the dot", "name one, or leave out the dot")
    return outline.numbers[node]


def _report_duplicate(edge: EdgeOutline, first: EdgeOutline, report: Report) -> None:
    line = report.source.line(first.path)
    where = f"on line {line}" if line else f"edges[{first.index}]"
    report.add(edge.path, f"the same edge stands {where}", "remove one of the two")


def _check_outport(
    edge: EdgeOutline, end: tuple[str, str], node: KnownNode, report: Report
) -> None:
    if node.actor and node.outports is not None and end[1] and end[1] not in node.outports:
        report.add(
            (*edge.path, "from"),
            f"node {shown(end[0])} (actor {shown(node.actor.name)}) has no outport {shown(end[1])}",
            report.choice(end[1], node.outports, "its outports are"),
        )


def _check_inport(edge: EdgeOutline, end: tuple[str, str], node: KnownNode, report: Report) -> None:
    if node.actor and end[1] and not accepts(node.actor, end[1]):
        report.add(
            (*edge.path, "to"),
            f"node {shown(end[0])} (actor {shown(node.actor.name)}) has no inport {shown(end[1])}",
            report.choice(end[1], node.actor.inports, "its inports are"),
        )


def _starts(outline: Outline, successors: list[list[int]], report: Report) -> set[int]:
    """Where runs begin. Completes the unknown node's successors."""
    unknown = len(outline.nodes)
    entered = {target for targets in successors for target in targets}
    orphans = [place for place in range(unknown) if place not in entered]
    if successors[unknown]:
        for targets in successors:
            targets.append(unknown)
    if unknown in entered:
        successors[unknown] += orphans
    if outline.start is None:
        if not orphans and outline.nodes:
            first = next(iter(outline.ids), "ID")
            report.add(
                (),
                "no node can begin a run: each has an incoming edge, and 'start' is not given",
                f"name the node or nodes to begin with, for example 'start: {first}'",
            )
            return set(range(unknown))
        starts = set(orphans)
    else:
        starts = set()
        alone = isinstance(report.source.value.get("start"), str)
        for place, name in enumerate(outline.start):
            path: Path = ("start",) if alone else ("start", place)
            if name not in outline.numbers:
                fix = report.choice(name, outline.ids, "the nodes are")
                report.add(path, f"there is no node {shown(name)}", fix)
                starts.update(orphans)
            elif name in outline.start[:place]:
                report.add(path, f"{shown(name)} is named twice", "name it once")
            else:
                starts.add(outline.numbers[name])
        if not outline.start:
            starts = set(range(unknown))  # the model has refused an empty list
    if successors[unknown]:
        starts.add(unknown)
    return starts


def _check_reachable(outline: Outline, graph: Graph, report: Report) -> None:
    found = reachable(graph.starts, graph.successors)
    starts = sorted(graph.starts - {graph.unknown})
    ids = dict.fromkeys(id for start in starts if (id := outline.nodes[start].id))
    begins = listed(ids.keys(), 5)
    for place, node in enumerate(outline.nodes):
        if place in found or node.id is None or outline.numbers[node.id] != place:
            continue
        report.add(
            node.path,
            f"no run can reach this node: no path leads to it from the start ({begins})",
            "add an edge to it, name it in 'start', or remove it",
        )


def _check_optional(outline: Outline, known: list[KnownNode], graph: Graph, report: Report) -> None:
    for place, node in enumerate(outline.nodes):
        actor = known[place].actor
        for position, port in enumerate(node.optional):
            path = (*node.path, "optional", position)
            if actor is not None and not accepts(actor, port):
                ports = [each for each in actor.inports if each != ANY_PORT]
                report.add(
                    path,
                    f"actor {shown(actor.name)} has no inport {shown(port)}",
                    report.choice(port, ports, "its inports are"),
                )
            elif port not in graph.connected[place]:
                report.add(
                    path,
                    f"no edge leads to the inport {shown(port)}",
                    f"add an edge to '{node.id}.{port}', or remove the port from 'optional'",
                )
