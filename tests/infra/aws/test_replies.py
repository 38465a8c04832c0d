"""Answers as items: handed out in order, whatever order they came in, and deleted afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from engine.allocation import frames
from engine.allocation.settings import AllocationSettings
from engine.allocation.tunnel import FromActor
from engine.errors import StoreUnusable
from engine.memory import MemoryJournal
from infra.aws.replies import StoredReplies, StoredReply
from infra.system import SystemClock

SETTINGS = AllocationSettings(poll_ms=5, poll_most_ms=20)
START = frames.ResponseStart("r.0", 200, [], b"a", more=True)
CHUNKS = [frames.ResponseChunk("r.0", n, b"%d" % n, n < 12) for n in range(1, 13)]


class Counted(MemoryJournal):
    """Counts its reads."""

    reads = 0

    async def items(self, partition, names):  # type: ignore[no-untyped-def]
        self.reads += 1
        return await super().items(partition, names)


@pytest.fixture
def journal() -> Counted:
    return Counted(SystemClock())


def replies(journal: MemoryJournal) -> StoredReplies:
    return StoredReplies(journal, SystemClock(), SETTINGS)


@asynccontextmanager
async def expecting(journal: MemoryJournal, request: str = "r.0") -> AsyncIterator[StoredReply]:
    async with replies(journal).expect("default", request) as reply:
        yield reply


async def stored(journal: MemoryJournal, request: str = "r.0") -> list[str]:
    return [name async for name, _ in journal.scan(f"default/reply/{request}", "")]


def test_what_arrives_in_another_process_is_handed_out(
    runner: asyncio.Runner, journal: Counted
) -> None:
    answer = frames.ResponseStart("r.0", 200, [("a", "b")], b"\x00\xff")

    async def scenario() -> FromActor | None:
        async with expecting(journal) as reply:
            asyncio.get_running_loop().call_later(
                0.03, lambda: tasks.append(asyncio.ensure_future(arrive(answer)))
            )
            return await reply.next(5)

    tasks: list[asyncio.Future[None]] = []

    async def arrive(frame: FromActor) -> None:
        await replies(journal).arrived("default", frame)

    assert runner.run(scenario()) == answer
    assert runner.run(stored(journal)) == []


def test_pieces_that_came_in_any_order_and_twice_are_handed_out_in_order(
    runner: asyncio.Runner, journal: Counted
) -> None:
    async def scenario() -> list[FromActor | None]:
        async with expecting(journal) as reply:
            came: list[FromActor] = [*reversed(CHUNKS), CHUNKS[3], START]
            for frame in came:
                await replies(journal).arrived("default", frame)
            return [await reply.next(0) for _ in range(14)]

    assert runner.run(scenario()) == [START, *CHUNKS, None]
    assert runner.run(stored(journal)) == []


def test_a_piece_without_its_beginning_waits_for_it(
    runner: asyncio.Runner, journal: Counted
) -> None:
    async def scenario() -> list[FromActor | None]:
        async with expecting(journal) as reply:
            await replies(journal).arrived("default", CHUNKS[0])
            first = await reply.next(0)
            await replies(journal).arrived("default", START)
            return [first, await reply.next(0), await reply.next(0)]

    assert runner.run(scenario()) == [None, START, CHUNKS[0]]


def test_a_refusal_comes_last(runner: asyncio.Runner, journal: Counted) -> None:
    refused = frames.Refused("r.0", "failed", "its state cannot be saved")

    async def scenario() -> list[FromActor | None]:
        async with expecting(journal) as reply:
            came: list[FromActor] = [refused, START, CHUNKS[0]]
            for frame in came:
                await replies(journal).arrived("default", frame)
            return [await reply.next(0) for _ in range(4)]

    assert runner.run(scenario()) == [START, CHUNKS[0], refused, None]


def test_an_answer_to_another_request_is_not_seen(runner: asyncio.Runner, journal: Counted) -> None:
    async def scenario() -> FromActor | None:
        async with expecting(journal, "r.1") as reply:
            await replies(journal).arrived("default", START)
            return await reply.next(0.02)

    assert runner.run(scenario()) is None
    assert runner.run(stored(journal)) == ["start"], "it expires by itself"


def test_looks_become_rarer_while_nothing_comes(runner: asyncio.Runner, journal: Counted) -> None:
    async def scenario() -> FromActor | None:
        async with expecting(journal) as reply:
            return await reply.next(0.2)

    assert runner.run(scenario()) is None
    assert journal.reads <= 14, "5, 10, 20, 20, ... ms"


def test_what_is_named_as_no_request_of_ours_is_dropped(
    runner: asyncio.Runner, journal: Counted
) -> None:
    for name in ("", "x" * 10_000):
        runner.run(replies(journal).arrived("default", frames.Refused(name, "failed")))
        assert runner.run(stored(journal, name)) == []


def test_an_answer_that_cannot_be_deleted_is_an_answer_all_the_same(
    runner: asyncio.Runner, journal: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*arguments: object) -> None:
        raise StoreUnusable("throttled")

    monkeypatch.setattr(journal, "remove", refuse)
    opened = frames.SocketOpened("s.0")

    async def scenario() -> FromActor | None:
        await replies(journal).arrived("default", opened)
        async with expecting(journal, "s.0") as reply:
            return await reply.next(0)

    assert runner.run(scenario()) == opened
