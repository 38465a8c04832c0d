"""What a step costs on AWS: the real dispatcher and adapters, metered, over answering dictionaries.

A run of ten thousand steps, one after the other, as a Lambda function would take them. Its poller
receives and deletes the messages: neither is among the requests here, and SQS bills both, up to ten
messages at a time. The dispatcher is warm: a process reads a definition once, and that has a row of
its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from rich.table import Table

from benchmarks.answering import AnsweringQueue, AnsweringTable
from benchmarks.aws_run import AwsRun, Cost, average
from benchmarks.report import Aim, Report, ratio, table
from benchmarks.shapes import LENGTHS, Shape, chain, join, shapes, value_of

SAME = 1.05
WRITE_UNITS = 1.3
READ_UNITS = 1.0
OUTPUT_BYTES = 64
"""Of JSON text: the largest outputs that the aims speak of."""
SMALL, LARGE = 2, 1024
CONTENDED_STEPS = 600

_NOTHING = Cost()


@dataclass(frozen=True, slots=True)
class Measured:
    """A run of one shape, and what every step of it used."""

    shape: Shape
    size: int
    first_start: Cost
    """Stores the definition as well."""
    first_step: Cost
    """Reads the definition as well."""
    start: Cost
    steps: Sequence[Cost]

    @property
    def name(self) -> str:
        return f"{self.shape.name}, {self.size:,} B"

    def at(self, length: int) -> Cost:
        """The average step of the window that ends at `length`."""
        window = self.shape.window(length)
        return average(self.steps[window[0] - 1 : window[-1]])


def run(scratch: Path) -> Report:
    plans = [(shape, OUTPUT_BYTES) for shape in (*shapes(), join(lead=3))]
    plans += [(chain(), SMALL), (join(), SMALL), (chain(), LARGE)]
    found = [asyncio.run(_measured(shape, size)) for shape, size in plans]
    contended = asyncio.run(_contended(join()))
    judged = [each for each in found if each.size <= OUTPUT_BYTES]
    notes = [
        "Bytes are those of items, as DynamoDB counts them, and of message bodies. In lock-step, "
        "all five branches read the same head and all but one must save again: the worst case of a "
        "join. Indexes are written when a run starts, when it ends, and every ten minutes."
    ]
    return Report([_ratios(found), _whole_runs(found, contended)], _aims(judged), notes)


async def _measured(shape: Shape, size: int) -> Measured:
    answering = _run()
    first_start = await answering.start(shape.definition, value_of(size))
    first_step = await answering.step()
    await answering.drop()
    start = await answering.start(shape.definition, value_of(size))
    steps = [await answering.step() for _ in range(max(LENGTHS))]
    return Measured(shape, size, first_start, first_step, start, steps)


async def _contended(shape: Shape) -> Cost:
    answering = _run(polite=True)
    await answering.start(shape.definition, value_of(OUTPUT_BYTES))
    taken, costs = 0, []
    while taken < CONTENDED_STEPS:
        number, cost = await answering.steps_at_once()
        taken += number
        costs += [cost, *[_NOTHING] * (number - 1)]
    return average(costs)


def _run(polite: bool = False) -> AwsRun:
    queue = AnsweringQueue()
    return AwsRun(AnsweringTable(polite), "steps", queue, "https://queue.invalid", queue.poll)


def _ratios(found: Sequence[Measured]) -> Table:
    rows: list[Sequence[str]] = []
    for each in found:
        base = each.at(min(LENGTHS))
        for length in LENGTHS:
            cost = each.at(length)
            sends = cost.requests.get("send_message", 0) + cost.requests.get(
                "send_message_batch", 0
            )
            rows.append(
                [
                    each.name if length == min(LENGTHS) else "",
                    f"{length:,}",
                    ratio(cost.count, base.count),
                    ratio(cost.bytes, base.bytes),
                    f"{cost.requests['get_item']:.2f}",
                    f"{cost.requests['put_item']:.2f}",
                    f"{sends:.2f}",
                    f"{cost.write_units:.2f}",
                    f"{cost.read_units:.2f}",
                    f"{cost.bytes:,.0f}",
                ]
            )
        rows.append(())
    columns = ["shape, output", "steps", "requests, ratio", "bytes, ratio"]
    columns += ["gets", "puts", "sends", "write units", "read units", "bytes"]
    title = "AWS: requests, units and bytes per step, by the steps behind it; ratios to 10 first"
    return table(title, columns, rows)


def _whole_runs(found: Sequence[Measured], contended: Cost) -> Table:
    first = found[0]
    rows: list[Sequence[str]] = [[each.name, *_units(average(each.steps))] for each in found]
    rows += [
        (),
        [f"{join().name}, {OUTPUT_BYTES} B, in lock-step", *_units(contended)],
        (),
        ["once a run: its start", *_units(first.start)],
        ["once: storing ten thousand nodes", *_units(first.first_start, first.start)],
        ["once a process: loading them", *_units(first.first_step, first.steps[0])],
    ]
    columns = ["mean of 10,000 steps", "write units", "heads", "pages, outputs", "indexes"]
    columns += ["read units", "requests", "bytes"]
    return table("AWS: DynamoDB units of whole runs, per step", columns, rows)


def _units(cost: Cost, without: Cost = _NOTHING) -> list[str]:
    return [
        f"{cost.write_units - without.write_units:.3f}",
        f"{cost.head_units - without.head_units:.3f}",
        f"{cost.other_units - without.other_units:.3f}",
        f"{cost.index_units - without.index_units:.3f}",
        f"{cost.read_units - without.read_units:.3f}",
        f"{cost.count - without.count:.3f}",
        f"{cost.bytes - without.bytes:,.0f}",
    ]


def _aims(found: Sequence[Measured]) -> list[Aim]:
    """Each the worst of all shapes, which it names."""
    first, last = min(LENGTHS), max(LENGTHS)

    def requests(each: Measured) -> float:
        return each.at(last).count / each.at(first).count

    def size(each: Measured) -> float:
        return each.at(last).bytes / each.at(first).bytes

    def written(each: Measured) -> float:
        return average(each.steps).write_units

    def read(each: Measured) -> float:
        return each.at(last).read_units

    most = max(found, key=size)
    grown = [
        most.at(longer).bytes - most.at(shorter).bytes for shorter, longer in pairwise(LENGTHS)
    ]
    reasons = {
        "bytes": "Times, and the numbers of nodes, visits and results, are integers that take a "
        "byte at first and three to five later: "
        + ", ".join(f"{more:+.0f}" for more in grown)
        + " bytes a step from each length to the next. It is the logarithm of the history.",
        "read": "A step reads a page beside the head where it needs a result that has left the "
        "head's tail: an expression naming an old node, or a join across pages.",
    }
    plain = [each for each in found if not each.shape.single]
    return [
        _worst(f"requests, {last:,} to {first}", requests, found, SAME, ""),
        _worst(f"bytes, {last:,} to {first}", size, found, SAME, reasons["bytes"]),
        _worst("write units a step", written, found, WRITE_UNITS, ""),
        _worst(
            "read units a step that names no old node", read, plain, READ_UNITS, reasons["read"]
        ),
    ]


def _worst(
    what: str,
    measure: Callable[[Measured], float],
    found: Sequence[Measured],
    limit: float,
    reason: str,
) -> Aim:
    worst = max(found, key=measure)
    missed = [f"{each.name} {measure(each):.2f}" for each in found if measure(each) > limit]
    if missed:
        reason = f"{reason} Missed by: {'; '.join(missed)}.".strip()
    return Aim(f"AWS {what} (worst: {worst.name})", measure(worst), limit, reason)
