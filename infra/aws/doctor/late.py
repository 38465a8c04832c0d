"""Runs that should have been looked at long ago, by the `wake` index: the sweeper passes them over.

What the index says is confirmed by a strong read, which also shows what this version cannot read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import msgspec

from engine.errors import Corrupt, NewerFormat
from engine.layout import HEAD, RUN_KIND, WAKE_SHARDS, RunKey
from engine.snapshot import decode_head
from infra.aws.doctor.asking import Answer, Asker, Seen, Unseen, made
from infra.aws.doctor.findings import About, Finding, Resource, many, span
from infra.aws.table import WAKE_INDEX, item_key, run_key_of

LATE_MS = 600_000
"""A sweep comes every minute, and moves on all that is due."""
PER_SHARD = 25
CONFIRMED = 20
"""Heads that are read; the latest ones."""
SHOWN = 5


Row = tuple[int, RunKey]
"""When it should be looked at, ms since 1970, and which run it is."""


class LateRun(msgspec.Struct, frozen=True):
    key: RunKey
    late_ms: int
    newer: str = ""
    """What is said of it where a newer version has saved it."""
    corrupt: str = ""


class LateRuns(msgspec.Struct, frozen=True):
    runs: tuple[LateRun, ...]
    """The latest first; not all of them, where there are more."""
    more: bool = False


async def read_late(asker: Asker, table: Resource, now: int) -> Seen[LateRuns]:
    """`now` is milliseconds since 1970."""
    before = now - LATE_MS
    due = partial(_due, asker, table.physical, before)
    rows: list[Row] = []
    more = False
    for shard in await asyncio.gather(*map(due, range(WAKE_SHARDS))):
        if isinstance(shard, Unseen):
            return shard
        rows += shard
        more = more or len(shard) == PER_SHARD
    latest = [key for _, key in sorted(rows)[:CONFIRMED]]
    confirmed = partial(_confirmed, asker, table.physical, before, now)
    late: list[LateRun] = []
    for run in await asyncio.gather(*map(confirmed, latest)):
        if isinstance(run, Unseen):
            return run
        late += [run] if run else []
    return LateRuns(tuple(late), more or len(rows) > CONFIRMED)


def late_run(key: RunKey, late_ms: int, body: bytes) -> LateRun:
    """`body` is its head, which is read for the runs of workflows alone."""
    if key.kind == RUN_KIND:
        try:
            decode_head(body)
        except NewerFormat as error:
            return LateRun(key, late_ms, newer=str(error).partition(":")[0])
        except Corrupt as error:
            return LateRun(key, late_ms, corrupt=str(error))
    return LateRun(key, late_ms)


async def _due(asker: Asker, table: str, before: int, shard: int) -> Seen[list[Row]]:
    answer = await asker.ask(
        "dynamodb",
        "query",
        TableName=table,
        IndexName=WAKE_INDEX,
        KeyConditionExpression="h = :h AND d <= :d",
        ExpressionAttributeValues={":h": {"N": str(shard)}, ":d": {"N": str(before)}},
        Limit=PER_SHARD,
    )
    return made(answer, lambda told: [_row(item) for item in told["Items"]])


def _row(item: Answer) -> Row:
    return int(item["d"]["N"]), run_key_of(item)


async def _confirmed(
    asker: Asker, table: str, before: int, now: int, key: RunKey
) -> Seen[LateRun | None]:
    """None where it is not late any more, or is gone."""
    answer = await asker.ask(
        "dynamodb",
        "get_item",
        TableName=table,
        Key=item_key(key.partition, HEAD),
        ConsistentRead=True,
    )

    def late(told: Answer) -> LateRun | None:
        head = told.get("Item", {})
        wake_at = int(head.get("d", {}).get("N", 0))
        return late_run(key, now - wake_at, head["b"]["B"]) if 0 < wake_at <= before else None

    return made(answer, late)


# -- judging --------------------------------------------------------------------------------------


def judge_late(table: Resource, seen: Seen[LateRuns], log: str) -> list[Finding]:
    """`log` is the command that shows the functions' log."""
    about = About("late runs", table)
    if isinstance(seen, Unseen):
        return [about.unseen(seen)]
    newer = [run for run in seen.runs if run.newer]
    corrupt = [run for run in seen.runs if run.corrupt]
    others = [run for run in seen.runs if not run.newer and not run.corrupt]
    found = []
    if others:
        found.append(
            about.problem(
                f"{_many(others, seen.more)}: {_named(others)}",
                "The sweeper passes them over: see what is said here of SweeperFunction, its "
                "schedule and its role, then its log.",
                log,
            )
        )
    if newer:
        found.append(
            about.warning(
                f"{_many(newer, seen.more)}, which this version cannot read: {_named(newer)} "
                f"({newer[0].newer})",
                "Where the functions are as old as this version, deploy the newer one: older code "
                "leaves these runs alone. Where they are not, this says nothing.",
            )
        )
    if corrupt:
        found.append(
            about.problem(
                f"{_many(corrupt, seen.more)}, and cannot be decoded: {_named(corrupt)} "
                f"({corrupt[0].corrupt})",
                "Restore the table to a moment before, beside this one, and put their items back.",
            )
        )
    return found or [about.ok(f"no run waits for the sweeper for {span(LATE_MS / 1000)}")]


def _many(runs: Sequence[LateRun], more: bool) -> str:
    least = "at least " if more else ""
    return f"{least}{many(len(runs), 'run')} not looked at for over {span(LATE_MS / 1000)}"


def _named(runs: Sequence[LateRun]) -> str:
    named = [f"{_name(run.key)} ({span(run.late_ms / 1000)})" for run in runs[:SHOWN]]
    return ", ".join(named) + (", ..." if len(runs) > SHOWN else "")


def _name(key: RunKey) -> str:
    return f"run {key.run}" if key.kind == RUN_KIND else f"{key.kind} {key.run}"
