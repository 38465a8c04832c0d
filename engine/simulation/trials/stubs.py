"""Stand-ins for actors: they take time, fail, choose a port and return something, by seed.

A workflow can be tried without anything that its actors talk to, and without the actors: of one
that cannot be imported, the ports are guessed from the edges. What a stand-in does follows from
seed, node, visit and attempt alone, so a repeated execution does the same, and a run with
faults can be compared with the same run without.

Expressions that read what stand-ins made up would fail for no reason of the workflow's: the config
of a node with a stand-in is not rendered, and an output that reads one is left out.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, get_args, get_type_hints

from msgspec.structs import replace

from engine.actors import Actor, Context, Emit, Registry, Sleep, Wait
from engine.actors.registry import AnyActor
from engine.definition import (
    DEFAULT_INPORT,
    DEFAULT_OUTPORT,
    ERROR_PORT,
    NO_RETRY,
    Definition,
    Node,
    RetryPolicy,
)
from engine.documents.model import WorkflowDocument, split_end
from engine.expressions import Names, compile_value
from engine.simulation.trials.fitting import fitting

TIMERS = frozenset({"flow.sleep", "flow.wait"})
"""Actors that only time and signals come to, which are simulated anyway: they stand for themselves.
"""
FAILING = 0.15
"""Of the attempts of a node that retries, or has something connected to its `error` port."""
SHORTEST_S, LONGEST_S = 0.01, 5.0
"""How long a stand-in takes."""
SLEEPS_S, WAITS_S = 6 * 3600.0, 86_400.0
"""What a stand-in's sleeps and time-outs are about."""
UNREAD = {"seconds": SLEEPS_S, "until": "2030-01-01T00:00:00Z", "timeout": WAITS_S}
"""What timers are given in the place of expressions that read what stand-ins have made up."""


class StubFailed(Exception):
    """What a stand-in raises."""


@dataclass(frozen=True, slots=True)
class Part:
    """What the stand-in at one node may do."""

    ports: tuple[str, ...]
    schemas: Mapping[str, Any]
    """Of the ports whose types are known."""
    fails: bool
    error: type[Exception]
    longest_s: float
    sleeps: bool
    waits: bool


class Stubs:
    """A workflow in which stand-ins have the places of the actors in `names`."""

    def __init__(self, definition: Definition, actors: Registry, names: Collection[str]) -> None:
        self._actors = actors
        self._names = frozenset(names)
        self._parts = {
            node.id: part_of(node, actors[node.actor])
            for node in definition.nodes
            if node.actor in self._names
        }
        self.definition = self._without_expressions(definition)

    def actors(self, seed: int) -> Registry:
        """What the nodes' actors are for this seed."""
        return Registry(
            Stub(actor, self._parts, seed) if name in self._names else actor
            for name, actor in self._actors.items()
        )

    def _without_expressions(self, definition: Definition) -> Definition:
        nodes = [self._node(node) for node in definition.nodes]
        if definition.has_output and self._reads_stubs(compile_value(definition.output).names):
            ends = set(definition.ends)
            nodes = [replace(n, named=n.named or i in ends) for i, n in enumerate(nodes)]
            definition = replace(definition, has_output=False, output=None)
        return replace(definition, nodes=tuple(nodes))

    def _node(self, node: Node) -> Node:
        if node.id in self._parts:
            return replace(node, config=None)
        if node.actor in TIMERS and isinstance(node.config, dict):
            config = {
                key: UNREAD.get(key, node.id) if self._is_made_up(value) else value
                for key, value in node.config.items()
            }
            return replace(node, config=config)
        return node

    def _is_made_up(self, value: Any) -> bool:
        names = compile_value(value).names
        return bool(self._parts) and (
            names.message or bool(names.ports) or self._reads_stubs(names)
        )

    def _reads_stubs(self, names: Names) -> bool:
        return not self._parts.keys().isdisjoint(names.nodes | names.all_of)


class Stub(Actor[..., Any]):
    """Stands in for one actor at all of its nodes."""

    def __init__(self, original: AnyActor, parts: Mapping[str, Part], seed: int) -> None:
        async def stand_in(messages: Any, context: Context) -> Emit | Sleep | Wait:
            return await _play(parts[context.node], seed, messages, context)

        super().__init__(
            stand_in,
            original.name,
            retry=original.retry,
            timeout=original.timeout,
            at_most_once=original.at_most_once,
        )
        self.inports = original.inports

    def arguments(
        self, messages: Mapping[str, Any], config: Mapping[str, Any], context: Context | None
    ) -> dict[str, Any]:
        return {"messages": dict(messages), "context": context}

    def emitted(self, result: Any, config: Mapping[str, Any]) -> tuple[str, Any]:
        return result.port, result.value


class Guessed(Actor[..., Any]):
    """An actor that cannot be imported, as far as a document shows it."""

    def __init__(self, name: str, inports: tuple[str, ...], outports: tuple[str, ...]) -> None:
        async def absent(message: Any) -> Any:
            raise AssertionError(f"'{name}' is not there, and only its stand-in can run")

        super().__init__(absent, name, outports=outports)
        self.inports = inports

    def config_problems(self, config: Any) -> list[tuple[tuple[str | int, ...], str]]:
        return []


def guessed_actors(document: WorkflowDocument, known: Registry) -> list[AnyActor]:
    """Of the actors that a document names and nobody knows: what its edges say of them."""
    actor_of = {node.id: node.actor for node in document.nodes}
    ins: dict[str, dict[str, None]] = {}
    outs: dict[str, dict[str, None]] = {}
    for edge in document.edges:
        node, port = split_end(edge.from_, DEFAULT_OUTPORT)
        if port != ERROR_PORT:
            outs.setdefault(actor_of.get(node, ""), {})[port] = None
        node, port = split_end(edge.to, DEFAULT_INPORT)
        ins.setdefault(actor_of.get(node, ""), {})[port] = None
    unknown = dict.fromkeys(name for name in actor_of.values() if name not in known)
    return [
        Guessed(name, tuple(ins.get(name, [DEFAULT_INPORT])), tuple(outs.get(name, ["out"])))
        for name in unknown
    ]


def part_of(node: Node, actor: AnyActor) -> Part:
    """What a stand-in may do at this node, so that nothing impossible comes of it."""
    policy = node.retry or actor.retry or NO_RETRY
    connected = tuple(port for port in node.successors if port != ERROR_PORT)
    if isinstance(actor, Guessed):
        ports = connected or (node.default,)
    else:
        ports = actor.outports_for(node.config) or (node.default,)
    outcomes = _outcomes(actor)
    described = actor.describe()["outports"]
    return Part(
        ports=ports,
        schemas={} if isinstance(described, str) else {k: v for k, v in described.items() if v},
        fails=policy.max_attempts > 1 or ERROR_PORT in node.successors,
        error=_error_of(policy),
        longest_s=min(LONGEST_S, (node.timeout or actor.timeout or math.inf) / 2),
        sleeps=Sleep in outcomes,
        waits=Wait in outcomes,
    )


def _outcomes(actor: AnyActor) -> tuple[Any, ...]:
    """What the actor's own annotation says that it may return."""
    returned = get_type_hints(actor.function).get("return")
    return (returned, *get_args(returned))


def _error_of(policy: RetryPolicy) -> type[Exception]:
    """An error that the policy tries again."""
    return type(policy.retry_on[0], (StubFailed,), {}) if policy.retry_on else StubFailed


async def _play(
    part: Part, seed: int, messages: dict[str, Any], context: Context
) -> Emit | Sleep | Wait:
    where = f"{seed}/{context.node}/{context.visit}"
    attempt, visit = Random(f"{where}/{context.attempt}"), Random(where)
    shortest = min(SHORTEST_S, part.longest_s)
    await asyncio.sleep(shortest * (part.longest_s / shortest) ** attempt.random())
    if part.waits and context.resumed not in ("signal", "timeout"):
        return Wait(context.node, WAITS_S * 2 ** visit.uniform(-4, 2))
    if part.sleeps and context.resumed != "sleep" and visit.random() < 0.5:
        return Sleep(SLEEPS_S * 2 ** visit.uniform(-8, 2))
    if part.fails and attempt.random() < FAILING:
        raise part.error("a stand-in fails now and then where somebody reckons with it")
    port = visit.choice(part.ports)
    if port in part.schemas:
        return Emit(port, fitting(part.schemas[port], visit))
    return Emit(port, next(iter(messages.values()), None) if len(messages) < 2 else messages)
