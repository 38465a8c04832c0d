"""The requests of one actor: who waits, who runs, and what each is answered.

What must stay true
- Every request that is taken is answered or refused once, unless it is aborted: whoever takes its
  id out of `_owed` answers for it.
- Requests begin in the order in which they came, `concurrency` of them at a time. One that has not
  begun when the actor stops, or when nobody waits for it any more, never begins.
- An answer leaves after `Memory.keep`. Where the state cannot be saved, that is the answer.
- An answer's frames are queued together: nothing that happens to the actor cuts it off.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any

from engine.allocation.frames import Refused, ResponseChunk, ResponseStart
from engine.errors import InvalidValue
from engine.ports import Clock
from engine.stateful.actor import StatefulActor
from engine.stateful.bodies import answer_frames
from engine.stateful.declaring import Definition
from engine.stateful.exchange import Request, Response, failure, response_of
from engine.stateful.line import Line
from engine.stateful.memory import Memory

log = logging.getLogger("tidestep")

NOT_HERE, STOPPING, FAILED = "not_here", "stopping", "failed"
"""Why a request is refused: `engine.allocation.frames.Refused`."""

KEPT_BYTES = 256 << 10
KEPT_ANSWERS = 8
"""Of one actor: enough for what was on its way when a connection broke."""

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Answering:
    """`started` is resolved with the actor when it takes requests. `changed` is called whenever
    `busy` may have changed."""

    def __init__(
        self,
        definition: Definition,
        started: asyncio.Future[StatefulActor[Any]],
        *,
        line: Line,
        memory: Memory,
        clock: Clock,
        spawn: Spawn,
        changed: Callable[[], None],
    ) -> None:
        self.turns = asyncio.Semaphore(definition.concurrency)
        self.tasks: set[asyncio.Task[None]] = set()
        self._definition = definition
        self._started = started
        self._line = line
        self._memory = memory
        self._clock = clock
        self._spawn = spawn
        self._changed = changed
        self._owed: dict[str, asyncio.Task[None]] = {}
        self._begun: set[str] = set()
        self._answers: OrderedDict[str, Sequence[ResponseStart | ResponseChunk]] = OrderedDict()
        """The newest answers, bounded in number and size: they may be asked for again."""
        self._kept_bytes = 0

    @property
    def busy(self) -> bool:
        return bool(self.tasks)

    def take(self, id: str, request: Request) -> None:
        """Answer it in its turn, as `id`; what is being answered already is not begun again."""
        if id in self._owed:
            return
        if id in self._answers:  # our connection has changed: what went out on the old may be lost
            for frame in self._answers[id]:
                self._line.put(frame)
            return
        task = self._spawn(self._serve(id, request))
        self._owed[id] = task
        self.tasks.add(task)
        task.add_done_callback(lambda task: self._ended(task, id))
        self._changed()

    def abort(self, request: str) -> None:
        """Nobody waits for it any more."""
        task = self._forget(request)
        if task is not None:
            task.cancel()

    def refuse_waiting(self, code: str) -> None:
        """Those that have not begun."""
        for request in [each for each in self._owed if each not in self._begun]:
            self._refuse(request, code)

    def refuse_all(self, code: str, message: str = "") -> None:
        """Those too that are running; what they still do is not waited for."""
        for request in list(self._owed):
            self._refuse(request, code, message)
        for task in self.tasks:
            task.cancel()

    async def _serve(self, id: str, request: Request) -> None:
        actor = await asyncio.shield(self._started)
        async with self.turns:
            now = datetime.fromtimestamp(self._clock.now() / 1000, UTC)
            if request.deadline is not None and request.deadline <= now:
                self._refuse(id, FAILED, "its deadline had passed before its turn came")
                return
            self._begun.add(id)
            response = await self._response(actor, request)
            try:
                await self._memory.keep()
            except Exception as error:
                log.exception("%s: the state cannot be saved", self._label(request))
                response = failure(error)
            if self._forget(id) is not None:
                await self._reply(id, response)

    async def _response(self, actor: StatefulActor[Any], request: Request) -> Response:
        if not self._definition.handles("on_request"):
            return failure(NotImplementedError("this actor takes no requests"), 501)
        try:
            return response_of(await actor.on_request(request))
        except Exception as error:
            log.exception("%s failed", self._label(request))
            return failure(error)

    async def _reply(self, id: str, response: Response) -> None:
        try:
            frames = list(answer_frames(id, response))
            left = self._line.put(frames[0])
        except InvalidValue as error:  # its headers are too long
            log.exception("actor '%s': an answer cannot be sent", self._definition.name)
            frames = list(answer_frames(id, failure(error)))
            left = self._line.put(frames[0])
        for frame in frames[1:]:
            left = self._line.put(frame)
        self._keep_answer(id, frames)
        await left

    def _keep_answer(self, id: str, frames: Sequence[ResponseStart | ResponseChunk]) -> None:
        self._answers[id] = frames
        self._kept_bytes += _size(frames)
        while self._kept_bytes > KEPT_BYTES or len(self._answers) > KEPT_ANSWERS:
            _, oldest = self._answers.popitem(last=False)
            self._kept_bytes -= _size(oldest)

    def _refuse(self, request: str, code: str, message: str = "") -> None:
        task = self._forget(request)
        if task is not None:
            self._line.put(Refused(request, code, message))
            if task is not asyncio.current_task():
                task.cancel()

    def _forget(self, request: str) -> asyncio.Task[None] | None:
        """Whoever is given the task answers for the request."""
        self._begun.discard(request)
        return self._owed.pop(request, None)

    def _ended(self, task: asyncio.Task[None], request: str) -> None:
        self.tasks.discard(task)
        if self._owed.get(request) is task:  # its handler has cancelled itself
            self._refuse(request, FAILED, "its handler was cancelled")
        self._changed()

    def _label(self, request: Request) -> str:
        return f"actor '{self._definition.name}': {request!r}"


def _size(frames: Sequence[ResponseStart | ResponseChunk]) -> int:
    return sum(len(frame.body) for frame in frames)
