"""What waits to be sent to a runner: in order, bounded, and gone when its connection is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from engine.allocation.ports import ConnectionGone
from infra.local.actors import sockets
from infra.local.actors.sockets import LocalSockets


class Peer:
    """The other end: it reads while `reads` is set."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.reads = asyncio.Event()
        self.reads.set()

    async def take(self, text: str) -> None:
        await self.reads.wait()
        self.got.append(text)


def play(script: Callable[[LocalSockets, Peer], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(20):
            await script(LocalSockets(), Peer())

    asyncio.run(whole())


def test_frames_leave_in_order_and_before_the_close() -> None:
    async def script(sockets: LocalSockets, peer: Peer) -> None:
        outgoing = sockets.opened("c1", peer.take)
        for number in range(5):
            await sockets.post("c1", str(number))
        await sockets.close("c1")
        with pytest.raises(ConnectionGone):
            await sockets.post("c1", "too late")
        await outgoing.run()
        assert peer.got == ["0", "1", "2", "3", "4"]

    play(script)


def test_a_connection_that_nobody_knows_is_gone() -> None:
    async def script(sockets: LocalSockets, peer: Peer) -> None:
        with pytest.raises(ConnectionGone):
            await sockets.post("c1", "text")
        await sockets.close("c1")
        sockets.opened("c1", peer.take)
        sockets.closed("c1")
        sockets.closed("c1")
        with pytest.raises(ConnectionGone):
            await sockets.post("c1", "text")

    play(script)


def test_who_does_not_read_is_given_up_and_stalls_nobody_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "ROOM_S", 0.05)

    async def script(sockets: LocalSockets, peer: Peer) -> None:
        peer.reads.clear()
        running = asyncio.create_task(sockets.opened("c1", peer.take).run())
        await sockets.post("c1", "x" * (5 << 20))
        with pytest.raises(ConnectionGone):
            await sockets.post("c1", "waits for room")
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(ConnectionGone):
            await sockets.post("c1", "does not wait")
        assert loop.time() - began < 0.05
        await running
        assert peer.got == []

    play(script)


def test_who_reads_again_in_time_is_sent_the_rest() -> None:
    async def script(sockets: LocalSockets, peer: Peer) -> None:
        peer.reads.clear()
        running = asyncio.create_task(sockets.opened("c1", peer.take).run())
        await sockets.post("c1", "x" * (5 << 20))
        waiting = asyncio.create_task(sockets.post("c1", "after it"))
        await asyncio.sleep(0)
        peer.reads.set()
        await waiting
        await sockets.close("c1")
        await running
        assert [len(text) for text in peer.got] == [5 << 20, 8]

    play(script)


def test_a_close_that_cannot_leave_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "FLUSH_S", 0.05)

    async def script(sockets: LocalSockets, peer: Peer) -> None:
        peer.reads.clear()
        running = asyncio.create_task(sockets.opened("c1", peer.take).run())
        await sockets.post("c1", "text")
        await sockets.close("c1")
        await running

    play(script)
