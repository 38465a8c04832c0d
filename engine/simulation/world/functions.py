"""Functions as Lambda runs them: processes that are made as needed, and serve one invocation each.

What must stay true
- A process serves one invocation at a time and keeps what its handler keeps between them. A process
  that was killed serves no more; a new one begins without what the old one knew.
- An invocation ends once: with a result, with an error, or with its process. Its time is over after
  the function's time-out, and then the process is killed whatever it does. (A frozen process
  outlives that, as one of a worker of your own would, and gets its time when it is thawed.)
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Generic, TypeVar

from engine.errors import TidestepError
from engine.simulation.observing import Violation
from engine.simulation.world.process import Process
from engine.simulation.world.stage import Stage

H = TypeVar("H")
T = TypeVar("T")


class ProcessDied(Exception):
    """How an invocation ends whose process was killed."""


class Function(Generic[H]):
    """One deployed function. `make` is its composition root: it runs once in each new process."""

    def __init__(
        self,
        stage: Stage,
        name: str,
        make: Callable[[Process], H],
        *,
        timeout_ms: int,
        concurrency: int,
    ) -> None:
        self.name = name
        self.timeout_ms = timeout_ms
        self._stage = stage
        self._make = make
        self._concurrency = concurrency
        self._idle: deque[tuple[Process, H]] = deque()
        self.processes: list[Process] = []
        """All that were ever made."""
        self.busy = 0
        """Invocations that have not ended."""

    @property
    def has_room(self) -> bool:
        return self.busy < self._concurrency

    def invoke(
        self,
        work: Callable[[Process, H], Coroutine[Any, Any, T]],
        ended: Callable[[T | None, Exception | None], None],
        chain: Mapping[str, int] | None = None,
    ) -> None:
        """Run `work` in a process. `ended` is called later, with the result or an error."""
        process, handler = self._process()
        chain = chain or {}
        process.chain = {**chain, self.name: chain.get(self.name, 0) + 1}
        self.busy += 1

        def free(result: T | None, error: Exception | None) -> None:
            self.busy -= 1
            if process.alive:
                self._idle.append((process, handler))
            self._stage.later(0, ended, result, error)

        invocation = _Invocation(process, self.timeout_ms, free)
        process.host.spawn(invocation.run(work(process, handler)))

    def _process(self) -> tuple[Process, H]:
        """An idle process, or a new one."""
        while self._idle:
            process, handler = self._idle.popleft()
            if process.alive:
                return process, handler
        process = Process(self._stage, f"{self.name}-{len(self.processes) + 1}")
        self.processes.append(process)
        return process, self._make(process)


class _Invocation(Generic[T]):
    """One invocation, which ends once."""

    def __init__(
        self,
        process: Process,
        timeout_ms: int,
        ended: Callable[[T | None, Exception | None], None],
    ) -> None:
        self._process = process
        self._timeout_ms = timeout_ms
        self._ended = ended
        self._timer = process.stage.later(timeout_ms, self._expire)
        process.on_death = lambda: self._end(None, ProcessDied(process.name))

    async def run(self, work: Coroutine[Any, Any, T]) -> None:
        try:
            result = await work
        except Exception as error:
            self._end(None, error)
        else:
            self._end(result, None)

    def _end(self, result: T | None, error: Exception | None) -> None:
        self._timer.cancel()
        self._process.on_death = None
        self._ended(result, error)

    def _expire(self) -> None:
        if self._process.host.frozen:
            self._timer = self._process.stage.later(self._timeout_ms, self._expire)
        else:
            self._process.kill("out of time")


def escaped(stage: Stage, error: Exception | None) -> None:
    """End the simulation where an error came out of the engine that is none of its own."""
    if error is not None and not isinstance(error, TidestepError | ProcessDied):
        text = "".join(traceback.format_exception(error))
        stage.end(Violation("only known errors escape", text))
