"""What comes to runs from outside: each kind a value that knows how to bring itself about.

`at` is in seconds after the beginning. A new kind is a class here, its place in `Happening`, and a
chance in `generated`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.forking import UNCHANGED
from engine.layout import DEFAULT_TENANT, RunKey, WaitAddress
from engine.messages import SERVICE_FORMAT
from engine.ports import Send
from engine.signalling import Answered
from engine.simulation.workloads.graphs import Sketch
from engine.simulation.world.calling import Act, Api
from engine.simulation.world.simulation import Simulation
from engine.snapshot import Status, decode_head

NEWER_S = 900.0
"""How long a message of a newer format is there until newer code is."""
MARK = "by a newer version"
NEWER = f'{{"format":{SERVICE_FORMAT + 1},"written":"{MARK}"}}'


@dataclass(frozen=True, slots=True)
class Start:
    """A run is started, under an id that may be taken: by the same start, or by another one, with
    another version of the workflow or another input."""

    at: float
    run: str
    version: int = 1
    other: bool = False

    def happens(self, simulation: Simulation, sketch: Sketch) -> None:
        definition = sketch.of_version(self.version).definition()
        simulation.start(definition, input_of(self.run, other=self.other), self.run, at=self.at)


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal; one of the same `id` may have been sent before, with the same `pad` or not."""

    at: float
    run: str
    name: str
    id: str
    pad: int = 0

    def happens(self, simulation: Simulation, sketch: Sketch) -> None:
        payload = {"tag": f"signal:{self.id}", "pad": "x" * self.pad}
        name = f"signal {self.run} {self.id}"
        simulation.at(self.at, lambda api: api.signal(self.run, self.name, payload, self.id), name)


@dataclass(frozen=True, slots=True)
class Answer:
    """One wait is answered at its own address: before it begins, in time, too late, or again with
    the same or another `word`."""

    at: float
    run: str
    node: int
    visit: int
    ordinal: int
    word: str

    def happens(self, simulation: Simulation, sketch: Sketch) -> None:
        name = f"answer {self.run} {self.node}.{self.visit}.{self.ordinal} {self.word}"
        simulation.at(self.at, self._answer, name)

    async def _answer(self, api: Api) -> Answered | None:
        """An address says when its run was created: whoever has one knows."""
        key = RunKey(DEFAULT_TENANT, self.run)
        body = await api.platform.journal.head(key)
        if body is None:
            return None
        since = decode_head(body).created_at // 1000
        address = WaitAddress(key, self.node, self.visit, self.ordinal, since)
        return await api.answer(address, {"tag": f"answer:{self.word}"})


@dataclass(frozen=True, slots=True)
class Cancel:
    """A run is cancelled: gracefully, with `grace` seconds, or at once."""

    at: float
    run: str
    grace: float = 0.0

    def happens(self, simulation: Simulation, sketch: Sketch) -> None:
        if self.grace:
            name = f"close {self.run} at {self.at:g}"
            simulation.at(self.at, lambda api: api.close(self.run, self.grace), name)
        else:
            name = f"cancel {self.run} at {self.at:g}"
            simulation.at(self.at, lambda api: api.cancel(self.run), name)


@dataclass(frozen=True, slots=True)
class Retry:
    """An operator goes on with a run, if it has failed or was cancelled by then."""

    at: float
    run: str

    def happens(self, simulation: Simulation, sketch: Sketch) -> None:
        simulation.at(self.at, lambda api: api.retry(self.run), f"retry {self.run} at {self.at:g}")


@dataclass(frozen=True, slots=True)
class Redrive:
    """An operator retries all runs that have failed, or were cancelled."""

    at: float
    status: Status

    def happens(self, simulation: Simulation, sketch: Sketch) -> None:
        act: Act = lambda api: api.redrive(status=self.status)  # noqa: E731
        simulation.at(self.at, act, f"redrive {self.status} at {self.at:g}")


@dataclass(frozen=True, slots=True)
class Fork:
    """A run is forked from a step, by its number or its node's id, if it has taken it by then:
    with another message, with another input, with both or neither."""

    at: float
    run: str
    new_run: str
    step: int | str
    changed: bool = False
    other_input: bool = False

    def happens(self, simulation: Simulation, sketch: Sketch) -> None:
        message = self._message(sketch) if self.changed else UNCHANGED
        input = input_of(self.new_run, other=True) if self.other_input else UNCHANGED
        name = f"fork {self.run} {self.step} {self.new_run}"
        simulation.at(
            self.at, lambda api: api.fork(self.run, self.step, self.new_run, message, input), name
        )

    def _message(self, sketch: Sketch) -> Any:
        """For one inport of the step's node; of a step that is a number, for the only one."""
        message = {"tag": f"changed:{self.new_run}"}
        nodes = {node.id: node for node in sketch.definition().nodes}
        node = nodes.get(str(self.step))
        if node is None or len(node.inports) < 2:
            return message
        return {node.inports[len(self.new_run) % len(node.inports)]: message}


@dataclass(frozen=True, slots=True)
class Newer:
    """A message that newer code wrote comes, before newer code is there to read it."""

    at: float

    def happens(self, simulation: Simulation, sketch: Sketch) -> None:
        deployment, later = simulation.deployment, simulation.stage.later
        send: Callable[[], None] = lambda: deployment.queue.send(Send(NEWER, "group"), {})  # noqa: E731
        later(self.at * 1000, send)
        for mailbox in (deployment.queue, deployment.dead_letters):
            later((self.at + NEWER_S) * 1000, mailbox.ban, MARK)


Happening = Start | Signal | Answer | Cancel | Retry | Redrive | Fork | Newer


def input_of(run: str, *, other: bool = False) -> dict[str, Any]:
    """What a run is started with; of some runs more than a head holds."""
    pad = {"pad": "x" * 200} if run.endswith("2") else {}
    return {"tag": f"{'other' if other else 'in'}:{run}", **pad}
