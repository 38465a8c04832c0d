"""Looking after tokens that nothing has come of."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from engine.errors import StoreUnusable
from engine.layout import WAKE_SHARDS, RunKey, run_key, wake_shard
from engine.memory import MemoryBlobs, MemoryJournal
from engine.outcomes import Done, Settling, Slept
from engine.ports import Item, Platform
from engine.settle import settle
from engine.snapshot import Head
from engine.starting import Starter, first_head
from engine.sweeper import Swept, look_after, sweep
from tests.clock import ManualClock
from tests.engine.graphs import CREATED, graph
from tests.scenarios.world import CountingEntropy, FixedSecrets

MINUTE = 60_000
DEFINITION = graph("a -> b", "a -> c")


def started() -> Head:
    return first_head(DEFINITION, b"d" * 16, b"s" * 16, b"null", CREATED)


def test_a_start_is_looked_at_after_a_minute_because_nobody_would_redeliver_it() -> None:
    assert started().wake_at == CREATED + MINUTE


def test_a_look_sends_the_token_and_moves_its_time_on_doubling() -> None:
    head = started()
    waits = []
    now = head.wake_at
    for _ in range(4):
        head, sent = look_after(head, now)
        assert len(sent) == 1
        waits.append(head.wake_at - now)
        now = head.wake_at
    assert waits == [10 * MINUTE, 20 * MINUTE, 40 * MINUTE, 80 * MINUTE]


def test_the_wait_between_two_looks_is_bounded() -> None:
    head = started()
    for _ in range(50):
        now = head.wake_at
        head, _sent = look_after(head, now)
    assert head.wake_at - now == 10 * MINUTE * 2**8


def test_a_look_before_its_time_changes_nothing_but_the_revision() -> None:
    head = started()
    after, sent = look_after(head, head.wake_at - 1)
    assert sent == ()
    assert after.frontier == head.frontier


def test_only_the_silent_token_is_sent_and_its_busy_sibling_is_left_alone() -> None:
    head = settle(
        started(), DEFINITION, Settling(started().frontier[0], Done("out", b"1"), "x", CREATED)
    ).head
    quiet = head.frontier[1]
    later = CREATED + 8 * MINUTE
    head = settle(
        head, DEFINITION, Settling(head.frontier[0], Slept(later + MINUTE), "y", later)
    ).head
    after, sent = look_after(head, quiet.look_at)
    assert [token.node for token in sent] == [quiet.node]
    assert min(token.look_at for token in after.frontier) > quiet.look_at


def test_a_far_timer_is_sent_with_its_delay_when_it_comes_into_reach() -> None:
    until = CREATED + 30 * 86_400_000
    token = started().frontier[0]
    head = settle(started(), DEFINITION, Settling(token, Slept(until), "x", CREATED)).head
    after, (sent,) = look_after(head, head.wake_at)
    assert sent.due == until
    assert sent.looks == 0
    assert after.wake_at > until


@pytest.mark.parametrize("fails", [False, True])
def test_a_sweep_deletes_what_has_expired_and_outlives_a_store_that_cannot(
    caplog: pytest.LogCaptureFixture, fails: bool
) -> None:
    class Expiring(MemoryJournal):
        async def expire(self, limit: int) -> int:
            if fails:
                raise StoreUnusable("throttled")
            return await super().expire(limit)

    async def scenario() -> list[str]:
        clock = ManualClock(CREATED)
        journal = Expiring(clock)
        platform = Platform(journal, MemoryBlobs(), clock, CountingEntropy(), FixedSecrets({}))
        await journal.put([Item("p", "old", b"", CREATED), Item("p", "new", b"", CREATED + 1)])
        assert await sweep(platform) == Swept()
        return [name async for name, _ in journal.scan("p", "")]

    assert asyncio.run(scenario()) == (["new", "old"] if fails else ["new"])
    assert ("what has expired cannot be deleted: throttled" in caplog.text) == fails


def test_a_shard_whose_index_cannot_be_asked_does_not_hide_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runs = [f"r{number}" for number in range(40)]
    broken = wake_shard(run_key(runs[0]))
    others = [run for run in runs if wake_shard(run_key(run)) != broken]
    assert len({wake_shard(run_key(run)) for run in runs}) == WAKE_SHARDS

    class PartlyBroken(MemoryJournal):
        async def due(self, shard: int, now: int, limit: int) -> Sequence[RunKey]:
            if shard == broken:
                raise StoreUnusable("throttled")
            return await super().due(shard, now, limit)

    async def scenario() -> int:
        clock = ManualClock(CREATED)
        platform = Platform(
            PartlyBroken(clock), MemoryBlobs(), clock, CountingEntropy(), FixedSecrets({})
        )
        for run in runs:
            await Starter(platform).start(graph("a"), {}, run)
        clock.advance(MINUTE / 1000)
        return (await sweep(platform)).sent

    assert asyncio.run(scenario()) == len(others)
    assert "a part of the index cannot be swept: throttled" in caplog.text
