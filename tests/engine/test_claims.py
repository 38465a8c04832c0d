"""What a stored claim means, and when a long first delivery writes one."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from engine.claims import (
    GIVEN_BACK,
    LATE_MS,
    Claim,
    Claims,
    Fatal,
    Free,
    Taken,
    decode_claim,
    judge,
)
from engine.errors import Interrupted, StepCrashed, TooLarge
from engine.layout import CLAIM_PREFIX, claim_item, run_key
from engine.memory import MemoryBlobs, MemoryJournal
from engine.ports import Platform
from engine.simulation.world.loop import VirtualLoop
from engine.snapshot import State, Token
from tests.clock import ManualClock
from tests.scenarios.world import CountingEntropy, FixedSecrets

NOW = 1_700_000_000_000
KEY = run_key("run")
TOKEN = Token(3, 2, 1, State.READY, "sid", 0)


def judged(found: Claim | None, *, at_most_once: bool = False, exclusive: bool = False) -> object:
    return judge(found, NOW, deaths=2, at_most_once=at_most_once, exclusive=exclusive)


@pytest.mark.parametrize("at_most_once", [False, True])
def test_nothing_stored_is_free(at_most_once: bool) -> None:
    assert judged(None, at_most_once=at_most_once) == Free(0)


@pytest.mark.parametrize("at_most_once", [False, True])
def test_a_live_claim_is_taken_until_its_deadline(at_most_once: bool) -> None:
    assert judged(Claim(1, "x", NOW + 1), at_most_once=at_most_once) == Taken(NOW + 1)


def test_where_no_other_process_can_live_a_live_claim_is_a_dead_ones() -> None:
    assert judged(Claim(1, "x", NOW + 1), exclusive=True) == Free(1)


def test_an_expired_claim_is_a_death_and_the_last_one_allowed_is_fatal() -> None:
    assert judged(Claim(1, "x", NOW)) == Free(1)
    crashed = judged(Claim(1, "x", NOW, deaths=1))
    assert isinstance(crashed, Fatal)
    assert isinstance(crashed.error, StepCrashed)


def test_at_most_once_the_first_death_is_fatal() -> None:
    interrupted = judged(Claim(1, "x", NOW), at_most_once=True)
    assert isinstance(interrupted, Fatal)
    assert isinstance(interrupted.error, Interrupted)


@pytest.mark.parametrize("at_most_once", [False, True])
def test_a_claim_that_was_given_back_is_no_death(at_most_once: bool) -> None:
    given_back = Claim(1, GIVEN_BACK, 0, deaths=1)
    assert judged(given_back, at_most_once=at_most_once) == Free(1)


@pytest.mark.parametrize(("runs_s", "claimed"), [(29.9, False), (30.1, True), (600.0, True)])
def test_a_first_delivery_claims_once_it_has_run_for_half_a_minute(
    runs_s: float, claimed: bool
) -> None:
    assert LATE_MS == 30_000
    clock = ManualClock(NOW)
    journal = MemoryJournal(clock)
    platform = Platform(journal, MemoryBlobs(), clock, CountingEntropy(), FixedSecrets({}))
    found: list[str] = []

    async def run() -> list[str]:
        async with Claims(platform).claimed_late(KEY, 0, TOKEN, NOW + 900_000) as written:
            await asyncio.sleep(runs_s)
            found.extend([n async for n, _ in journal.scan(KEY.partition, CLAIM_PREFIX)])
        return written

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        written = runner.run(run())
    assert found == written == (["claim/0.3.2.1"] if claimed else [])


def test_a_late_claim_is_given_back_whatever_the_block_raised() -> None:
    clock = ManualClock(NOW)
    journal = MemoryJournal(clock)
    platform = Platform(journal, MemoryBlobs(), clock, CountingEntropy(), FixedSecrets({}))

    async def run() -> bytes:
        with suppress(TooLarge):
            async with Claims(platform).claimed_late(KEY, 0, TOKEN, NOW + 900_000):
                await asyncio.sleep(LATE_MS / 1000 + 1)
                raise TooLarge("a head of 500,000 bytes")
        name = claim_item(0, TOKEN)
        return (await journal.items(KEY.partition, [name]))[name]

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        stored = runner.run(run())
    assert judged(decode_claim(stored)) == Free(0)
