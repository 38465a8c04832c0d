"""A scripted runner: a process that keeps the wire protocol of `engine.allocation.frames`.

It does what the SDK's runner does, in the simplest way: events are numbered, kept until they are
stored, one frame of them under way at a time; commands are obeyed once, by their number; questions
are asked on every connection until they are answered; without an answered ping for `lost_ms` its
actors are given up. What the actors do themselves is `hosting`'s.

What must stay true: no command is missed. Numbers rise by one, so a gap is a command that was lost,
and a violation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from itertools import count
from typing import Any

from msgspec import structs

from engine.allocation import frames
from engine.allocation.frames import Command, Event, Report
from engine.simulation.allocation.hosting import Ask, Hosted
from engine.simulation.allocation.notes import Notes
from engine.simulation.allocation.wire import Link, Wire
from engine.simulation.observing import Violation
from engine.simulation.world.loop import Host
from engine.simulation.world.stage import Stage

WELCOME_S = 15.0
PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0


class SimulatedRunner:
    """One process, and so one session of its key. `ended` is called once, when it is over."""

    def __init__(
        self,
        stage: Stage,
        wire: Wire,
        notes: Notes,
        name: str,
        hello: frames.Hello,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self.stage = stage
        self.notes = notes
        self.name = name
        self.host = Host(name)
        self.hello = structs.replace(hello, session=name)
        self.over = False
        self.hosted: dict[str, Hosted] = {}
        self._wire = wire
        self._ended = ended
        self._acts: asyncio.Queue[Callable[[], object]] = asyncio.Queue()
        self._link: Link | None = None
        self._welcome: frames.Welcome | None = None
        """Of this connection."""
        self._id = ""
        self._pause_s = 0.0
        self._heard = 0.0
        self._events: list[Event] = []
        self._last = 0
        self._sent_at = 0.0
        """When the events that are under way were sent; 0 while none are."""
        self._seen = 0
        self._ids = count(1)
        self._asked: dict[str, tuple[frames.Frame, Ask, float]] = {}

    # -- life -------------------------------------------------------------------------------------

    def start(self) -> None:
        self.stage.later(0, lambda: self.host.spawn(self._live()))

    def kill(self) -> None:
        """Its host dies; the connection breaks with it."""
        if self.over:
            return
        self.host.kill()
        self.stage.note(self.name, "! killed")
        self._be_over()

    def freeze(self, ms: int) -> None:
        if not self.over and not self.host.frozen:
            self.stage.note(self.name, "! frozen for {} ms", ms)
            self.host.freeze()
            self.stage.later(ms, self._thaw)

    def lose_connection(self) -> None:
        if self._link is not None:
            self._wire.cut(self._link)

    def stop(self) -> None:
        """Be about to end: say so, and let the other side take the actors away."""
        self._acts.put_nowait(lambda: self.say(frames.Stopping()))

    def _thaw(self) -> None:
        if self.host.alive:
            self.stage.loop.thaw(self.host)

    def _be_over(self) -> None:
        self.over = True
        if self._link is not None:
            self._wire.cut(self._link)
        self._ended()

    async def _live(self) -> None:
        self._connect()
        while not self.over:
            act = await self._acts.get()
            act()

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Do something later, if the process lives then. Called by its own code."""
        asyncio.get_running_loop().call_later(seconds, self._acts.put_nowait, act)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.host.spawn(work)

    @property
    def time(self) -> float:
        return self.stage.loop.time()

    # -- connections ------------------------------------------------------------------------------

    def frame_came(self, link: Link, text: str) -> None:
        """Implements `Peer`."""
        self._acts.put_nowait(partial(self._take, link, text))

    def link_closed(self, link: Link) -> None:
        """Implements `Peer`."""
        self._acts.put_nowait(partial(self._lost, link))

    def _connect(self) -> None:
        link = self._link = self._wire.open(self)
        self._welcome = None
        link.send(frames.encode(self.hello))
        self.later(WELCOME_S, lambda: None if self._welcome else self._drop(link))

    def _drop(self, link: Link) -> None:
        if link is self._link:
            self._wire.cut(link)
            self._lost(link)

    def _lost(self, link: Link) -> None:
        if link is not self._link or self.over:
            return
        self._link = self._welcome = None
        self.later(self._pause_s, self._connect)
        self._pause_s = min(LONGEST_PAUSE_S, 2 * self._pause_s or PAUSE_S)
        self.later(self._lost_s, self._look_for_silence)

    def _take(self, link: Link, text: str) -> None:
        if link is not self._link or self.over:
            return
        frame = frames.to_runner(text)
        if isinstance(frame, frames.Welcome):
            self._begin(link, frame)
        elif isinstance(frame, frames.Evicted):
            self.stage.note(self.name, "evicted: {}", frame.reason)
            self._be_over()
        elif isinstance(frame, frames.Pong):
            self._heard = self.time
        elif isinstance(frame, frames.Commands):
            for command in frame.commands:
                self._obey(command)
        elif isinstance(frame, frames.EventsStored):
            self._confirm(frame.index)
            self._flush()
        elif isinstance(frame, frames.RequestStart):
            self._request(frame)
        elif isinstance(frame, frames.Loaded | frames.Saved):
            asked = self._asked.pop(frame.id, None)
            if asked is not None:
                asked[1](frame)

    def _begin(self, link: Link, welcome: frames.Welcome) -> None:
        if self._welcome is not None:
            return
        if welcome.runner != self._id:
            self._drop_all("")
            self._events, self._last, self._seen = [], 0, 0
            self._asked.clear()
        self._id = welcome.runner
        self.notes.runner_is(self._id, self)
        self._welcome = welcome
        self._heard = self.time
        self._pause_s = 0.0
        self._last = max(self._last, welcome.events)
        self._confirm(welcome.events)
        self._sent_at = 0.0
        for id, (question, ask, _) in list(self._asked.items()):
            self._asked[id] = (question, ask, self.time)
            self.say(question)
        self._flush()
        self.later(welcome.ping_ms / 1000, partial(self._ping, link))

    def _ping(self, link: Link) -> None:
        if link is not self._link or self._welcome is None:
            return
        asked = [at for _, _, at in self._asked.values()]
        asked += [self._sent_at] if self._sent_at else []
        if asked and self.time - min(asked) >= self._lost_s:
            self._drop(link)
            return
        self._look_for_silence()
        if link is self._link:
            self.say(frames.Ping(round((self.time - self._heard) * 1000)))
            self.later(self._welcome.ping_ms / 1000, partial(self._ping, link))

    @property
    def _lost_s(self) -> float:
        return self.notes.lost_ms / 1000

    def _look_for_silence(self) -> None:
        """The actors are given to others by now."""
        if self._id and self.time - self._heard >= self._lost_s:
            self._drop_all("cut off for too long")
            if self._link is not None and self._welcome is not None:
                self._drop(self._link)

    def say(self, frame: frames.Frame) -> None:
        if self._link is not None and self._welcome is not None:
            self._link.send(frames.encode(frame))

    # -- events and questions ---------------------------------------------------------------------

    def report(self, actor: str, generation: int, report: Report) -> None:
        self._last += 1
        self._events.append(Event(self._last, actor, generation, report))
        self._flush()

    def _flush(self) -> None:
        if self._events and not self._sent_at and self._welcome is not None:
            self._sent_at = self.time or 0.001
            self.say(frames.Events(tuple(self._events), self._seen))

    def _confirm(self, index: int) -> None:
        self._events = [each for each in self._events if each.index > index]
        self._sent_at = 0.0

    def ask(self, make: Callable[[str], frames.Frame], ask: Ask) -> None:
        """Send a question on every connection until it is answered."""
        id = f"{self.name}.{next(self._ids)}"
        question = make(id)
        self._asked[id] = (question, ask, self.time)
        self.say(question)

    # -- actors -----------------------------------------------------------------------------------

    def _obey(self, command: Command) -> None:
        if command.index <= self._seen:
            return
        if command.index != self._seen + 1:
            text = f"{self._id} has command {self._seen}, and is given {command.index}"
            self.stage.end(Violation("no command is lost", text))
        self._seen = command.index
        order = command.order
        present = self.hosted.get(order.actor)
        if isinstance(order, frames.StartActor):
            if present is not None and present.generation >= order.generation:
                return
            if present is not None:
                present.drop("")
            hosted = self.hosted[order.actor] = Hosted(self, order)
            hosted.start()
        elif present is not None and present.generation == order.generation:
            present.stop(order.forever)

    def _request(self, frame: frames.RequestStart) -> None:
        hosted = self.hosted.get(frame.actor)
        if hosted is not None and hosted.generation == frame.generation:
            hosted.request(frame)
        else:
            self.say(frames.Refused(frame.request, "not_here"))

    def _drop_all(self, error: str) -> None:
        for hosted in list(self.hosted.values()):
            hosted.drop(error)
