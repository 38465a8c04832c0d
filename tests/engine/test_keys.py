"""The key ring: made once, agreed on by all processes, rotated, and not worn out by forgeries."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

import msgspec
import pytest

from engine.callbacks import SigningKey, sign
from engine.errors import Corrupt, InvalidCallback, Misconfigured, NewerFormat
from engine.formats import as_it_is
from engine.keys import (
    ITEM,
    KEPT,
    MAX_AGE_MS,
    PARTITION,
    REREAD_MS,
    KeyRing,
    Ring,
    decode_ring,
    encode_ring,
)
from engine.layout import WaitAddress, run_key
from engine.memory import MemoryJournal
from engine.ports import Item
from tests.clock import ManualClock
from tests.scenarios.world import CountingEntropy

SINCE = 1_700_000_000
ADDRESS = WaitAddress(run_key("order-7"), 3, 2, 1, SINCE)


class CountedJournal(MemoryJournal):
    """Counts what it is asked; `late` reports a swap that happened as one that did not."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.reads = 0
        self.swaps = 0
        self.late = False

    async def items(self, partition: str, names: Collection[str]) -> Mapping[str, bytes]:
        self.reads += 1
        return await super().items(partition, names)

    async def swap(
        self,
        item: Item,
        expected: bytes | None,
        also: Sequence[Item] = (),
        drops: Sequence[str] = (),
    ) -> None:
        self.swaps += 1
        await super().swap(item, expected, also, drops)
        if self.late:  # as a request that timed out and is repeated
            await super().swap(item, expected, also, drops)


class Processes:
    """Key rings of several processes on one journal."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.journal = CountedJournal(self.clock)
        self.entropy = CountingEntropy()

    def ring(self, *given: SigningKey) -> KeyRing:
        return KeyRing(self.journal, self.clock, self.entropy, given)


@pytest.fixture
def processes() -> Processes:
    return Processes()


async def token_of(ring: KeyRing) -> str:
    return sign(ADDRESS, await ring.signing())


def test_what_one_process_signs_another_verifies(processes: Processes) -> None:
    async def play() -> None:
        one, two = processes.ring(), processes.ring()
        assert await two.verify(await token_of(one)) == ADDRESS
        assert await one.verify(await token_of(two)) == ADDRESS

    asyncio.run(play())


def test_processes_that_sign_first_at_the_same_time_agree(processes: Processes) -> None:
    async def play() -> None:
        one, two = processes.ring(), processes.ring()
        await one.keys()
        await two.keys()  # both have seen that there is none
        first, second = await one.signing(), await two.signing()
        assert first.secret == second.secret
        assert processes.journal.swaps == 2

    asyncio.run(play())


def test_the_keys_are_read_once_and_then_remembered(processes: Processes) -> None:
    async def play() -> None:
        ring = processes.ring()
        for _ in range(5):
            await ring.verify(await token_of(ring))
        assert processes.journal.reads == 1

    asyncio.run(play())


def test_a_rotated_key_verifies_until_enough_newer_ones_have_come(processes: Processes) -> None:
    async def play() -> None:
        ring = processes.ring()
        old = await token_of(ring)
        for number in range(1, KEPT):
            keys = await ring.rotate()
            assert (keys[0].id, len(keys)) == (str(number + 1), number + 1)
            assert (await ring.signing()).id == keys[0].id
            assert await processes.ring().verify(old) == ADDRESS
        assert len(await ring.rotate()) == KEPT
        with pytest.raises(InvalidCallback):
            await ring.verify(old)
        assert await ring.verify(await token_of(ring)) == ADDRESS

    asyncio.run(play())


def test_every_key_is_another_one(processes: Processes) -> None:
    async def play() -> None:
        ring = processes.ring()
        secrets = {(await ring.signing()).secret}
        for _ in range(3):
            secrets.add((await ring.rotate())[0].secret)
        assert len(secrets) == 4

    asyncio.run(play())


def test_a_rotation_reaches_the_verifiers_at_once_and_the_signers_in_time(
    processes: Processes,
) -> None:
    async def play() -> None:
        one, two = processes.ring(), processes.ring()
        await two.verify(await token_of(one))
        processes.clock.advance(REREAD_MS / 1000)
        await one.rotate()
        assert (await two.signing()).id == "1"
        assert await two.verify(await token_of(one)) == ADDRESS  # signed with a key new to it
        assert (await two.signing()).id == "2"

        await one.rotate()
        processes.clock.advance(MAX_AGE_MS / 1000)
        assert (await two.signing()).id == "3"

    asyncio.run(play())


def test_tokens_of_unknown_keys_cost_one_read_in_a_while_and_no_write(
    processes: Processes,
) -> None:
    async def play() -> None:
        ring = processes.ring()
        await ring.signing()
        swaps, reads = processes.journal.swaps, processes.journal.reads
        for number in range(100):
            with pytest.raises(InvalidCallback):
                await ring.verify(sign(ADDRESS, SigningKey(f"x{number}", b"x" * 32)))
        assert processes.journal.reads == reads
        processes.clock.advance(REREAD_MS / 1000)
        for number in range(100):
            with pytest.raises(InvalidCallback):
                await ring.verify(sign(ADDRESS, SigningKey(f"x{number}", b"x" * 32)))
        assert (processes.journal.reads, processes.journal.swaps) == (reads + 1, swaps)

    asyncio.run(play())


def test_verifying_makes_no_keys(processes: Processes) -> None:
    async def play() -> None:
        ring = processes.ring()
        with pytest.raises(InvalidCallback):
            await ring.verify(sign(ADDRESS, SigningKey("1", b"x" * 32)))
        assert await ring.keys() == ()
        assert processes.journal.swaps == 0

    asyncio.run(play())


def test_a_clock_that_is_set_back_does_not_keep_old_keys_alive(processes: Processes) -> None:
    async def play() -> None:
        one, two = processes.ring(), processes.ring()
        await two.signing()
        await one.rotate()
        processes.clock.advance(-3600)
        assert (await two.signing()).id == "2"

    asyncio.run(play())


def test_rotations_at_the_same_time_all_count(processes: Processes) -> None:
    async def play() -> None:
        rings = [processes.ring() for _ in range(3)]
        await rings[0].signing()
        await asyncio.gather(*(ring.rotate() for ring in rings))
        assert [key.id for key in await processes.ring().keys()] == ["4", "3", "2", "1"]

    asyncio.run(play())


def test_a_write_that_is_reported_late_is_known_for_ones_own(processes: Processes) -> None:
    async def play() -> None:
        processes.journal.late = True
        ring = processes.ring()
        first = await ring.signing()
        keys = await ring.rotate()
        assert [key.id for key in keys] == ["2", "1"]
        assert keys[1] == first
        assert await processes.ring().keys() == keys

    asyncio.run(play())


def test_given_keys_win_and_nothing_is_stored(processes: Processes) -> None:
    async def play() -> None:
        stored = await token_of(processes.ring())
        reads, swaps = processes.journal.reads, processes.journal.swaps
        ring = processes.ring(SigningKey("b", b"b" * 32), SigningKey("a", b"a" * 32))
        assert (await ring.signing()).id == "b"
        assert await ring.verify(sign(ADDRESS, SigningKey("a", b"a" * 32))) == ADDRESS
        with pytest.raises(InvalidCallback):
            await ring.verify(stored)
        with pytest.raises(Misconfigured, match="TIDESTEP_CALLBACK_KEYS"):
            await ring.rotate()
        assert (processes.journal.reads, processes.journal.swaps) == (reads, swaps)

    asyncio.run(play())


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"\xc1", Corrupt),
        (msgspec.msgpack.encode([1, []]), Corrupt),
        (msgspec.msgpack.encode([1, "keys"]), Corrupt),
        (msgspec.msgpack.encode([2, "whatever comes"]), NewerFormat),
    ],
)
def test_a_ring_that_cannot_be_read_is_said_and_left_alone(
    processes: Processes, body: bytes, error: type[Exception]
) -> None:
    async def play() -> None:
        await processes.journal.put([Item(PARTITION, ITEM, body)])
        ring = processes.ring()
        for work in (ring.signing, ring.keys, ring.rotate):
            with pytest.raises(error):
                await work()
        assert (await processes.journal.items(PARTITION, [ITEM]))[ITEM] == body

    asyncio.run(play())


def test_a_ring_of_the_next_format_keeps_it_when_it_is_rotated(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.keys.OTHER_FORMATS", {2: as_it_is})

    async def play() -> None:
        ring = Ring(2, (SigningKey("1", b"k" * 32),))
        await processes.journal.put([Item(PARTITION, ITEM, encode_ring(ring))])
        await processes.ring().rotate()
        rotated = decode_ring((await processes.journal.items(PARTITION, [ITEM]))[ITEM])
        assert (rotated.format, [key.id for key in rotated.keys]) == (2, ["2", "1"])

    asyncio.run(play())
