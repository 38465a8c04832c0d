"""What came of one simulation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.layout import RunKey
from engine.simulation.observing import Violation
from engine.simulation.world.tally import Delay, Repeat, Tally
from engine.snapshot import Head, State

COUNTS = ("messages", "deliveries", "executions", "deaths", "dead letters", "saves", "items")


def rests(head: Head) -> bool:
    """Whether the run has ended, or waits for somebody outside and for nothing else."""
    if head.status.terminal or head.held:
        return True
    return (
        bool(head.frontier)
        and not head.owed
        and all(
            token.state is State.STOPPED or (token.state is State.WAITING and not token.due)
            for token in head.frontier
        )
    )


@dataclass(frozen=True, slots=True)
class Report:
    """One simulation's end. It can be pickled, and is small beside the history."""

    seed: int
    violation: Violation | None
    quiet: bool
    """Nothing is left that could happen; False where the time was up first."""
    seconds: float
    """Virtual time until the last thing happened."""
    steps: int
    """Results recorded, of all runs."""
    counts: Mapping[str, int]
    """By the names in `COUNTS`."""
    injected: Mapping[str, int]
    """Faults by kind."""
    occurrences: tuple[str, ...]
    """Each fault that happened, by name, in order: what a shrinker mutes."""
    repeats: tuple[Repeat, ...]
    """Which actors ran more than once, and why."""
    longest: Delay | None
    """The longest time from when an attempt could run until its result was recorded."""
    unsettled: tuple[RunKey, ...]
    """Runs that have neither ended nor wait for somebody outside."""
    statuses: Mapping[str, int]
    """How many runs are in each status."""

    @property
    def messages_per_step(self) -> float:
        return self.counts["messages"] / max(1, self.steps)

    @property
    def executions_per_step(self) -> float:
        return self.counts["executions"] / max(1, self.steps)


def report_on(
    tally: Tally,
    heads: Mapping[RunKey, Head],
    **facts: Any,
) -> Report:
    return Report(
        steps=sum(head.next_number - 1 for head in heads.values()),
        counts={name: tally.counts[name] for name in COUNTS},
        repeats=tuple(tally.repeats),
        longest=tally.longest,
        unsettled=tuple(key for key, head in heads.items() if not rests(head)),
        statuses=Counter(head.status.value for head in heads.values()),
        **facts,
    )
