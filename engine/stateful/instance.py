"""One actor as it runs here: started, asked, woken by its alarm, stopped or dropped.

Theory: it is STARTING until `on_start` has ended, READY until it is told to stop, STOPPING until it
has saved, and GONE for ever. What comes while it is STARTING waits. What comes while it is STOPPING
is refused, and so is what has not begun by then.

What must stay true
- `Stopped` is reported once, and nothing of this generation is reported after it. An instance that
  is GONE writes nothing and sends nothing.
- What a handler raises is the handler's: the actor lives on, with the state that it has left.
  `on_start` and `on_alarm` have nobody to answer to: what they raise is a crash of the actor.
- An alarm is taken off after the state that `on_alarm` has left is saved, and only where nobody has
  set another one meanwhile. So it rings at least once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from enum import Enum, auto
from typing import Any

import msgspec

from engine.allocation.frames import (
    Alarm,
    Refused,
    Running,
    Sleep,
    SocketClose,
    SocketOpen,
    StartActor,
    Stop,
    Stopped,
)
from engine.json_values import decode_json, encode_json
from engine.ports import Clock
from engine.stateful.actor import StatefulActor
from engine.stateful.alarms import AlarmTimer
from engine.stateful.answering import FAILED, NOT_HERE, STOPPING, Answering, Spawn
from engine.stateful.declaring import Definition
from engine.stateful.exchange import Request, message_of
from engine.stateful.kv import KeyValues
from engine.stateful.line import Line
from engine.stateful.memory import Memory
from engine.stateful.sockets import CRASHED, GOING_AWAY, RESTARTING
from engine.stateful.talking import Talking

log = logging.getLogger("tidestep")

RESERVE_S = 5.0
"""Of the time for a stop, what is kept for `on_sleep` and the last save; at most a third of it."""
UNWINDING_S = 1.0
"""How long a cancelled handler may take to end."""


class Phase(Enum):
    STARTING = auto()
    READY = auto()
    STOPPING = auto()
    GONE = auto()


class Instance:
    """Implements `engine.stateful.actor.Hosting`. `left` is told when it is GONE."""

    def __init__(
        self,
        definition: Definition,
        order: StartActor,
        *,
        line: Line,
        clock: Clock,
        stop_ms: int,
        spawn: Spawn,
        switchboard: dict[str, Talking],
        left: Callable[[Instance], None],
    ) -> None:
        self.id = order.actor
        self.name = order.name
        self.key = order.key
        self.generation = order.generation
        self.input: Any = None
        self._definition = definition
        self._line = line
        self._clock = clock
        self._stop_s = stop_ms / 1000
        self._spawn = spawn
        self._left = left
        self._phase = Phase.STARTING
        self._drowsy = False
        """It has asked to leave, and is about to be told so."""
        self._actor: StatefulActor[Any] | None = None
        self._started: asyncio.Future[StatefulActor[Any]]
        self._started = asyncio.get_running_loop().create_future()
        self._memory = Memory(line, self.id, self.generation, self._encoded, self._moved)
        self.kv = KeyValues(self._memory)
        self._answering = Answering(
            definition,
            self._started,
            line=line,
            memory=self._memory,
            clock=clock,
            spawn=spawn,
            changed=self._rest,
        )
        self._talking = Talking(
            definition,
            self._started,
            line=line,
            memory=self._memory,
            spawn=spawn,
            changed=self._rest,
            switchboard=switchboard,
        )
        self._alarm = AlarmTimer(clock, self._ring)
        self._alarm.set(order.alarm_at)
        self._idle: asyncio.TimerHandle | None = None
        self._starting: asyncio.Task[None] | None = None
        self._ringing: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<{self.name} {self.id}, generation {self.generation}, {self._phase.name.lower()}>"

    # -- from the other side ----------------------------------------------------------------------

    def start(self) -> None:
        self._line.report(self.id, self.generation, Running())
        self._starting = self._spawn(self._start())

    def request(self, id: str, request: Request) -> None:
        if self._phase is Phase.STOPPING:
            self._line.put(Refused(id, STOPPING))
        else:
            self._answering.take(id, request)

    def abort(self, request: str) -> None:
        self._answering.abort(request)

    def open_socket(self, frame: SocketOpen) -> None:
        if self._phase is Phase.STOPPING or self._drowsy:  # it would be closed again at once
            self._line.put(SocketClose(frame.socket, RESTARTING, STOPPING))
        else:
            self._talking.open(frame)

    def stop(self, forever: bool) -> None:
        """Let it end in order; `forever` where what it leaves behind is deleted."""
        if self._phase in (Phase.STARTING, Phase.READY):
            self._phase = Phase.STOPPING
            self._rest()
            self._alarm.disarm()
            self._answering.refuse_waiting(STOPPING)
            self._talking.close_all(GOING_AWAY, "the actor goes to sleep", STOPPING)
            self._stopping = self._spawn(self._stop(forever))

    def drop(self, error: str = "") -> None:
        """End it here and now, unsaved: it is, or is about to be, somebody else's."""
        self._leave(NOT_HERE, "", Stopped(error) if error else None)

    # -- what the actor asks for ------------------------------------------------------------------

    def now(self) -> int:
        return self._clock.now()

    def sleep(self) -> None:
        if self._phase in (Phase.STARTING, Phase.READY):
            self._drowsy = True
            self._line.report(self.id, self.generation, Sleep())

    def destroy(self) -> None:
        if self._phase is not Phase.GONE:
            self._drowsy = True
            self._line.report(self.id, self.generation, Stop())

    async def set_alarm(self, at: int) -> None:
        await self._memory.keep()
        index = self._line.report(self.id, self.generation, Alarm(at))
        self._alarm.set(at)
        await self._line.outbox.stored(index)

    async def save(self) -> None:
        await self._memory.keep()

    # -- its life ---------------------------------------------------------------------------------

    async def _start(self) -> None:
        try:
            loaded = await self._memory.load()
            if isinstance(loaded.input, msgspec.Raw):
                self.input = decode_json(loaded.input)
            actor = self._definition.kind()
            actor._hosting = self
            actor.state = self._first_state(loaded.state)
            self._actor = actor
            await actor.on_start()
        except Exception as error:
            log.exception("%r could not start", self)
            self._crash(error, FAILED)
        except asyncio.CancelledError as error:
            if self._phase is Phase.STARTING:  # by itself: nobody else cancels it then
                self._crash(error, FAILED)
            raise
        else:
            if self._phase is Phase.STARTING:
                self._phase = Phase.READY
                self._alarm.arm()  # before the requests: it is the older one
            if self._phase is not Phase.GONE:
                self._started.set_result(actor)
                self._rest()

    async def _run_alarm(self) -> None:
        try:
            actor = await asyncio.shield(self._started)
            async with self._answering.turns:
                if self._phase is not Phase.READY:
                    return
                changes = self._alarm.changes
                await actor.on_alarm()
                await self._memory.keep()
                if self._alarm.changes == changes:
                    self._alarm.set(0)
                    self._line.report(self.id, self.generation, Alarm(0))
        except Exception as error:
            log.exception("%r: on_alarm failed", self)
            self._crash(error, NOT_HERE)
        except asyncio.CancelledError as error:
            if self._phase is Phase.READY:
                self._crash(error, NOT_HERE)
            raise
        finally:
            self._ringing = None
            if self._phase is Phase.READY:
                self._alarm.arm()
                self._rest()

    async def _stop(self, forever: bool) -> None:
        until = asyncio.get_running_loop().time() + self._stop_s
        reserve = min(RESERVE_S, self._stop_s / 3)
        await self._end_handlers(until - reserve)
        error = ""
        if self._actor is not None and self._started.done():
            try:
                async with asyncio.timeout_at(until - reserve / 2):
                    await self._actor.on_sleep()
            except Exception:
                log.exception("%r: on_sleep failed", self)
            except asyncio.CancelledError:
                if self._phase is Phase.GONE:  # else it has cancelled itself
                    raise
            try:
                if not forever:
                    await self._memory.keep()
            except Exception as failed:
                log.exception("%r: the last state cannot be saved", self)
                error = _described(failed)
        self._leave(STOPPING, "", Stopped(error))

    async def _end_handlers(self, until: float) -> None:
        """Let what runs end, and cancel what still runs then."""
        own = {task for task in (self._starting, self._ringing) if task is not None}
        running = own | self._answering.tasks | self._talking.tasks
        running = {task for task in running if not task.done()}
        if running:
            left = until - asyncio.get_running_loop().time()
            _, running = await asyncio.wait(running, timeout=max(0.0, left))
        if running:
            log.warning("%r: %d handlers have not ended in time", self, len(running))
            self._answering.refuse_all(STOPPING)
            for task in running:
                task.cancel()
            await asyncio.wait(running, timeout=UNWINDING_S)

    def _leave(self, code: str, message: str, stopped: Stopped | None) -> None:
        """Be GONE. `code` is what waiting requests are told."""
        if self._phase is Phase.GONE:
            return
        self._phase = Phase.GONE
        self._rest()
        self._alarm.disarm()
        self._memory.shut()
        self._answering.refuse_all(code, message)
        self._talking.close_all(CRASHED if code == FAILED else RESTARTING, code, code)
        for task in (*self._talking.tasks, self._starting, self._ringing, self._stopping):
            if task is not None and task is not asyncio.current_task():
                task.cancel()
        if stopped is not None:
            self._line.report(self.id, self.generation, stopped)
        self._left(self)

    def _crash(self, error: BaseException, code: str) -> None:
        described = _described(error)
        self._leave(code, described if code == FAILED else "", Stopped(described))

    def _moved(self, refusal: str) -> None:
        log.warning("%r is not here any more: %s", self, refusal)
        self._leave(NOT_HERE, "", Stopped(f"refused: {refusal}"[:200]))

    # -- its alarm, its rest, its state -----------------------------------------------------------

    def _ring(self) -> None:
        if self._phase is Phase.READY and self._ringing is None:
            self._ringing = self._spawn(self._run_alarm())
            self._rest()

    def _rest(self) -> None:
        """Something began or ended: count the idle time from now, or not at all."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        busy = self._answering.busy or self._talking.busy or self._ringing is not None
        if self._phase is Phase.READY and not busy and self._definition.idle is not None:
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(self._definition.idle, self._doze)

    def _doze(self) -> None:
        self.sleep()
        self._rest()

    def _first_state(self, stored: msgspec.Raw | msgspec.UnsetType) -> Any:
        shape = self._definition.shape
        if shape is None or not isinstance(stored, msgspec.Raw):
            return self._definition.new_state()
        return shape.load(decode_json(stored), "the stored state")

    def _encoded(self) -> bytes | None:
        shape = self._definition.shape
        if shape is None or self._actor is None:
            return None
        what = f"the state of actor '{self.name}'"
        return encode_json(shape.dump(self._actor.state, what), what)


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {message_of(error)}".removesuffix(": ")
