"""The embedded backend from end to end: a step by the steps behind it, and against the disk.

The yardstick is the rate at which this machine's SQLite commits one such transaction a step
(`raw_rate`). It and the backend take turns, and each is compared with its neighbours in time, so
that a disk that others use as well cancels out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median

from rich.table import Table

from benchmarks.embedded_run import embedded_run, walked
from benchmarks.raw_rate import RawCommits
from benchmarks.report import Aim, Report, table
from benchmarks.shapes import LENGTHS, Shape, chain, shapes
from engine.snapshot import encode_head

ONE_CHAIN = 0.2
MANY_RUNS = 0.5
RUNS = 100
SECONDS = 1.5
RAW_SECONDS = 0.75
ROUNDS = 6
LENGTH_BUDGET_S = 15.0
"""For one shape; after it, no further round over the lengths begins."""
_STEPS_A_ROUND = 96
_HEAD_AT = 4
"""A step after which the tail has its middle length, and with it the head."""


def run(scratch: Path) -> Report:
    rows: list[Sequence[str]] = []
    for shape in shapes():
        measured = asyncio.run(_lengths(shape, scratch / f"{shape.name}.db"))
        for length, (ratio, seconds) in measured.items():
            name = shape.name if length == min(LENGTHS) else ""
            rows.append([name, f"{length:,}", f"{ratio:.2f}", f"{seconds * 1000:.2f}"])
        rows.append(())
    title = "Embedded, end to end: a step by the steps behind it; ratio to 10 first"
    lengths = table(title, ["shape", "steps", "time, ratio", "ms per step"], rows)
    rates, aims = asyncio.run(_against_the_disk(scratch))
    return Report([lengths, rates], aims)


async def _lengths(shape: Shape, path: Path) -> dict[int, tuple[float, float]]:
    """Length -> ratio to the first length, and seconds per step: medians over the rounds."""
    rounds: list[dict[int, float]] = []
    async with embedded_run(path) as run:
        planted = {}
        # the shortest window everywhere: with branches side by side, a window's ends show in it
        steps = len(shape.window(min(LENGTHS)))
        for length in LENGTHS:
            walk = walked(shape, length - steps - 1)
            planted[length] = await run.plant(walk, f"r{length:011d}", steps)
            await run.seconds_per_step(planted[length], 1)  # loads the definition
        give_up = time.monotonic() + LENGTH_BUDGET_S
        while len(rounds) < ROUNDS and (len(rounds) < 2 or time.monotonic() < give_up):
            found = {}
            for length in LENGTHS[:: 1 if len(rounds) % 2 else -1]:
                repetitions = -(-_STEPS_A_ROUND // steps)
                found[length] = await run.seconds_per_step(planted[length], repetitions)
            rounds.append(found)
    first = min(LENGTHS)
    return {
        length: (median(r[length] / r[first] for r in rounds), median(r[length] for r in rounds))
        for length in LENGTHS
    }


class _Against:
    """Rates of one load, and what they are of the raw rate just before and after."""

    def __init__(self) -> None:
        self._rates: list[float] = []
        self._shares: list[float] = []

    def note(self, rate: float, raw: float) -> None:
        self._rates.append(rate)
        self._shares.append(rate / raw)

    @property
    def rate(self) -> float:
        return median(self._rates)

    @property
    def share(self) -> float:
        return median(self._shares)


async def _against_the_disk(scratch: Path) -> tuple[Table, list[Aim]]:
    head = walked(chain(), _HEAD_AT).head
    one, many = _Against(), _Against()
    with RawCommits(scratch / "raw.db", len(encode_head(head))) as raw:
        async with embedded_run(scratch / "rates.db") as run:
            start = walked(chain(), 0)
            runs = [await run.plant(start, f"r{number:011d}", 0) for number in range(RUNS)]
            await run.rate(runs[:1], 0.2)  # loads the definition
            raw_rates = [raw.rate(RAW_SECONDS)]
            for _ in range(ROUNDS):
                for count, found in ((1, one), (RUNS, many)):
                    rate = await run.rate(runs[:count], SECONDS)
                    raw_rates.append(raw.rate(RAW_SECONDS))
                    found.note(rate, mean(raw_rates[-2:]))
    own = median(raw_rates)
    rows = [
        ["SQLite itself, one transaction a step", "100%", f"{own:,.0f}"],
        ["one chain", f"{one.share:.0%}", f"{one.rate:,.0f}"],
        [f"{RUNS} runs", f"{many.share:.0%}", f"{many.rate:,.0f}"],
    ]
    title = f"Embedded, against the disk; medians of {ROUNDS} rounds in turns"
    made = table(title, ["", "of SQLite's rate", "steps per second"], rows)
    return made, [_one_aim(one, own), _many_aim(many)]


def _one_aim(one: _Against, own: float) -> Aim:
    reason = (
        "A lone chain waits, step by step, for the engine, two hand-overs between threads and a "
        f"flush: {1000 / one.rate:.2f} ms a step, of which SQLite takes {1000 / own:.2f} ms."
    )
    name = "Embedded, one chain: of SQLite's own rate"
    return Aim(name, one.share, ONE_CHAIN, reason, at_least=True, percent=True)


def _many_aim(many: _Against) -> Aim:
    reason = (
        "Runs share their flushes, so that what limits is Python on one processor: "
        f"{1e6 / many.rate:.0f} µs a step. The faster the disk, the smaller the share."
    )
    name = f"Embedded, {RUNS} runs: of SQLite's own rate"
    return Aim(name, many.share, MANY_RUNS, reason, at_least=True, percent=True)
