"""What invokes functions from inside the deployment: queues and schedules.

What must stay true
- Of a batch, the messages whose records succeeded are deleted, and the others come again after
  their visibility time-out, as they all do when the process dies.
- Lambda ends a chain of messages that has led to a function 16 times, unless the function says that
  it is meant to be recursive (rule 17): the 17th message is not delivered, and dies in the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from engine.errors import TidestepError
from engine.messages import decode_message
from engine.ports import Delivery
from engine.receiving import Handled
from engine.simulation.observing import Observer
from engine.simulation.world.acting import HANDLING, Handling
from engine.simulation.world.faults import SUBJECT
from engine.simulation.world.functions import Function, escaped
from engine.simulation.world.process import Process
from engine.simulation.world.queue import Mailbox, Receipt
from engine.simulation.world.stage import Stage

H = TypeVar("H")

LONGEST_CHAIN = 16
"""Invocations of one function in one chain before Lambda stops the next."""
RESERVE_MS = 1500
"""What `functions.dispatcher` keeps back of an invocation's time."""


class Handler(Protocol):
    """What handles deliveries: the dispatcher, or the consumer of dead letters."""

    def handle(self, delivery: Delivery, deadline: int) -> Awaitable[Handled]: ...


class EventSource:
    """Receives from a queue in batches and invokes a function with each."""

    def __init__(
        self, stage: Stage, mailbox: Mailbox, function: Function[Handler], *, recursive: bool
    ) -> None:
        self._stage = stage
        self._mailbox = mailbox
        self._function = function
        self._recursive = recursive
        self._looks_at: int | None = None
        mailbox.on_change = self._look

    def _look(self, at: int) -> None:
        """Receive at `at`, if nothing is planned before."""
        at = max(at, self._stage.now())
        if self._looks_at is None or at < self._looks_at:
            self._looks_at = at
            self._stage.later(at - self._stage.now(), self._receive, at)

    def _receive(self, planned: int) -> None:
        if planned != self._looks_at:
            return  # an earlier look has been planned since, and has planned this one anew
        self._looks_at = None
        while self._function.has_room:
            receipts = self._mailbox.receive()
            if not receipts:
                break
            self._invoke(receipts)
        else:
            return  # the end of an invocation makes room, and looks again
        at = self._mailbox.next_visible()
        if at is not None:
            self._look(at)

    def _invoke(self, receipts: Sequence[Receipt]) -> None:
        name = self._function.name
        stopped = [] if self._recursive else [r for r in receipts if _is_too_long(r, name)]
        for receipt in stopped:
            self._stage.note(name, "! not invoked for {}: recursion", receipt.message.subject)
        receipts = [receipt for receipt in receipts if receipt not in stopped]
        if not receipts:
            return
        subject = receipts[0].message.subject
        if self._stage.dice.fault("invoke", ("turned_away",), subject):
            return
        self._function.invoke(
            lambda process, handler: self._batch(process, handler, receipts),
            lambda done, error: self._ended(receipts, done or []),
            _longest_chain(receipts, name),
        )

    def _ended(self, receipts: Sequence[Receipt], done: Sequence[bool]) -> None:
        for receipt, good in zip(receipts, done, strict=False):
            if good:
                self._mailbox.delete(receipt)
        self._look(self._stage.now())

    async def _batch(
        self, process: Process, handler: Handler, receipts: Sequence[Receipt]
    ) -> list[bool]:
        """Which of the records succeeded."""
        deadline = process.now() + self._function.timeout_ms - RESERVE_MS
        if len(receipts) == 1:
            return [await self._record(process, handler, receipts[0], deadline)]
        return await asyncio.gather(
            *(self._record(process, handler, receipt, deadline) for receipt in receipts)
        )

    async def _record(
        self, process: Process, handler: Handler, receipt: Receipt, deadline: int
    ) -> bool:
        stage, message, receives = self._stage, receipt.message, receipt.receives
        SUBJECT.set(message.subject)
        handling = _handling(process, message.body)
        if handling is not None:
            HANDLING.set(handling)
        stage.note(process.name, "given {}, receive {}", message.subject, receives)
        stage.tell(lambda o, at: o.delivered(message.body, process.name, receives, at))
        doomed = stage.dice.fault("delivery", ("crashed",))
        if doomed:
            process.doom()
        delivery = Delivery(message.body, None, receives)
        try:
            handled = await handler.handle(delivery, deadline)
        except Exception as error:
            _report(stage, process, message.body, error)
            return False
        if doomed and process.spare():
            await process.die("when all was done")
        stage.note(process.name, "{}: {}", message.subject, handled.what)
        stage.tell(lambda o, at: o.handled(handled, process.name, at))
        return True


class Schedule(Generic[H]):
    """Invokes a function at each full minute at which it would find something to do.

    Minutes at which it would find nothing are passed over: in a month there are 43,200.
    """

    def __init__(
        self,
        stage: Stage,
        function: Function[H],
        work: Callable[[Process, H], Coroutine[Any, Any, object]],
        *,
        every_ms: int,
        earliest: Callable[[], int | None],
    ) -> None:
        self._stage = stage
        self._function = function
        self._work = work
        self._every_ms = every_ms
        self._earliest = earliest
        self._planned: int | None = None

    def plan(self, at: int) -> None:
        """There may be something to do from `at` on."""
        due = max(at - self._stage.dice.faults.skew_ms, self._stage.now() + 1)
        tick = -(-due // self._every_ms) * self._every_ms
        if self._planned is None or tick < self._planned:
            self._planned = tick
            self._stage.later(tick - self._stage.now(), self._tick, tick)

    def _tick(self, planned: int) -> None:
        if planned != self._planned:
            return
        self._planned = None
        at = self._earliest()
        if at is None:
            return
        if at - self._stage.dice.faults.skew_ms > self._stage.now():
            self.plan(at)
            return
        self._invoke()
        if self._stage.dice.fault("schedule", ("asked_again",), self._function.name):
            self._invoke()

    def _invoke(self) -> None:
        self._function.invoke(self._scheduled, self._ended)

    async def _scheduled(self, process: Process, handler: H) -> None:
        SUBJECT.set(self._function.name)
        if self._stage.dice.fault("scheduled", ("crashed",)):
            process.doom()
        await self._work(process, handler)
        process.spare()

    def _ended(self, _: None, error: Exception | None) -> None:
        escaped(self._stage, error)
        at = self._earliest()
        if at is not None:
            self.plan(at)


def _report(stage: Stage, process: Process, body: str, error: Exception) -> None:
    stage.note(process.name, "raised {}: {}", type(error).__name__, error)
    stage.tell(lambda observer, at: _raised(observer, body, error, process.name, at))
    escaped(stage, error)


def _raised(observer: Observer, body: str, error: Exception, worker: str, at: int) -> None:
    observer.raised(body, error, worker, at)


def _handling(process: Process, body: str) -> Handling | None:
    try:
        message = decode_message(body)
    except TidestepError:
        return None
    return Handling(process, message.key, message.token)


def _is_too_long(receipt: Receipt, function: str) -> bool:
    return receipt.message.chain.get(function, 0) >= LONGEST_CHAIN


def _longest_chain(receipts: Sequence[Receipt], function: str) -> Mapping[str, int]:
    return max((r.message.chain for r in receipts), key=lambda chain: chain.get(function, 0))
