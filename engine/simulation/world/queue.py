"""The simulated queue: messages as SQS keeps them, and a process's way to it.

What must stay true
- A message is on the queue until it is deleted, given up, or too old; faults may make it two, bring
  it at another time, or bring it back. It is never changed.
- A receipt belongs to one receive. It hides the message for the visibility time-out; after that
  the message goes to somebody else, whoever still works on it.
- SQS's own bounds are refused aloud: 900 s of delay, 1 MiB of text.
- A message carries the chain of invocations that led to it, as AWS's trace header does.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from engine.errors import TooLarge
from engine.ports import Delivery, Send
from engine.simulation.world.line import Line
from engine.simulation.world.process import Process
from engine.simulation.world.stage import Stage

LONGEST_DELAY_MS = 900_000
LARGEST_BYTES = 1 << 20
BATCH = 10
_SENDING = ("duplicated", "late", "expired")
_DELAYING = (*_SENDING, "early")
_IMPATIENT_MS = 20_000
_RESURRECTED_MS = 600_000


@dataclass(slots=True)
class Stored:
    """One message on the queue."""

    number: int
    body: str
    subject: str
    """What it is about, as faults name it."""
    chain: Mapping[str, int]
    sent_at: int
    visible_at: int
    receives: int = 0
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """What deleting a received message takes."""

    message: Stored
    receives: int


class Mailbox:
    """What is on one queue. `on_change` is told when a receive may find something at a time."""

    def __init__(
        self,
        stage: Stage,
        name: str,
        *,
        visibility_ms: int,
        retention_ms: int,
        max_receives: int,
        dead_letters: Mailbox | None = None,
        subject_of: Callable[[str], str] = lambda body: "message",
    ) -> None:
        self.name = name
        self.on_change: Callable[[int], None] = lambda at: None
        self._stage = stage
        self._visibility_ms = visibility_ms
        self._retention_ms = retention_ms
        self._max_receives = max_receives
        self._dead_letters = dead_letters
        self._subject_of = subject_of
        self._numbers = count(1)
        self._banned: set[str] = set()
        self._held: dict[int, Stored] = {}
        self._order: list[tuple[int, int]] = []
        """(visible at, number); an entry that its message has outlived is skipped."""

    def __len__(self) -> int:
        """Messages that are there, hidden ones too."""
        return len(self._held)

    @property
    def bodies(self) -> list[str]:
        return [message.body for message in self._held.values()]

    def backlog(self) -> int:
        now = self._stage.now()
        return sum(message.visible_at <= now for message in self._held.values())

    def next_visible(self) -> int | None:
        while self._order:
            at, number = self._order[0]
            message = self._held.get(number)
            if message is not None and message.visible_at == at:
                return at
            heapq.heappop(self._order)
        return None

    # -- arriving ---------------------------------------------------------------------------------

    def send(self, send: Send, chain: Mapping[str, int]) -> None:
        _check(send)
        dice, now = self._stage.dice, self._stage.now()
        subject = self._subject_of(send.body)
        delay = -(-send.delay_ms // 1000) * 1000
        fault = dice.fault("send", _DELAYING if delay else _SENDING, subject)
        self._stage.note(self.name, "{} sent, delay {} s", subject, delay // 1000)
        self._stage.tell(lambda observer, at: observer.sent(send.body, send.delay_ms, at))
        if fault == "expired":
            reason = "retention"
            self._stage.tell(lambda observer, at: observer.dead_lettered(send.body, reason, at))
            return
        if fault == "late":
            delay += dice.size("late_ms", subject)
        if fault == "early":
            delay = dice.pick(f"early:{subject}", delay + 1)
        self._add(send.body, subject, chain, now + delay)
        if fault == "duplicated":
            self._add(send.body, subject, chain, now + delay + dice.size("late_ms", subject))

    def _add(self, body: str, subject: str, chain: Mapping[str, int], visible_at: int) -> None:
        if any(mark in body for mark in self._banned):
            return
        number = next(self._numbers)
        message = Stored(number, body, subject, chain, self._stage.now(), visible_at)
        self._held[number] = message
        self._show(message, visible_at)

    def _show(self, message: Stored, at: int) -> None:
        message.visible_at = at
        heapq.heappush(self._order, (at, message.number))
        self.on_change(at)

    # -- received ---------------------------------------------------------------------------------

    def receive(self, limit: int = BATCH) -> list[Receipt]:
        """Up to ten visible messages, which are hidden from others for a while."""
        return [self._take(message) for message in self._visible(min(limit, BATCH))]

    def _visible(self, limit: int) -> list[Stored]:
        """The next messages in turn; the rest stays as it is."""
        now, dice = self._stage.now(), self._stage.dice
        found: list[Stored] = []
        while (at := self.next_visible()) is not None and at <= now:
            _, number = heapq.heappop(self._order)
            message = self._held[number]
            if not self._is_over(message, now):
                found.append(message)
            if len(found) == 2 * limit:
                break
        if len(found) > 1 and dice.fault("receive", ("reordered",), found[0].subject):
            site = f"turn:{found[0].subject}"
            found.sort(key=lambda message: dice.chance(site))
            limit = 1 + dice.pick(site, limit)
        for message in found[limit:]:
            self._show(message, message.visible_at)
        return found[:limit]

    def _is_over(self, message: Stored, now: int) -> bool:
        if now - message.sent_at > self._retention_ms:
            self._give_up(message, "retention")
        elif message.receives >= self._max_receives or self._is_unlucky(message):
            self._give_up(message, "received too often")
        else:
            return False
        return True

    def _is_unlucky(self, message: Stored) -> bool:
        if self._dead_letters is None:
            return False
        return bool(self._stage.dice.fault("receive", ("given_up",), message.subject))

    def _take(self, message: Stored) -> Receipt:
        dice = self._stage.dice
        message.receives += 1
        hidden = self._visibility_ms
        if dice.fault("visibility", ("impatient",), message.subject):
            hidden = 1 + dice.pick(f"impatient:{message.subject}", _IMPATIENT_MS)
        self._show(message, self._stage.now() + hidden)
        return Receipt(message, message.receives)

    def _give_up(self, message: Stored, reason: str) -> None:
        self._held.pop(message.number)
        self._stage.note(self.name, "{} given up: {}", message.subject, reason)
        self._stage.tell(lambda observer, at: observer.dead_lettered(message.body, reason, at))
        if self._dead_letters is not None and reason != "retention":
            # a dead letter keeps its age, and what it is of the chain
            number = next(self._dead_letters._numbers)
            moved = Stored(number, message.body, message.subject, message.chain, message.sent_at, 0)
            self._dead_letters._held[number] = moved
            self._dead_letters._show(moved, self._stage.now())

    # -- done -------------------------------------------------------------------------------------

    def delete(self, receipt: Receipt) -> None:
        """The receipt of an earlier receive deletes too, as SQS's may or may not."""
        message = receipt.message
        if message.number not in self._held:
            return
        self._stage.tell(lambda observer, at: observer.acknowledged(message.body, at))
        if self._stage.dice.fault("delete", ("resurrected",), message.subject):
            delay = self._stage.dice.pick(f"resurrected:{message.subject}", _RESURRECTED_MS)
            self._show(message, self._stage.now() + delay)
            return
        del self._held[message.number]

    def ban(self, mark: str) -> None:
        """Messages whose text holds this mark are gone for good: nobody is told."""
        self._banned.add(mark)
        for number in [n for n, message in self._held.items() if mark in message.body]:
            del self._held[number]

    def release(self, receipt: Receipt, delay_ms: int) -> None:
        message = receipt.message
        if message.number in self._held and message.receives == receipt.receives:
            self._show(message, self._stage.now() + delay_ms)


class SimulatedQueue:
    """Implements `engine.ports.Queue` for one process."""

    def __init__(self, mailbox: Mailbox, line: Line, process: Process) -> None:
        self._mailbox = mailbox
        self._line = line
        self._process = process

    async def send(self, sends: Sequence[Send]) -> None:
        for send in sends:
            _check(send)
        for start in range(0, len(sends), BATCH):
            await self._send_batch(sends[start : start + BATCH])

    async def acknowledge(self, delivery: Delivery) -> None:
        await self._line.write("acknowledge", lambda: self._mailbox.delete(delivery.receipt))

    async def backlog(self) -> int:
        return await self._line.read("backlog", self._read_backlog)

    def _read_backlog(self) -> int:
        messages, name = self._mailbox.backlog(), self._process.name
        self._process.stage.tell(lambda observer, at: observer.backlog_read(messages, name, at))
        return messages

    async def _send_batch(self, sends: Sequence[Send]) -> None:
        chain = self._process.chain

        def send_some(some: Sequence[Send]) -> None:
            for send in some:
                self._mailbox.send(send, chain)

        half = len(sends) // 2
        await self._line.write(
            "send", lambda: send_some(sends), part=lambda: send_some(sends[half:])
        )


def _check(send: Send) -> None:
    """Raises what SQS refuses: no engine may rely on a queue that takes more."""
    if not 0 <= send.delay_ms <= LONGEST_DELAY_MS:
        raise ValueError(f"a delay of {send.delay_ms} ms: SQS takes 0 to {LONGEST_DELAY_MS}")
    if len(send.body.encode()) > LARGEST_BYTES:
        raise TooLarge(f"a message has {len(send.body):,} bytes; SQS takes at most 1 MiB")
