"""Sixty-four writers at once, as a server that is not in this process sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from engine.ports import ItemConflict, RevisionConflict, Swap
from infra.aws.dynamodb import DynamoStore
from tests.infra.records import HEAD, PARTITION, item

RACERS = 64
ROUNDS = 3

Write = Callable[[DynamoStore, int, bytes, bytes | None], Awaitable[None]]
"""Of a revision from 0 on, with this body, in the place of that one."""


async def head(store: DynamoStore, rev: int, body: bytes, expected: bytes | None) -> None:
    await store.put_head(replace(HEAD, rev=rev, body=body), rev - 1 if rev else None)


async def head_with_swap(store: DynamoStore, rev: int, body: bytes, expected: bytes | None) -> None:
    swaps = [Swap(PARTITION, "slot", body, expected)]
    await store.put_head(replace(HEAD, rev=rev, body=body), rev - 1 if rev else None, swaps)


async def one_item(store: DynamoStore, rev: int, body: bytes, expected: bytes | None) -> None:
    await store.swap_item(item("slot", body), expected)


async def two_items(store: DynamoStore, rev: int, body: bytes, expected: bytes | None) -> None:
    await store.swap_item(item("slot", body), expected, [item("beside", body)])


@pytest.mark.parametrize("write", [head, head_with_swap, one_item, two_items])
def test_of_64_writers_at_once_exactly_one_wins_and_the_others_are_told_of_it(
    runner: asyncio.Runner, store: DynamoStore, write: Write
) -> None:
    async def race(rev: int, expected: bytes | None) -> bytes:
        """The body of the winner."""
        bodies = [b"%d of %d" % (rev, racer) for racer in range(RACERS)]
        fates = await asyncio.gather(
            *(write(store, rev, body, expected) for body in bodies), return_exceptions=True
        )
        (winner,) = (body for body, fate in zip(bodies, fates, strict=True) if fate is None)
        lost = [fate for fate in fates if isinstance(fate, ItemConflict | RevisionConflict)]
        assert len(lost) == RACERS - 1, fates
        assert {conflict.current for conflict in lost} == {winner}
        return winner

    stands = None
    for rev in range(ROUNDS):
        stands = runner.run(race(rev, stands))
    left = runner.run(store.items(PARTITION, ["slot", "beside"]))
    assert {runner.run(store.head(HEAD.key)), *left.values()} - {None} == {stands}
