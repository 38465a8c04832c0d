"""A scripted actor on a simulated runner: it counts, sleeps, crashes and rings as it is told.

Its state is its count and the generation that wrote it, so that whoever watches the store sees who
wrote, and what was acknowledged and lost. Paths: `/add` counts; `/sleep` wants to sleep; `/crash`;
`/stop` ends for good; `/alarm/<s>` sets an alarm; `/slow/<s>` answers late; all others just answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from engine.allocation import frames

if TYPE_CHECKING:
    from engine.simulation.allocation.runners import SimulatedRunner

Ask = Callable[[Any], object]
FINAL_MS = 2_000
"""How long an actor takes at most to end what it does before it saves and stops."""
STUBBORN = 25
"""One stop of so many is never carried out: the actor hangs."""


class Count(msgspec.Struct, frozen=True):
    """What the actor stores."""

    count: int
    generation: int


class Hosted:
    """One actor, one generation of it."""

    def __init__(self, runner: SimulatedRunner, order: frames.StartActor) -> None:
        self.id = order.actor
        self.generation = order.generation
        self.phase = "starting"
        self._runner = runner
        self._notes = runner.notes
        self._count = 0
        self._alarm_at = order.alarm_at
        self._requests: list[frames.RequestStart] = []
        self._owed: set[str] = set()
        self._saves = 0
        self._busy = 0
        self._touched = 0

    # -- from the other side ----------------------------------------------------------------------

    def start(self) -> None:
        self._report(frames.Running())
        known = self._notes.acknowledged(self.id)
        self._runner.ask(
            lambda id: frames.Load(id, self.id, self.generation),
            lambda loaded: self._loaded(loaded, known),
        )

    def request(self, frame: frames.RequestStart) -> None:
        if frame.request in self._owed:
            return
        if self.phase == "starting":
            self._requests.append(frame)
        elif self.phase == "ready":
            self._owed.add(frame.request)
            self._serve(frame)
        else:
            self._runner.say(frames.Refused(frame.request, "stopping"))

    def stop(self, forever: bool) -> None:
        if self.phase not in ("starting", "ready"):
            return
        self.phase = "stopping"
        self._refuse_all("stopping")
        dice, site = self._runner.stage.dice, f"stop:{self.id}.{self.generation}"
        if not dice.calm and not dice.pick(site, STUBBORN):
            return
        self._runner.later(dice.pick(site, FINAL_MS) / 1000, lambda: self._finish(forever))

    def drop(self, error: str) -> None:
        """It ends unsaved; with an error, it is reported as stopped."""
        self._leave(frames.Stopped(error) if error else None)

    # -- what it does -----------------------------------------------------------------------------

    def _loaded(self, loaded: frames.Loaded, known: int) -> None:
        if self.phase == "gone":
            return
        if loaded.error:
            self._leave(frames.Stopped(f"refused: {loaded.error}"))
            return
        if isinstance(loaded.state, msgspec.Raw):
            self._count = msgspec.json.decode(loaded.state, type=Count).count
        self._notes.found(self.id, self.generation, self._count, known)
        if self.phase != "starting":
            return
        self.phase = "ready"
        self._ring()
        requests, self._requests = self._requests, []
        for frame in requests:
            self.request(frame)
        self._rest()

    def _serve(self, frame: frames.RequestStart) -> None:
        _, word, *rest = frame.path.split("/")
        if word == "add":
            self._add(lambda saved: self._answer(frame, saved))
        elif word == "crash":
            self._leave(frames.Stopped("it was asked to crash"))
        elif word == "slow":
            self._busy += 1
            self._runner.later(float(rest[0]), lambda: self._slow_done(frame))
        else:
            if word == "sleep":
                self._report(frames.Sleep())
            elif word == "stop":
                self._report(frames.Stop())
            elif word == "alarm":
                self._alarm_at = self._runner.stage.now() + round(float(rest[0]) * 1000)
                self._report(frames.Alarm(self._alarm_at))
                self._runner.later(float(rest[0]), self._ring)
            self._answer(frame, "")
        self._rest()

    def _slow_done(self, frame: frames.RequestStart) -> None:
        self._busy -= 1
        self._answer(frame, "")
        self._rest()

    def _add(self, then: Callable[[str], object]) -> None:
        self._count += 1
        self._busy += 1
        count = self._count

        def saved(frame: frames.Saved) -> None:
            self._busy -= 1
            if self.phase == "gone":
                return
            if frame.error:
                self._leave(frames.Stopped(f"refused: {frame.error}"))
                return
            self._notes.acknowledge(self.id, count)
            then(str(count))
            self._rest()

        self._save(count, saved)

    def _save(self, count: int, saved: Ask) -> None:
        state = msgspec.Raw(msgspec.json.encode(Count(count, self.generation)))
        self._saves += 1
        sequence = self._saves
        self._runner.ask(
            lambda id: frames.Save(id, self.id, self.generation, state, sequence=sequence), saved
        )

    def _ring(self) -> None:
        """Run the alarm, if it is due; else wait for it."""
        if self.phase != "ready" or not self._alarm_at:
            return
        left = self._alarm_at - self._runner.stage.now()
        if left > 0:
            self._runner.later(left / 1000, self._ring)
            return
        at, self._alarm_at = self._alarm_at, 0
        self._notes.rang(self.id, at)
        self._add(lambda _: None if self._alarm_at else self._report(frames.Alarm(0)))

    def _rest(self) -> None:
        """Ask to sleep when nothing has happened for a while."""
        self._touched += 1
        touched, idle_s = self._touched, self._notes.idle_s(self.id)
        if idle_s:
            self._runner.later(idle_s, lambda: self._doze(touched))

    def _doze(self, touched: int) -> None:
        if touched == self._touched and self.phase == "ready" and not self._busy:
            self._report(frames.Sleep())
            self._rest()

    def _finish(self, forever: bool) -> None:
        if self.phase == "gone":
            return
        if self._busy:
            self._runner.later(0.2, lambda: self._finish(forever))
        elif forever:
            self._leave(frames.Stopped())
        else:
            self._save(self._count, lambda saved: self._leave(frames.Stopped(saved.error)))

    # -- answers and reports ----------------------------------------------------------------------

    def _answer(self, frame: frames.RequestStart, body: str) -> None:
        if frame.request in self._owed:
            self._owed.discard(frame.request)
            self._runner.say(frames.ResponseStart(frame.request, 200, [], body.encode()))

    def _refuse_all(self, code: str) -> None:
        for frame in self._requests:
            self._runner.say(frames.Refused(frame.request, code))
        self._requests = []

    def _leave(self, stopped: frames.Stopped | None) -> None:
        if self.phase == "gone":
            return
        self.phase = "gone"
        self._refuse_all("not_here")
        for request in sorted(self._owed):
            self._runner.say(frames.Refused(request, "not_here"))
        if self._runner.hosted.get(self.id) is self:
            del self._runner.hosted[self.id]
        if stopped is not None:
            self._report(stopped)

    def _report(self, report: frames.Report) -> None:
        self._runner.report(self.id, self.generation, report)
