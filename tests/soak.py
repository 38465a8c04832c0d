"""Simulate random workflows, or actors that sleep, under every fault there is: so many seeds, or
so many minutes.

    python -m tests.soak --seeds 3000
    python -m tests.soak --of actors --minutes 60 --from 1000000

What breaks a rule is made short and printed with the command that replays it, and the exit code is
1. Seeds are numbers: the same number is the same history, on every machine.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from itertools import count, islice

from engine.simulation.allocation.storms import storm
from engine.simulation.recipes import prepare, workload_of
from engine.simulation.running import Failure, Summary, summaries
from engine.simulation.shrinking import shrink
from engine.simulation.workloads.generated import generate

REPORT_EVERY_S = 10.0
WORKLOADS = {"workflows": generate, "actors": storm}
LAST_LINES = 60
"""Of a failing history; the replay prints all of it."""


def main() -> int:
    asked = _arguments()
    seeds = islice(count(asked.first), asked.seeds)
    began = reported = time.monotonic()
    summary = Summary()
    for summary in summaries(WORKLOADS[asked.of], seeds, asked.faults, asked.processes):
        now = time.monotonic()
        if summary.failures or (asked.minutes and now - began > asked.minutes * 60):
            break
        if now - reported > REPORT_EVERY_S:
            reported = now
            rate = summary.seeds_per_second
            print(f"{summary.seeds:,} seeds, {rate:,.0f} a second", file=sys.stderr, flush=True)
    print(summary if asked.of == "workflows" else _in_short(summary))
    for failure in summary.failures:
        _tell(failure)
    return 1 if summary.failures else 0


def _in_short(summary: Summary) -> str:
    """Of storms, whose runs record no results."""
    faults = ", ".join(f"{kind} {number:,}" for kind, number in summary.injected.most_common())
    return (
        f"{summary.seeds:,} storms over actors, {summary.simulated / 86_400:,.1f} days of virtual "
        f"time in {summary.elapsed:,.1f} s\nfaults: {faults}\nviolations: {len(summary.failures)}"
    )


def _tell(failure: Failure) -> None:
    print(f"\n{failure}\nmaking it short ...", flush=True)
    shrunk = shrink(failure.recipe)
    with prepare(shrunk.recipe, workload_of(shrunk.recipe)) as simulation:
        simulation.run()
        for line in list(simulation.history.lines())[-LAST_LINES:]:
            print(line)
    print(shrunk)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Simulate workflows or actors under faults.")
    parser.add_argument("--of", choices=sorted(WORKLOADS), default="workflows")
    parser.add_argument("--seeds", type=int, default=None, help="how many; without end by default")
    parser.add_argument("--minutes", type=float, default=None, help="how long at most")
    parser.add_argument("--from", dest="first", type=int, default=0, help="the first seed")
    parser.add_argument("--faults", default="storm", help="the profile: none, mild or storm")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
