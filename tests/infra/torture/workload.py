"""The workload: workflows with a known end each, and a plan of what is asked when, drawn by a seed.

What must stay true
- Every run's end follows from the plan and from which acts were accepted, whatever fails meanwhile.
- Acts on one run that depend on each other belong to one asker, in order. Signals do not, and may
  come before, after and beside each other.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.actors import Registry, load_registry
from engine.definition import Definition
from engine.documents import parse_definition
from tests.infra.torture.asking import AnyAct, Cancel, Close, Retry, Signal, Start

ACTORS = "tests.infra.torture.actors"
AGAIN = "retry: {max_attempts: 1000, interval: 0.05, backoff: fixed}"
TICKS = 6
SENDS = 3
"""Visits of a sender; each signals twice."""
LONG = 60
"""Ticks of a run that is there to be cancelled."""

DOCUMENTS = {
    "diamond": """
nodes:
  - {id: split, actor: torture.add, config: {by: 1}}
  - {id: left, actor: torture.flaky}
  - {id: right, actor: torture.add, config: {by: 10, seconds: 0.05}}
  - {id: nap, actor: flow.sleep, config: {seconds: UNIT}, AGAIN}
  - {id: sum, actor: torture.join}
  - {id: last, actor: torture.add, config: {by: 100}}
edges:
  - {from: split, to: left}
  - {from: split, to: right}
  - {from: split, to: nap}
  - {from: left, to: sum.left}
  - {from: right, to: sum.right}
  - {from: nap, to: sum.rested}
  - {from: sum, to: last}
""",
    "fan": """
nodes:
  - {id: one, actor: torture.add, config: {by: 1}}
  - {id: two, actor: torture.add, config: {by: 2}}
  - {id: three, actor: torture.add, config: {by: 3}}
  - {id: work, actor: torture.add, config: {by: 10, seconds: 0.04}, concurrency: 3}
  - {id: tally, actor: torture.tally, config: {expect: 3}}
edges:
  - {from: one, to: work}
  - {from: two, to: work}
  - {from: three, to: work}
  - {from: work, to: tally}
""",
    "charge": """
nodes:
  - {id: quote, actor: torture.add, config: {by: 1}}
  - {id: charge, actor: torture.charge, config: {seconds: CHARGE}}
  - {id: paid, actor: torture.add, config: {by: 1}}
  - {id: unsure, actor: torture.unsure}
edges:
  - {from: quote, to: charge}
  - {from: charge, to: paid}
  - {from: charge.error, to: unsure}
""",
    "count": """
start: tick
nodes:
  - {id: tick, actor: torture.tick, config: {times: "{{ input.times }}"}}
edges:
  - {from: tick.again, to: tick}
""",
    "collect": """
nodes:
  - {id: begin, actor: flow.sleep, config: {seconds: 0}, AGAIN}
  - {id: wait, actor: flow.wait, config: {signal: part, timeout: UNIT}, AGAIN}
  - {id: gather, actor: torture.gather, config: {expect: "{{ input.expect }}"}}
edges:
  - {from: begin, to: wait}
  - {from: wait, to: gather}
  - {from: wait.timeout, to: wait}
  - {from: gather.more, to: wait}
""",
    "relay": """
start: send
nodes:
  - {id: send, actor: torture.send, config: {to: "{{ input.to }}", times: 3}}
edges:
  - {from: send.again, to: send}
""",
    "bomb": "nodes: [{id: bomb, actor: torture.bomb}]\n",
    "stall": "nodes: [{id: stall, actor: torture.stall, config: {seconds: 3}}]\n",
}


@dataclass(frozen=True)
class Times:
    """How long things take, in seconds: `unit` is for sleeps and waits, by the engine's clock."""

    unit: float
    charge: float
    """Of the actor that must not run twice: long enough that faults meet it."""


def documents(times: Times) -> dict[str, str]:
    """The workflows as text."""
    words = {"UNIT": f"{times.unit:g}", "CHARGE": f"{times.charge:g}", "AGAIN": AGAIN}
    texts = {}
    for name, text in DOCUMENTS.items():
        for word, meaning in words.items():
            text = text.replace(word, meaning)
        texts[name] = f"name: {name}\n{text}"
    return texts


def registry() -> Registry:
    return load_registry([ACTORS])


def definitions(times: Times) -> dict[str, Definition]:
    actors = registry()
    return {
        name: parse_definition(text, f"{name}.yaml", actors)
        for name, text in documents(times).items()
    }


@dataclass(frozen=True)
class Expected:
    """The end of a run that is not cancelled. `outputs` are those that it may have."""

    outputs: tuple[Any, ...] = ()
    parts: frozenset[str] | None = None
    """Of a run that collects signals instead: the ids that it must have got, each once."""


@dataclass
class Plan:
    """What each asker asks, in order, and what every run must come to."""

    seed: int
    askers: tuple[list[AnyAct], ...]
    expected: dict[str, Expected] = field(default_factory=dict)

    @property
    def acts(self) -> list[AnyAct]:
        return [act for acts in self.askers for act in acts]


def draw(seed: int, runs: int, askers: int, weights: Mapping[str, int], grace_s: float) -> Plan:
    """A plan of about `runs` runs, of kinds by weight: workflows, `cancel`, `close`, `revive`."""
    drawing = _Drawing(seed, askers, grace_s)
    kinds = random.Random(f"kinds {seed}").choices([*weights], [*weights.values()], k=runs)
    for number, kind in enumerate(sorted(set(weights)) + kinds):  # each at least once
        drawing.add(kind, f"{kind}-{number}")
    return drawing.plan()


class _Drawing:
    def __init__(self, seed: int, askers: int, grace_s: float) -> None:
        self._random = random.Random(seed)
        self._seed = seed
        self._grace_s = grace_s
        self._groups: list[list[AnyAct]] = []
        self._expected: dict[str, Expected] = {}
        self._askers = askers

    def add(self, kind: str, run: str) -> None:
        number = self._random.randrange(100)
        plain: dict[str, Callable[[], Any]] = {
            "diamond": lambda: {"last": 3 * number + 114},
            "fan": lambda: {"tally": 3 * number + 36},
            "bomb": lambda: {"bomb": number},
            "stall": lambda: {"stall": number},
        }
        if kind in plain:
            self._expect(run, plain[kind]())
            self._group(self._start(run, kind, number))
        elif kind == "charge":
            self._expect(run, {"paid": number + 1002}, {"unsure": "Interrupted"})
            self._group(self._start(run, kind, number))
        elif kind == "collect":
            self._collect(run)
        else:
            self._counting(kind, run)

    def plan(self) -> Plan:
        """The groups dealt out to the askers, each asker's groups shuffled into each other."""
        askers: list[list[AnyAct]] = []
        for asker in range(self._askers):
            groups = [list(group) for group in self._groups[asker :: self._askers]]
            acts: list[AnyAct] = []
            while groups:
                group = self._random.choice(groups)
                acts.append(group.pop(0))
                groups = [group for group in groups if group]
            askers.append(acts)
        return Plan(self._seed, tuple(askers), self._expected)

    def _counting(self, kind: str, run: str) -> None:
        """One that counts to its end, or long enough to be cancelled before."""
        times = TICKS if kind == "count" else LONG
        self._expect(run, {"tick": times})
        group: list[AnyAct] = [self._start(run, "count", {"times": times})]
        if kind == "close":
            group.append(Close(run, self._by_command(), grace_s=self._grace_s))
        elif kind != "count":
            group.append(Cancel(run, self._by_command()))
        if kind == "revive":
            group.append(Retry(run, self._by_command()))
        self._group(*group)

    def _collect(self, run: str) -> None:
        """One that waits for the signals of askers, and for those of another run."""
        parts = [f"{run}!{number}" for number in range(self._random.randrange(1, 6))]
        group = [self._start(run, "collect", {})]
        if self._random.random() < 0.6:
            sender = f"{run}-sender"
            expected = len(parts) + 2 * SENDS
            group.append(self._start(sender, "relay", {"to": run}))
            self._expect(sender, {"send": SENDS})
            sent = [f"{sender}#{number + 1}" for number in range(2 * SENDS)]
        else:
            expected, sent = len(parts), []
        group[0] = self._start(run, "collect", {"expect": expected})
        self._expected[run] = Expected(parts=frozenset([*parts, *sent]))
        self._group(*group)
        for part in parts:
            payload = {"id": part, "filler": "x" * self._random.choice([0, 200, 3000])}
            id = part.replace("!", ".")
            self._group(Signal(run, self._by_command(), id=id, name="part", payload=payload))

    def _start(self, run: str, workflow: str, input: Any) -> Start:
        return Start(run, self._by_command(), workflow=workflow, input=input)

    def _expect(self, run: str, *outputs: Any) -> None:
        self._expected[run] = Expected(outputs)

    def _group(self, *acts: AnyAct) -> None:
        self._groups.append(list(acts))

    def _by_command(self) -> bool:
        return self._random.random() < 0.15
