"""What lies outside a simulated deployment: who answers waits, and at which addresses.

Nobody has to know beforehand for what a workflow waits: whoever answers sees each wait as it is
saved, as somebody does who finds a letter in the post, and calls the API later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any

from engine.actors import Registry
from engine.callback_links import Callbacks
from engine.callbacks import SigningKey
from engine.dead_letters import DeadLetters
from engine.dispatcher import Dispatcher
from engine.keys import KeyRing
from engine.layout import RunKey
from engine.ports import Platform
from engine.signalling import Answered
from engine.simulation.observing import Observer
from engine.simulation.world.calling import Act, Api
from engine.simulation.world.deployment import Parts
from engine.simulation.world.invoking import Handler
from engine.simulation.world.simulation import Simulation
from engine.snapshot import Head, State, Token, Wait

BASE_URL = "https://simulated.example"
"""Where callbacks are answered in a simulation."""
SIGNING_KEY = SigningKey("sim", b"simulated: no secret of anybody's")

LATE_S = 3600.0
"""How much too late a late signal may be."""
LONGEST_S = 3 * 86_400.0
"""How long an answer may take where the wait has no time-out."""


def _dispatcher(platform: Platform, actors: Registry) -> Handler:
    return Dispatcher(_with_callbacks(platform), actors)


def _dead_letters(platform: Platform, actors: Registry) -> Handler:
    return DeadLetters(_with_callbacks(platform), actors)


def _with_callbacks(platform: Platform) -> Platform:
    keys = KeyRing(platform.journal, platform.clock, platform.entropy, [SIGNING_KEY])
    return replace(platform, callbacks=Callbacks(keys, BASE_URL))


REACHABLE = Parts(dispatcher=_dispatcher, dead_letters=_dead_letters)
"""A deployment whose actors have callback addresses to hand out."""


@dataclass(frozen=True, slots=True)
class GivenSignal:
    """A signal that the user asks for: so many seconds after the start, or whenever one waits."""

    name: str
    payload: Any = None
    at: float | None = None


class Correspondent(Observer):
    """Answers waits: with the given signals of their name, or, without any, by seed: in time, too
    late, or never."""

    def __init__(self, run: RunKey, signals: tuple[GivenSignal, ...] = ()) -> None:
        self._run = run
        self._signals = signals
        self._simulation: Simulation | None = None
        self._seen: set[tuple[int, int, int]] = set()
        self.waited_for: Counter[str] = Counter()
        """Names, and how many waits there were for each."""
        self.drawn: Counter[str] = Counter()
        """How waits were answered that no signal was given for."""

    def begin(self, simulation: Simulation) -> None:
        self._simulation = simulation
        for number, signal in enumerate(self._signals):
            if signal.at is not None:
                self._send(signal.at, signal.name, signal.payload, f"given{number}")

    def head_saved(self, key: RunKey, before: Head | None, after: Head, at: int) -> None:
        for token in after.frontier:
            wait = after.wait(token.node, token.visit)
            if token.state is not State.WAITING or wait is None:
                continue
            place = (wait.node, wait.visit, wait.ordinal)
            if place not in self._seen:
                self._seen.add(place)
                self.waited_for[wait.name] += 1
                self._answer(wait, token, at)

    def _answer(self, wait: Wait, token: Token, at: int) -> None:
        assert self._simulation is not None, "begin comes first"
        stage = self._simulation.stage
        site = f"answer:{wait.node}.{wait.visit}.{wait.ordinal}"
        given = [signal for signal in self._signals if signal.name == wait.name]
        now = stage.loop.time()
        if given:
            at_once = [signal for signal in given if signal.at is None]
            if at_once:
                signal = at_once[stage.dice.pick(site, len(at_once))]
                self._send(now, wait.name, signal.payload, site)
            return
        draw, place = stage.dice.chance(site), stage.dice.chance(site)
        patience = (token.due - at) / 1000 if token.due else 0.0
        if draw < 0.25:
            self.drawn["never"] += 1
        elif draw < 0.5 and patience:
            self.drawn["too late"] += 1
            self._send(now + patience + place * LATE_S, wait.name, None, site)
        else:
            self.drawn["in time"] += 1
            delay = place * patience if patience else LONGEST_S**place
            self._send(now + delay, wait.name, None, site)

    def _send(self, seconds: float, name: str, payload: Any, id: str) -> None:
        assert self._simulation is not None, "begin comes first"
        self._simulation.at(seconds, _signalling(self._run.run, name, payload, id), f"signal {id}")


def _signalling(run: str, name: str, payload: Any, id: str) -> Act:
    def act(api: Api) -> Coroutine[Any, Any, Answered]:
        return api.signal(run, name, payload, id)

    return act
