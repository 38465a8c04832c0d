"""Processes that die, and what happens meanwhile: journals that stand before a backend's."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from msgspec.structs import replace

from engine.ports import Commit, Delivery, Item, Send
from engine.receiving import Handled
from tests.scenarios.world import STEP_MS, World


class Died(BaseException):
    """The process ends here."""


class Between:
    """A journal that passes everything on to the world's; subclasses interfere."""

    def __init__(self, world: World) -> None:
        self.world = world

    def __getattr__(self, name: str) -> Any:
        return getattr(self.world.journal, name)


class Counting(Between):
    """Counts the requests that a step makes only where it must."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.requests: Counter[str] = Counter()

    async def swap(
        self,
        item: Item,
        expected: bytes | None,
        also: Sequence[Item] = (),
        drops: Sequence[str] = (),
    ) -> None:
        self.requests["swap"] += 1
        await self.world.journal.swap(item, expected, also, drops)

    async def remove(self, partition: str, names: Sequence[str]) -> None:
        self.requests["remove"] += bool(names)
        await self.world.journal.remove(partition, names)


class DiesBefore(Between):
    """The process dies before its `number`-th request of one verb is made.

    `verb` is "swap", "commit", "send" or "remove"; or "acknowledge", for what a commit is followed
    by: its sends and its acknowledgement.
    """

    def __init__(self, world: World, verb: str, number: int = 1) -> None:
        super().__init__(world)
        self._verb = verb
        self._left = number

    def _request(self, verb: str) -> None:
        if verb == self._verb:
            self._left -= 1
            if self._left == 0:
                raise Died

    async def swap(
        self,
        item: Item,
        expected: bytes | None,
        also: Sequence[Item] = (),
        drops: Sequence[str] = (),
    ) -> None:
        self._request("swap")
        await self.world.journal.swap(item, expected, also, drops)

    async def remove(self, partition: str, names: Sequence[str]) -> None:
        self._request("remove")
        await self.world.journal.remove(partition, names)

    async def commit(self, commit: Commit) -> None:
        self._request("commit")
        if self._verb == "acknowledge" and self._left == 1:
            await self.world.journal.commit(replace(commit, sends=(), acknowledgement=None))
            raise Died
        await self.world.journal.commit(commit)
        self._request("acknowledge")

    async def send(self, sends: Sequence[Send], acknowledgement: Delivery | None = None) -> None:
        self._request("send")
        await self.world.journal.send(sends, acknowledgement)


class Meanwhile(Between):
    """Something else happens once: just before a "swap" or "commit", or when it has "scanned"."""

    def __init__(self, world: World, moment: str, event: Callable[[], Awaitable[None]]) -> None:
        super().__init__(world)
        self._moment = moment
        self._event: Callable[[], Awaitable[None]] | None = event

    async def _happen(self, moment: str) -> None:
        if moment == self._moment and self._event is not None:
            event, self._event = self._event, None
            await event()

    async def swap(
        self,
        item: Item,
        expected: bytes | None,
        also: Sequence[Item] = (),
        drops: Sequence[str] = (),
    ) -> None:
        await self._happen("swap")
        await self.world.journal.swap(item, expected, also, drops)

    async def commit(self, commit: Commit) -> None:
        await self._happen("commit")
        await self.world.journal.commit(commit)

    async def scan(self, partition: str, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        async for each in self.world.journal.scan(partition, prefix):
            yield each
        await self._happen("scanned")


class DiesAfterSwap(Meanwhile):
    """The event happens just before the process writes an item, and the process dies after it."""

    async def swap(self, item: Any, expected: Any, also: Any = (), drops: Any = ()) -> None:
        await super().swap(item, expected, also, drops)
        raise Died


def elsewhere(world: World, seconds: int) -> Callable[[], Awaitable[None]]:
    """For `Meanwhile`: so many seconds later, another process handles what has come by then."""

    async def handled() -> None:
        world.clock.advance(seconds)
        for delivery in await world.source.receive(10, 0):
            await world.dispatcher().handle(delivery, world.clock.now() + STEP_MS)

    return handled


class Process(Between):
    """One process that can die: nothing of it reaches the backend from then on."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.alive = True
        self.dispatcher = world.dispatcher(self)

    def __getattr__(self, name: str) -> Any:
        if not self.alive:
            raise Died
        return super().__getattr__(name)

    def die(self) -> None:
        self.alive = False

    def handle(self, deliveries: Sequence[Delivery]) -> list[Handled | BaseException]:
        """All of them at once, as a batch is handled; what raised, for those that did."""

        async def one(delivery: Delivery) -> Handled | BaseException:
            try:
                return await self.dispatcher.handle(delivery, self.world.clock.now() + STEP_MS)
            except (Died, Exception) as error:
                return error

        async def all_of_them() -> list[Handled | BaseException]:
            return list(await asyncio.gather(*(one(delivery) for delivery in deliveries)))

        return self.world.do(all_of_them())
