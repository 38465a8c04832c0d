"""An event loop on virtual time, and the hosts that its code runs on.

What must stay true
- Nothing here waits, opens a socket or starts a thread. When nothing is ready, time jumps to the
  next timer: a month takes as long as a minute.
- What runs next follows from what was scheduled, in which order, and for when. There is no other
  input, so that the same program takes the same course in every process.
- Everything that a host's code has scheduled belongs to the host, through the context that tasks
  inherit. A killed host's code never runs again: not its tasks, not its timers, not their `finally`
  blocks. A frozen host's code waits until it is thawed, and then goes on as if nothing had been.
"""

from __future__ import annotations

import asyncio
import heapq
from asyncio import Handle, Task, TimerHandle
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context, ContextVar
from itertools import count
from typing import Any, NoReturn, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

STANDSTILL = 1_000_000
"""Callbacks at one instant of virtual time before the loop says that time does not go on."""
_FEW_TASKS = 1000


class Deadlock(Exception):
    """Something still waits, and nothing is left that could ever happen."""


class Standstill(Exception):
    """Code goes round and round without any time passing."""


class Host:
    """What can be killed or frozen as a whole: all that was spawned on it."""

    __slots__ = ("_held", "alive", "frozen", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.frozen = False
        self._held: list[Handle] = []

    def spawn(self, work: Coroutine[Any, Any, Any]) -> Task[Any]:
        """Run `work` on this host. Call it while the loop runs."""
        context = Context()
        context.run(_HOST.set, self)
        return asyncio.get_running_loop().create_task(work, context=context)

    def kill(self) -> None:
        self.alive = False
        self._held.clear()

    def freeze(self) -> None:
        self.frozen = True

    def hold(self, handle: Handle) -> None:
        """Keep what would have run while the host is frozen."""
        self._held.append(handle)

    def thaw(self) -> list[Handle]:
        """What was to run meanwhile, in order."""
        self.frozen = False
        held, self._held = self._held, []
        return held


_HOST: ContextVar[Host | None] = ContextVar("host", default=None)

_Entry = tuple[Host | None, Handle]


class VirtualLoop(asyncio.BaseEventLoop):
    """Close it at the end; what was abandoned on killed hosts is disposed of only then.

    It is an ordinary event loop too: `asyncio.Runner(loop_factory=VirtualLoop)` runs a test of any
    asynchronous code without its waiting.
    """

    def __init__(self) -> None:
        self._active = False
        super().__init__()
        self.complaints: list[BaseException] = []
        """What escaped from callbacks and from tasks that nobody awaits."""
        self._now = 0.0
        self._due: deque[_Entry] = deque()
        self._timers: list[tuple[float, int, Host | None, TimerHandle]] = []
        self._numbers = count()
        self._kept: list[Task[Any]] = []
        self._keep = _FEW_TASKS
        self._halted = False

    # -- time and scheduling ----------------------------------------------------------------------

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._now

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> Handle:
        handle = Handle(callback, args, self, context)
        host = _HOST.get() if context is None else context.get(_HOST)
        self._due.append((host, handle))
        return handle

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> TimerHandle:
        timer = TimerHandle(when, callback, args, self, context)
        host = _HOST.get() if context is None else context.get(_HOST)
        heapq.heappush(self._timers, (when, next(self._numbers), host, timer))
        return timer

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> NoReturn:
        raise RuntimeError("a simulation has one thread; the order of several is not repeatable")

    def run_in_executor(
        self, executor: Any, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run `func` here and now, whatever the executor."""
        ended: asyncio.Future[T] = self.create_future()
        try:
            ended.set_result(func(*args))
        except Exception as error:
            ended.set_exception(error)
        return ended

    def thaw(self, host: Host) -> None:
        """Let a frozen host go on, unless it has been killed."""
        self._due.extend((host, handle) for handle in host.thaw())

    def create_task(self, coro: Any, **options: Any) -> Task[Any]:
        # A task that nothing refers to is collected and closed, at a moment that is the collector's
        # to choose; a killed host's would run its `finally` blocks then.
        task: Task[Any] = super().create_task(coro, **options)
        self._kept.append(task)
        if len(self._kept) > self._keep:
            self._kept = [each for each in self._kept if not each.done()]
            self._keep = 2 * len(self._kept) + _FEW_TASKS
        return task

    # -- running ----------------------------------------------------------------------------------

    def run_dry(self, until: float) -> bool:
        """Run until nothing is left to run; False where time would pass `until` first.

        `stop` ends it early, with True.
        """
        with self._running():
            while not self._halted:
                if not self._due and not self._jump(until):
                    return not self._timers
                self._run_due()
        return True

    def run_forever(self) -> None:
        """Raises Deadlock when nothing is left to run."""
        with self._running():
            while not self._halted:
                if not self._due and not self._jump(float("inf")):
                    waiting = [task.get_name() for task in self._kept if not task.done()]
                    raise Deadlock(f"nothing is left that could happen; waiting: {waiting}")
                self._run_due()

    def stop(self) -> None:
        self._halted = True

    def is_running(self) -> bool:
        return self._active

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.complaints.append(error or RuntimeError(context.get("message", "unknown")))

    def close(self) -> None:
        if self.is_closed():
            return
        self._due.clear()
        self._timers.clear()
        for task in self._kept:
            if not task.done():
                _dispose(task)
        self._kept.clear()
        super().close()

    def _running(self) -> _Running:
        if self._active or asyncio._get_running_loop() is not None:
            raise RuntimeError("a simulation runs a loop of its own: call it from plain code")
        return _Running(self)

    def _set_active(self, active: bool) -> None:
        self._active = active
        self._halted = False
        asyncio._set_running_loop(self if active else None)

    def _jump(self, until: float) -> bool:
        """Go on to the next timer; False where there is none up to `until`."""
        timers = self._timers
        while timers:
            when, _, host, timer = timers[0]
            if timer.cancelled() or (host is not None and not host.alive):
                heapq.heappop(timers)
                continue
            if when > until:
                return False
            heapq.heappop(timers)
            self._now = max(self._now, when)
            self._due.append((host, timer))
            return True
        return False

    def _run_due(self) -> None:
        """Run all that is ready now, and what that makes ready."""
        due = self._due
        left = STANDSTILL
        while due and not self._halted:
            host, handle = due.popleft()
            if handle.cancelled():
                continue
            if host is not None:
                if not host.alive:
                    continue
                if host.frozen:
                    host.hold(handle)
                    continue
            handle._run()
            left -= 1
            if not left:
                raise Standstill(f"{STANDSTILL:,} callbacks at one instant; the last: {handle!r}")


class _Running:
    """The loop is this thread's running loop meanwhile."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def __enter__(self) -> None:
        self._loop._set_active(True)

    def __exit__(self, *_: object) -> None:
        self._loop._set_active(False)


def _dispose(task: Task[Any]) -> None:
    """End an abandoned task's coroutine without the complaint that it never ended."""
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    coroutine = task.get_coro()
    if coroutine is not None:
        with suppress(BaseException):  # whatever its `finally` blocks do, the simulation is over
            coroutine.close()
