"""Claims: who is running a token, and how many processes have died of it (DESIGN §4 rules 11, 12).

A claim is an item of its own, written with a compare and swap, and leaves the head's revision
alone. A first delivery pays nothing for it. One that is not the first (received before, relayed,
swept, re-injected) claims before it runs the actor, and so does a first one that is still running
after `LATE_MS`, before any sweep could send the token again.

What must stay true
- Another's live claim puts the delivery off until the claim's deadline; where one process at a time
  receives messages, another's claim is not live.
- An expired claim whose token is still pending is a death. With `Limits.deaths` of them the attempt
  fails with StepCrashed. An actor that must not run twice claims always, and its first death is
  Interrupted.
- Once a death is on record the attempt is run alone: deliveries that only shared a process with the
  one that kills it do not die, and are not counted, with it a second time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from weakref import WeakValueDictionary

import msgspec

from engine.errors import (
    Corrupt,
    Interrupted,
    OutOfTime,
    PlatformError,
    StepCrashed,
    TidestepError,
)
from engine.formats import OtherFormats, read
from engine.layout import RunKey, claim_item, once_item
from engine.ports import Item, ItemConflict, Platform
from engine.snapshot import Token

FORMAT = 1
OTHER_FORMATS: OtherFormats = {}
GIVEN_BACK = ""
"""The execution of a claim whose holder did not die, and could not finish."""
LATE_MS = 30_000
"""How long a first delivery runs before it claims: half of the time after which a sweep may look
at a run's first step."""


class Claim(msgspec.Struct, frozen=True, array_like=True):
    """`execution` names one execution by one process; `deadline` is ms since 1970."""

    format: int
    execution: str
    deadline: int
    deaths: int = 0
    """How many executions before this one ended without a result; of one that was given back, how
    many there have been."""


class Free(msgspec.Struct, frozen=True):
    """Nobody runs the token; its processes have died `deaths` times."""

    deaths: int


class Taken(msgspec.Struct, frozen=True):
    """Somebody may be running it until `until` (ms since 1970)."""

    until: int


class Fatal(msgspec.Struct, frozen=True):
    """It must not be run again: what the attempt fails with."""

    error: TidestepError


Judgement = Free | Taken | Fatal

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Claim).decode


def judge(
    found: Claim | None, now: int, *, deaths: int, at_most_once: bool, exclusive: bool = False
) -> Judgement:
    """What a stored claim means for a delivery that is not its own: pure.

    `deaths` is how many an attempt may die of. `exclusive` says that no other process can be alive.
    """
    if found is None:
        return Free(0)
    if found.deadline > now and not exclusive:
        return Taken(found.deadline)
    if found.execution == GIVEN_BACK:
        return Free(found.deaths)
    died = found.deaths + 1
    if at_most_once:
        return Fatal(Interrupted("its process died, and it must not run twice"))
    if died >= deaths:
        return Fatal(StepCrashed(f"the process died {died} times while running this attempt"))
    return Free(died)


class Claims:
    """The claims of one process."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._alone: WeakValueDictionary[asyncio.AbstractEventLoop, asyncio.Lock]
        self._alone = WeakValueDictionary()

    @asynccontextmanager
    async def claimed(
        self,
        key: RunKey,
        epoch: int,
        token: Token,
        deadline: int,
        *,
        at_most_once: bool,
        called: Callable[[], bool] = lambda: False,
    ) -> AsyncIterator[Judgement]:
        """Claim the token, and hold it for as long as the block runs.

        Yields Free where the claim is ours; the block must not run the actor on anything else. A
        block that raises, or is cancelled, has not died, and gives the claim back,
        unless its actor must not run twice and has been `called`. Raises OutOfTime where waiting
        for a turn alone took the time of the step.
        """
        name = once_item(token) if at_most_once else claim_item(epoch, token)
        execution = self._platform.entropy.new_id()
        before: bytes | None = None
        ours = b""
        async with AsyncExitStack() as turn:
            alone = False
            while True:
                judgement = self._judge(before, at_most_once=at_most_once)
                if not isinstance(judgement, Free):
                    break
                if judgement.deaths and not alone:
                    await turn.enter_async_context(self._lock())
                    alone = True
                if deadline <= self._platform.clock.now():
                    raise OutOfTime(f"run {key.run}: another attempt took all the time of the step")
                ours = encode_claim(Claim(FORMAT, execution, deadline, judgement.deaths))
                try:
                    await self._platform.journal.swap(Item(key.partition, name, ours), before)
                    break
                except ItemConflict as conflict:
                    if conflict.current == ours:
                        break  # our own write, which seemed to have failed
                    before = conflict.current
                except PlatformError:  # it may be written all the same
                    await self._give_back(key, name, ours, judgement.deaths)
                    raise
            try:
                yield judgement
            except (Exception, asyncio.CancelledError):
                if isinstance(judgement, Free) and not (at_most_once and called()):
                    await self._give_back(key, name, ours, judgement.deaths)
                raise

    @asynccontextmanager
    async def claimed_late(
        self, key: RunKey, epoch: int, token: Token, deadline: int
    ) -> AsyncIterator[list[str]]:
        """Claim the token if the block takes long, unless somebody else has.

        Yields a list that the claim's name is added to once it is written.
        """
        loop = asyncio.get_running_loop()
        late: list[asyncio.Task[bytes]] = []
        written: list[str] = []
        name = claim_item(epoch, token)

        async def claim() -> bytes:
            ours = encode_claim(Claim(FORMAT, self._platform.entropy.new_id(), deadline))
            with suppress(ItemConflict, PlatformError):  # best effort: it saves a second execution
                await self._platform.journal.swap(Item(key.partition, name, ours), None)
                written.append(name)
            return ours

        timer = loop.call_later(LATE_MS / 1000, lambda: late.append(loop.create_task(claim())))
        try:
            yield written
        except (Exception, asyncio.CancelledError):
            for task in late:
                await self._give_back(key, name, await task, 0)
            raise
        finally:
            timer.cancel()
            for task in late:
                await task

    def _judge(self, stored: bytes | None, *, at_most_once: bool) -> Judgement:
        return judge(
            None if stored is None else decode_claim(stored),
            self._platform.clock.now(),
            deaths=self._platform.limits.deaths,
            at_most_once=at_most_once,
            exclusive=self._platform.exclusive,
        )

    async def _give_back(self, key: RunKey, name: str, ours: bytes, deaths: int) -> None:
        item = Item(key.partition, name, encode_claim(Claim(FORMAT, GIVEN_BACK, 0, deaths)))
        with suppress(ItemConflict, PlatformError):  # else it counts as one death
            await self._platform.journal.swap(item, ours)

    def _lock(self) -> asyncio.Lock:
        """One for each event loop, which a lock belongs to; it is there while anyone has it."""
        return self._alone.setdefault(asyncio.get_running_loop(), asyncio.Lock())


def encode_claim(claim: Claim) -> bytes:
    return _encode(claim)


def decode_claim(body: bytes) -> Claim:
    """Raises NewerFormat; what is damaged claims nothing."""
    try:
        return read("claim", body, _decode, FORMAT, OTHER_FORMATS)
    except Corrupt:
        return Claim(FORMAT, GIVEN_BACK, 0)
