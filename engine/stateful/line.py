"""What waits to be sent to the other side, whichever connection carries it.

What must stay true
- A question (Load, Save, Fetch) is sent on every connection until it is answered: asking the same
  again changes nothing. Everything else is sent once; only what was about to be sent when a
  connection broke is sent again.
- Events go before questions, questions before the rest, which keeps its order. An answer that
  follows from a save cannot overtake it: it is not here before the save is answered.
- What does not fit into a frame is refused where it is written, as TooLarge.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

from engine.allocation.frames import (
    FRAME_BYTES,
    Events,
    Fetch,
    Fetched,
    Frame,
    Load,
    Loaded,
    Report,
    Save,
    Saved,
    UnknownFrame,
    encode,
)
from engine.errors import InvalidValue, TooLarge
from engine.stateful.outbox import Outbox

A = TypeVar("A", Loaded, Saved, Fetched)


@dataclass(slots=True)
class _Question:
    text: str
    answer: asyncio.Future[Loaded | Saved | Fetched]
    sent_at: float | None = None


@dataclass(slots=True)
class Outgoing:
    """One frame to send. Where `left` is there, it is resolved when the frame has been sent, and
    the frame is sent again where its connection breaks meanwhile."""

    text: str
    left: asyncio.Future[None] | None = None


class Line:
    """`name` makes the ids of questions this runner's own."""

    def __init__(self, name: str) -> None:
        self.outbox = Outbox()
        self.commands = 0
        """The number of the last command that has come."""
        self._name = name
        self._numbers = count(1)
        self._questions: dict[str, _Question] = {}
        self._frames: deque[Outgoing] = deque()
        self._wake = asyncio.Event()
        self._sending = False

    # -- for actors -------------------------------------------------------------------------------

    def new_id(self) -> str:
        """For one question; of two, the later one's number is higher."""
        return f"{self._name}.{next(self._numbers)}"

    def report(self, actor: str, generation: int, report: Report) -> int:
        """The event's number, for `outbox.stored`."""
        index = self.outbox.add(actor, generation, report)
        self._wake.set()
        return index

    async def call(self, question: Load | Save | Fetch, kind: type[A]) -> A:
        """The answer, however many connections it takes. Raises TooLarge."""
        asked = _Question(_text(question), asyncio.get_running_loop().create_future())
        self._questions[question.id] = asked
        self._wake.set()
        try:
            answer = await asked.answer
        finally:
            self._questions.pop(question.id, None)
        if not isinstance(answer, kind):
            raise UnknownFrame(f"{type(question).__name__} was answered with {answer!r}")
        return answer

    def put(self, frame: Frame) -> asyncio.Future[None]:
        """Send it; what is returned is done when it has been. Raises TooLarge or InvalidValue."""
        left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._frames.append(Outgoing(_text(frame), left))
        self._wake.set()
        return left

    # -- for connections --------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Nothing waits, and nothing waits for an answer."""
        return not (self._sending or self.outbox or self._questions or self._frames)

    @property
    def unanswered_since(self) -> float | None:
        """When the oldest thing that is not answered was sent, in the loop's time."""
        times = [question.sent_at for question in self._questions.values()]
        return min((at for at in (*times, self.outbox.sent_at) if at is not None), default=None)

    def resume(self, stored: int) -> None:
        """A connection is there; events up to `stored` are stored."""
        self.outbox.resume(stored)
        for question in self._questions.values():
            question.sent_at = None
        self._wake.set()

    def confirm(self, index: int) -> None:
        self.outbox.confirm(index)
        self._wake.set()

    def answer(self, answer: Loaded | Saved | Fetched) -> None:
        question = self._questions.get(answer.id)
        if question is not None and not question.answer.done():
            question.answer.set_result(answer)

    def clear(self) -> None:
        """The actors are gone: nobody waits for anything any more. Events stay."""
        for question in self._questions.values():
            question.answer.cancel()
        for outgoing in self._frames:
            if outgoing.left is not None:
                outgoing.left.cancel()
        self._questions.clear()
        self._frames.clear()

    def restart(self) -> None:
        """This is another runner now."""
        self.clear()
        self.outbox.restart()
        self.commands = 0

    async def take(self) -> Outgoing:
        """The next frame to send; give it to `sent` or `unsent`."""
        while (outgoing := self._next()) is None:
            self._wake.clear()
            await self._wake.wait()
        self._sending = True
        return outgoing

    def sent(self, outgoing: Outgoing) -> None:
        self._sending = False
        if outgoing.left is not None and not outgoing.left.done():
            outgoing.left.set_result(None)

    def unsent(self, outgoing: Outgoing) -> None:
        """The connection broke meanwhile."""
        self._sending = False
        if outgoing.left is not None:
            self._frames.appendleft(outgoing)

    def _next(self) -> Outgoing | None:
        if batch := self.outbox.next_batch():
            return Outgoing(encode(Events(batch, self.commands)))
        for question in self._questions.values():
            if question.sent_at is None:
                question.sent_at = asyncio.get_running_loop().time()
                return Outgoing(question.text)
        return self._frames.popleft() if self._frames else None


def _text(frame: Frame) -> str:
    """Raises TooLarge or InvalidValue."""
    try:
        text = encode(frame)
    except UnicodeEncodeError as error:
        raise InvalidValue(f"{type(frame).__name__}: not text: {error}") from error
    length = len(text.encode())
    if length > FRAME_BYTES:
        raise TooLarge(
            f"{type(frame).__name__}: {length:,} bytes; at most {FRAME_BYTES:,} are sent"
        )
    return text
