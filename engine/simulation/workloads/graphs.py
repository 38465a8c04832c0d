"""Random graphs of scripted nodes, valid as documents, and smaller ones of the same kind.

A graph is drawn from blocks that have one way in: a step, a sequence, a branch, parallel arms with
or without a join, a loop with its way out, a node with a handler for its failures. Blocks nest. As
long as nothing but blocks is drawn, each place holds one message at a time, so the run's result
does not depend on who is faster; such a graph is `confluent`. Arms that meet without a join, ports
that a join may do without inside a loop, nodes that run several visits at a time and edges thrown
in at random are drawn as well, and end that promise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import msgspec

from engine.definition import ERROR_PORT, Definition, RetryPolicy
from engine.documents import definition_of
from engine.documents.builder import NodeRef, Workflow
from engine.errors import InvalidDefinition
from engine.simulation.workloads.scripted import INPORTS, SCRIPTED, Manner, Script, scripted_name

Edge = tuple[str, str, str, str]
"""From a node's outport to a node's inport."""


@dataclass(frozen=True, slots=True)
class NodeSketch:
    """`inports` is how many its actor has; `optional` are names of them."""

    id: str
    script: Script
    inports: int = 1
    optional: tuple[str, ...] = ()
    retry: RetryPolicy | None = None
    manner: Manner = "plain"
    concurrency: int = 1


@dataclass(frozen=True, slots=True)
class Sketch:
    """A workflow on paper: what a document says, in a form that is easy to cut down."""

    nodes: tuple[NodeSketch, ...]
    edges: tuple[Edge, ...]
    start: tuple[str, ...]
    on_failure: Literal["fail", "continue"] = "fail"
    max_steps: int = 150
    confluent: bool = True
    deadline: float = 0.0
    """Seconds that a run may take; 0 for as long as it likes."""
    version: int = 1
    """Another version has the same graph, and actors that return something else."""

    def of_version(self, version: int) -> Sketch:
        return self if version == self.version else replace(self, version=version)

    def definition(self) -> Definition:
        """Raises InvalidDefinition where cutting down has left no workflow."""
        return _definition(self)

    def workflow(self) -> Workflow:
        """The sketch as a document that can be printed and run by hand."""
        flow = Workflow(
            "random",
            max_steps=self.max_steps,
            on_failure=self.on_failure,
            deadline=self.deadline or None,
        )
        for node in self.nodes:
            script = msgspec.to_builtins(node.script) | {"ports": node.script.ports}
            flow.node(
                node.id,
                scripted_name(node.inports, node.manner),
                config={"script": script | {"seed": node.script.seed + self.version}},
                retry=node.retry,
                timeout=node.script.limit or None,
                optional=node.optional or None,
                concurrency=node.concurrency if node.concurrency > 1 else None,
            )
        for source, outport, target, inport in self.edges:
            flow.edge(NodeRef(source).port(outport), NodeRef(target).port(inport))
        flow.start = [NodeRef(id) for id in self.start]
        return flow

    def smaller(self) -> Iterator[Sketch]:
        """Valid sketches with a node or an edge less, or simpler nodes; large cuts first."""
        for cut in (*self._calmed(), *self._without_nodes(), *self._without_edges()):
            try:
                cut.definition()
            except InvalidDefinition:
                continue
            yield cut

    def _calmed(self) -> Iterator[Sketch]:
        """First every node at once, then one by one."""
        for calm in (_without_trouble, _without_extent, _without_keeping):
            nodes = tuple(calm(node) for node in self.nodes)
            if nodes != self.nodes:
                yield replace(self, nodes=nodes)
                for place, node in enumerate(nodes):
                    if node != self.nodes[place]:
                        rest = (self.nodes[:place], (node,), self.nodes[place + 1 :])
                        yield replace(self, nodes=tuple(n for part in rest for n in part))

    def _without_nodes(self) -> Iterator[Sketch]:
        for node in self.nodes:
            yield self._without_all_after(node.id)
        for node in self.nodes:
            yield self._bypassing(node.id)

    def _without_all_after(self, id: str) -> Sketch:
        """Cut at the node: it and whatever only it leads to are gone."""
        kept: set[str] = set()
        pending = [start for start in self.start if start != id]
        while pending:
            kept.add(pending[-1])
            here = pending.pop()
            pending += {t for s, _, t, _ in self.edges if s == here and t != id} - kept
        return self._of(kept, [e for e in self.edges if e[0] in kept and e[2] in kept])

    def _bypassing(self, id: str) -> Sketch:
        """What led to the node leads to where its first connected port led."""
        ways_out = [edge for edge in self.edges if edge[0] == id and edge[2] != id]
        first = [edge for edge in ways_out if edge[1] == ways_out[0][1]]
        edges = [edge for edge in self.edges if id not in (edge[0], edge[2])]
        for source, outport, target, _ in self.edges:
            if target == id and source != id:
                edges += [(source, outport, t, inport) for _, _, t, inport in first]
        start = tuple(dict.fromkeys(s for s in self.start if s != id))
        if id in self.start and not start:
            start = tuple(dict.fromkeys(t for _, _, t, _ in first))
        kept = {node.id for node in self.nodes} - {id}
        return replace(self._of(kept, list(dict.fromkeys(edges))), start=start)

    def _without_edges(self) -> Iterator[Sketch]:
        for place in range(len(self.edges)):
            yield replace(self, edges=self.edges[:place] + self.edges[place + 1 :])

    def _of(self, kept: set[str], edges: list[Edge]) -> Sketch:
        entered = {(target, inport) for _, _, target, inport in edges}
        nodes = tuple(
            replace(node, optional=tuple(p for p in node.optional if (node.id, p) in entered))
            for node in self.nodes
            if node.id in kept
        )
        start = tuple(s for s in self.start if s in kept)
        return replace(self, nodes=nodes, edges=tuple(edges), start=start)


@lru_cache(maxsize=256)
def _definition(sketch: Sketch) -> Definition:
    return definition_of(sketch.workflow().document(), SCRIPTED)


def _without_trouble(node: NodeSketch) -> NodeSketch:
    script = msgspec.structs.replace(node.script, fails=0.0, breaks=0.0)
    return replace(node, script=script)


def _without_extent(node: NodeSketch) -> NodeSketch:
    script = msgspec.structs.replace(node.script, sleeps=(), pad=0, lasts=0.0, waits="", tells="")
    return replace(node, script=script)


def _without_keeping(node: NodeSketch) -> NodeSketch:
    """Without what the engine keeps for it: retries, a timeout, a state, several at a time."""
    script = msgspec.structs.replace(node.script, limit=0.0, attempts=1)
    return replace(node, script=script, retry=None, manner="plain", concurrency=1)


__all__ = ["ERROR_PORT", "INPORTS", "Edge", "NodeSketch", "Sketch"]
