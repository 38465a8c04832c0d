"""The workflows that are measured, and the windows of steps in which they are.

Every actor does nothing but count: what is measured is the engine. An actor passes its message on,
so the size of the run's input is the size of every output.

Windows: a head grows with its tail until a page takes the tail away, so a few steps more or less
change every average. A window therefore holds whole pages and whole turns of a loop, which makes
the one that ends at step 10 comparable with the one that ends at step 10,000.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from math import lcm
from typing import Any

from engine.actors import Emit, Registry, Sleep, actor
from engine.definition import DEFAULT_OUTPORT, Definition
from engine.documents import Workflow, definition_of
from engine.snapshot import PAGE_ENTRIES

LENGTHS = (10, 100, 1_000, 10_000)
"""Steps behind the end of a window."""
WINDOW = 100
"""The longest window, in steps."""
BRANCHES = ("a", "b", "c", "d", "e")

_SPARE = 2
"""Nodes behind the last measured step, so that no window sees the end of the run."""
_FOR_GOOD_S = 3600.0

Beat = Callable[[], bool]
"""Called by every actor; True sends its run to sleep."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A definition, and how a walk through it goes on."""

    name: str
    definition: Definition
    turn: int = 1
    """Steps after which the same nodes come again."""
    single: bool = False
    """Whether only the last step of a window matters."""
    ports: Mapping[int, str] = field(default_factory=dict)
    """The outports of the nodes that do not use the default one."""

    def port(self, node: int) -> str:
        return self.ports.get(node, DEFAULT_OUTPORT)

    def window(self, length: int) -> range:
        """The numbers of the steps that are measured for `length`, the first step being 1."""
        if self.single:
            return range(length, length + 1)
        room = min(length, WINDOW)
        period = lcm(PAGE_ENTRIES, self.turn)
        if period > room:
            period = PAGE_ENTRIES if room >= PAGE_ENTRIES else 1
        return range(length - room // period * period + 1, length + 1)


def shapes() -> tuple[Shape, ...]:
    """Compiling the two that have ten thousand nodes takes seconds, once."""
    return (chain(), loop(), join(), naming())


@cache
def chain() -> Shape:
    """One node after the other."""
    return Shape("chain", _line("chain", frozenset()))


@cache
def naming() -> Shape:
    """A chain in which the last step of every window names node 1 in an expression."""
    return Shape("naming node 1", _line("naming", frozenset(LENGTHS)), single=True)


def loop() -> Shape:
    """Two nodes, round and round."""
    flow = Workflow("loop", max_steps=10 * max(LENGTHS))
    work = flow.node("work", "pass")
    turn = flow.node("turn", "turn")
    flow.start = [work]
    flow.edge(work, turn)
    flow.edge(turn.port("again"), work)
    return Shape("loop", _compiled(flow), turn=2, ports={1: "again"})


def join(lead: int = 1) -> Shape:
    """Five parallel branches that a join waits for, round and round.

    `lead` nodes come before the first turn, and shift the turns against the pages: with 1, what a
    join waits for is still in the head's tail; with 3, a page has taken some of it.
    """
    flow = Workflow("join", max_steps=10 * max(LENGTHS))
    meet = flow.node("meet", "meet")
    begin = flow.node("begin", "pass")
    for number in range(1, lead):
        last, begin = begin, flow.node(f"begin-{number}", "pass")
        flow.edge(last, begin)
    for name in BRANCHES:
        branch = flow.node(f"branch-{name}", "pass")
        flow.edge(begin, branch)
        flow.edge(meet.port("again"), branch)
        flow.edge(branch, meet.port(name))
    name = "join of five" if lead == 1 else "join across pages"
    return Shape(name, _compiled(flow), turn=len(BRANCHES) + 1, ports={0: "again"})


def registry(beat: Beat) -> Registry:
    """The actors of all shapes."""

    def done(value: Any) -> Any:
        return Sleep(_FOR_GOOD_S) if beat() else value

    @actor("pass")
    async def pass_on(message: Any) -> Any:
        return done(message)

    @actor("name")
    async def pass_on_beside(message: Any, *, first: Any) -> Any:
        return done(message)

    @actor("turn", outports=("again", "done"))
    async def turn(message: Any) -> Any:
        return done(Emit("again", message))

    @actor("meet", outports=("again", "done"))
    async def meet(a: Any, b: Any, c: Any, d: Any, e: Any) -> Any:
        return done(Emit("again", a))

    return Registry([pass_on, pass_on_beside, turn, meet])


def value_of(size: int) -> Any:
    """A value of `size` bytes of JSON text: digits that do not compress well."""
    if size < 3:
        return 10 ** (size - 1)
    digits = "".join(str(number * number % 9973) for number in range(1, size))
    return digits[: size - 2]


def text_of(size: int) -> bytes:
    text = json.dumps(value_of(size)).encode()
    assert len(text) == size
    return text


def _line(name: str, reading: frozenset[int]) -> Definition:
    flow = Workflow(name, max_steps=10 * max(LENGTHS))
    last = None
    for number in range(1, max(LENGTHS) + _SPARE + 1):
        if number in reading:
            node = flow.node(f"n{number}", "name", config={"first": "{{ nodes.n1.output }}"})
        else:
            node = flow.node(f"n{number}", "pass")
        if last is not None:
            flow.edge(last, node)
        last = node
    return _compiled(flow)


def _compiled(flow: Workflow) -> Definition:
    return definition_of(flow.document(), registry(lambda: False))
