"""Read as much of a pool's index as a decision needs, strongly consistent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from engine.allocation.board import (
    CONFIG_ITEM,
    ENTRY_PREFIX,
    INDEX_PREFIX,
    PENDING_PREFIX,
    PING_PREFIX,
    Board,
    Entry,
    Pending,
    board_partition,
    decode_config,
    decode_entry,
    decode_pending,
    decode_ping,
    decode_seat,
    pending_item,
    seats_prefix,
)
from engine.allocation.config import PoolConfig
from engine.allocation.rules import Reads
from engine.ports import Reader

PENDING_READ = 1000
"""Of those who wait: more than one step can serve, and enough to know how many runners to want."""
UNMANAGED = PoolConfig()
"""Of a pool that nobody has configured."""


async def read_board(
    reader: Reader, tenant: str, pool: str, reads: Reads, runner: str, waits: Pending | None
) -> Board:
    """The part of the index that `reads` names; `waits` is what the actor itself has in the queue.

    An entry is read before the seats of its runner: a seat that changes in between changes the
    entry, and a decision from both conflicts.
    """
    partition = board_partition(tenant, pool)
    config, config_body = UNMANAGED, None
    entries: dict[str, Entry] = {}
    pings: dict[str, int] = {}
    pending: list[tuple[str, bytes]] = []
    if Reads.INDEX in reads:
        async for name, body in reader.scan(partition, INDEX_PREFIX):
            if name == CONFIG_ITEM:
                config, config_body = decode_config(body), body
            elif name.startswith(ENTRY_PREFIX):
                entries[name.removeprefix(ENTRY_PREFIX)] = decode_entry(body)
            elif name.startswith(PING_PREFIX):
                pings[name.removeprefix(PING_PREFIX)] = decode_ping(body)
        pending = await _first(reader.scan(partition, PENDING_PREFIX), PENDING_READ)
    seats: dict[str, int] = {}
    if Reads.SEATS in reads:
        prefix = seats_prefix(runner)
        async for name, body in reader.scan(partition, prefix):
            seats[name.removeprefix(prefix)] = decode_seat(body).generation
    is_waiting = False
    if Reads.WAITS in reads and waits is not None:
        name = pending_item(waits)
        is_waiting = name in await reader.items(partition, [name])
    return Board(
        partition,
        config,
        entries,
        pings,
        [(name, decode_pending(body)) for name, body in pending],
        seats,
        is_waiting,
        config_body,
    )


async def read_index(reader: Reader, tenant: str, pool: str) -> Board:
    """The pool's configuration, its runners, and who waits: without anybody's seats."""
    return await read_board(reader, tenant, pool, Reads.INDEX, "", None)


async def _first(rows: AsyncIterator[tuple[str, bytes]], limit: int) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    async with aclosing(rows) as open_rows:  # type: ignore[type-var]
        async for row in open_rows:
            found.append(row)
            if len(found) == limit:
                break
    return found
