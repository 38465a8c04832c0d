"""The embedded queue: what is delivered, when, how often, and what a new worker finds."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from engine.errors import StoreUnusable
from engine.ports import Delivery
from infra.local.sqlite import SqliteVisitor, SqliteWorker, queue_rows
from infra.local.sqlite.source import READY_LIMIT, SqliteSource
from tests.clock import ManualClock
from tests.infra.local.sqlite.processes import running
from tests.infra.records import bodies, create, message, step


def texts(*sids: str) -> list[str]:
    return [message(sid).body for sid in sids]


async def drain(source: SqliteSource) -> list[Delivery]:
    deliveries: list[Delivery] = []
    while found := await source.receive(100, 0):
        deliveries += found
    return deliveries


def test_messages_come_in_the_order_of_sending(
    runner: asyncio.Runner, worker: SqliteWorker
) -> None:
    for sid in "abc":
        runner.run(worker.journal.send([message(sid)]))
    assert bodies(runner.run(worker.source.receive(2, 0))) == texts("a", "b")
    assert bodies(runner.run(worker.source.receive(2, 0))) == texts("c")
    assert runner.run(worker.source.receive(2, 0)) == []


def test_a_waiting_receiver_gets_what_is_sent_meanwhile(
    runner: asyncio.Runner, worker: SqliteWorker
) -> None:
    async def wait_and_send() -> list[str]:
        receiving = asyncio.ensure_future(worker.source.receive(10, 30))
        await asyncio.sleep(0.01)
        await worker.journal.send([message("a")])
        return bodies(await receiving)

    assert runner.run(wait_and_send()) == texts("a")


def test_what_this_process_sends_is_delivered_without_asking_the_table(
    runner: asyncio.Runner, worker: SqliteWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner.run(worker.source.receive(1, 0))
    monkeypatch.setattr(queue_rows, "due", lambda *_: pytest.fail("asked the table"))
    monkeypatch.setattr("infra.local.sqlite.source.LOOK_S", 1000)
    runner.run(worker.journal.commit(create("r")))
    for rev in range(1, 20):
        commit = step(rev, sends=[message(f"m{rev}")])
        runner.run(worker.journal.commit(commit))
        (delivery,) = runner.run(worker.source.receive(10, 0))
        assert delivery.body == message(f"m{rev}").body


def test_a_delayed_message_comes_when_it_is_due(
    runner: asyncio.Runner, worker: SqliteWorker, clock: ManualClock
) -> None:
    runner.run(worker.journal.send([message("late", delay_s=60), message("soon", delay_s=5)]))
    assert runner.run(worker.source.receive(10, 0)) == []
    clock.advance(4.999)
    assert runner.run(worker.source.receive(10, 0)) == []
    clock.advance(0.001)
    assert bodies(runner.run(worker.source.receive(10, 0))) == texts("soon")
    clock.advance(55)
    assert bodies(runner.run(worker.source.receive(10, 0))) == texts("late")


def test_a_message_that_comes_due_wakes_a_waiting_receiver(
    runner: asyncio.Runner, worker: SqliteWorker, clock: ManualClock
) -> None:
    async def wait() -> list[str]:
        await worker.journal.send([message("a", delay_s=900)])
        receiving = asyncio.ensure_future(worker.source.receive(10, 30))
        await asyncio.sleep(0.01)
        clock.advance(900)
        return bodies(await receiving)

    assert runner.run(wait()) == texts("a")


def test_new_messages_do_not_hide_a_delayed_one(
    runner: asyncio.Runner, worker: SqliteWorker, clock: ManualClock
) -> None:
    async def keep_busy() -> list[str]:
        await worker.journal.send([message("delayed", delay_s=1)])
        await worker.journal.send([message("busy"), message("busy")])
        seen: list[str] = []
        for _ in range(20):
            clock.advance(0.1)
            (delivery,) = await worker.source.receive(1, 0)
            await worker.journal.send([message("busy")], acknowledgement=delivery)
            seen.append(delivery.body)
        return seen

    assert runner.run(keep_busy()).count(message("delayed").body) == 1


def test_a_visitors_message_wakes_a_waiting_receiver(
    runner: asyncio.Runner, worker: SqliteWorker, path: Path, clock: ManualClock
) -> None:
    async def wait_for_visitor() -> list[str]:
        assert await worker.source.receive(10, 0) == []
        receiving = asyncio.ensure_future(worker.source.receive(10, 30))
        with SqliteVisitor(path, clock) as visitor:
            await visitor.journal.send([message("from outside")])
            return bodies(await receiving)

    assert runner.run(wait_for_visitor()) == texts("from outside")


def test_a_visitors_message_is_found_while_the_worker_is_busy(
    runner: asyncio.Runner, worker: SqliteWorker, path: Path, clock: ManualClock
) -> None:
    async def stay_busy() -> int:
        await worker.journal.send([message("busy")])
        with SqliteVisitor(path, clock) as visitor:
            await visitor.journal.send([message("from outside")])
        for rounds in range(100_000):
            (delivery,) = await worker.source.receive(1, 5)
            if delivery.body == message("from outside").body:
                return rounds
            await worker.journal.send([message("busy")], acknowledgement=delivery)
        return -1

    assert runner.run(stay_busy()) >= 0


def test_a_burst_is_delivered_once_each_in_order_with_a_bounded_memory(
    runner: asyncio.Runner, worker: SqliteWorker
) -> None:
    async def burst() -> list[str]:
        sids = [f"{number:05d}" for number in range(10_000)]
        for begin in range(0, 10_000, 500):
            await worker.journal.send([message(sid) for sid in sids[begin : begin + 500]])
            assert len(worker.source._ready) <= READY_LIMIT
        seen: list[str] = []
        while found := await worker.source.receive(100, 0):
            assert len(worker.source._ready) <= READY_LIMIT
            seen += bodies(found)
            # Some are acknowledged, some stay in flight: neither may come again.
            for delivery in found[::2]:
                await worker.journal.send([], acknowledgement=delivery)
        assert seen == [message(sid).body for sid in sids]
        return seen

    assert len(runner.run(burst())) == 10_000


def test_what_is_sent_behind_a_burst_keeps_its_place(
    runner: asyncio.Runner, worker: SqliteWorker
) -> None:
    async def send_behind() -> list[str]:
        await worker.source.receive(1, 0)
        sids = [f"{number}" for number in range(READY_LIMIT + 50)]
        await worker.journal.send([message(sid) for sid in sids])
        first = await worker.source.receive(100, 0)
        await worker.journal.send([message("behind")])
        return bodies([*first, *await drain(worker.source)])

    seen = runner.run(send_behind())
    assert seen[-1] == message("behind").body
    assert len(set(seen)) == len(seen) == READY_LIMIT + 51


def test_a_look_at_the_table_before_the_handover_delivers_once(
    runner: asyncio.Runner, worker: SqliteWorker, path: Path
) -> None:
    def wait_for_the_row() -> None:
        """Keeps the event loop from hearing of the commit."""
        with closing(sqlite3.connect(path)) as connection:
            while connection.execute("SELECT count(*) FROM queue").fetchone() == (0,):
                time.sleep(0.001)

    async def look_first() -> list[str]:
        sending = asyncio.ensure_future(worker.journal.send([message("a")]))
        for _ in range(2):  # the turn that submits, and the one that hands over
            await asyncio.sleep(0)
        wait_for_the_row()
        assert not sending.done()
        seen = await worker.source.receive(10, 0)
        await sending
        return bodies([*seen, *await drain(worker.source)])

    assert runner.run(look_first()) == texts("a")


def test_a_released_delivery_comes_again_after_its_delay_and_counts(
    runner: asyncio.Runner, worker: SqliteWorker, clock: ManualClock
) -> None:
    runner.run(worker.journal.send([message("a")]))
    (delivery,) = runner.run(worker.source.receive(10, 0))
    for receives in (2, 3, 4):
        runner.run(worker.source.release(delivery, 10))
        clock.advance(9.9)
        assert runner.run(worker.source.receive(10, 0)) == []
        clock.advance(0.1)
        (delivery,) = runner.run(worker.source.receive(10, 0))
        assert delivery.receives == receives
    runner.run(worker.journal.send([], acknowledgement=delivery))
    clock.advance(1000)
    assert runner.run(worker.source.receive(10, 0)) == []


def test_a_delay_and_its_count_survive_the_worker(
    runner: asyncio.Runner, path: Path, clock: ManualClock
) -> None:
    with SqliteWorker(path, clock) as first:
        runner.run(first.journal.send([message("a")]))
        (delivery,) = runner.run(first.source.receive(10, 0))
        runner.run(first.source.release(delivery, 60))
    with SqliteWorker(path, clock) as second:
        assert runner.run(second.source.receive(10, 0)) == []
        clock.advance(60)
        (delivery,) = runner.run(second.source.receive(10, 0))
        assert delivery.receives == 2


def test_a_late_acknowledgement_hits_no_other_message(
    runner: asyncio.Runner, worker: SqliteWorker
) -> None:
    runner.run(worker.journal.send([message("a")]))
    (stale,) = runner.run(worker.source.receive(10, 0))
    runner.run(worker.journal.send([], acknowledgement=stale))
    runner.run(worker.journal.send([message("b")]))
    runner.run(worker.journal.send([], acknowledgement=stale))
    runner.run(worker.source.release(stale, 0))
    assert bodies(runner.run(drain(worker.source))) == texts("b")


def test_a_release_that_cannot_be_written_still_brings_the_delivery_back(
    runner: asyncio.Runner, worker: SqliteWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bool:
        raise sqlite3.OperationalError("the disk is gone")

    async def release() -> list[str]:
        await worker.journal.send([message("a")])
        (delivery,) = await worker.source.receive(10, 0)
        monkeypatch.setattr(queue_rows, "postpone", fail)
        with pytest.raises(StoreUnusable, match="the disk is gone"):
            await worker.source.release(delivery, 0)
        return bodies(await worker.source.receive(10, 5))

    assert runner.run(release()) == texts("a")


def test_a_new_worker_finds_everything_and_counts_once_what_may_have_been_in_flight(
    runner: asyncio.Runner, path: Path, clock: ManualClock
) -> None:
    """However many workers come and go: nobody may have tried it."""
    for number, receives in enumerate((1, 2, 2, 2)):
        with SqliteWorker(path, clock) as worker:
            if number == 0:
                runner.run(worker.journal.send([message("a"), message("b", delay_s=5)]))
            found = runner.run(worker.source.receive(10, 0))
            assert [(d.body, d.receives) for d in found] == [(message("a").body, receives)]
    clock.advance(5)
    with SqliteVisitor(path, clock):
        pass  # a visitor counts nothing
    with SqliteWorker(path, clock) as worker:
        found = runner.run(worker.source.receive(10, 0))
        assert [d.receives for d in found] == [2, 2]


def test_after_kill_9_the_next_worker_finds_all_messages(
    runner: asyncio.Runner, path: Path
) -> None:
    with running("hold", path):
        pass
    clock = ManualClock(4_000_000_000_000)  # long after
    with SqliteWorker(path, clock) as worker:
        found = runner.run(worker.source.receive(10, 5))
    assert sorted(bodies(found)) == sorted(texts("in flight", "ready", "later"))


def test_acknowledging_forgets_the_delivery(runner: asyncio.Runner, worker: SqliteWorker) -> None:
    async def work() -> None:
        for number in range(50):
            await worker.journal.send([message(f"{number}")])
        for delivery in await drain(worker.source):
            await worker.journal.send([], acknowledgement=delivery)

    runner.run(work())
    assert not worker.source._taken


def test_the_backlog_counts_what_does_not_fit_into_memory_and_what_came_due(
    runner: asyncio.Runner, worker: SqliteWorker, clock: ManualClock
) -> None:
    runner.run(worker.journal.send([message(f"m{number}") for number in range(READY_LIMIT + 50)]))
    runner.run(worker.journal.send([message("late", delay_s=60)]))
    assert len(runner.run(worker.source.receive(30, 0))) == 30
    assert runner.run(worker.journal.backlog()) == READY_LIMIT + 20
    clock.advance(60)
    assert runner.run(worker.journal.backlog()) == READY_LIMIT + 21


def test_a_visitor_counts_what_is_in_the_workers_hands_too(
    runner: asyncio.Runner, worker: SqliteWorker, path: Path, clock: ManualClock
) -> None:
    runner.run(worker.journal.send([message("a"), message("b")]))
    (taken,) = runner.run(worker.source.receive(1, 0))
    with SqliteVisitor(path, clock) as visitor:
        assert runner.run(visitor.journal.backlog()) == 2
        runner.run(worker.journal.send([], acknowledgement=taken))
        assert runner.run(visitor.journal.backlog()) == 1


def test_the_backlog_is_counted_up_to_a_limit(
    runner: asyncio.Runner, worker: SqliteWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.local.sqlite.journal.BACKLOG_LIMIT", 3)
    runner.run(worker.journal.send([message(sid) for sid in "abcde"]))
    assert runner.run(worker.journal.backlog()) == 3
