"""What many trials of one workflow have shown, each seed with faults and without.

Sums only: a survey of a million seeds takes no more memory than one of ten, but for durations.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.simulation.trials.trying import Trial
from engine.simulation.trials.watching import RETRIED


@dataclass(frozen=True, slots=True)
class Spread:
    """Of some durations in milliseconds: how many, the middle one, all but 5 %, and the longest."""

    count: int
    typical: int
    most: int
    worst: int

    def as_json(self) -> dict[str, int]:
        return {
            "count": self.count,
            "typical_ms": self.typical,
            "p95_ms": self.most,
            "worst_ms": self.worst,
        }


def spread_of(durations: Sequence[int]) -> Spread | None:
    """`durations` are in order."""
    if not durations:
        return None
    last = len(durations) - 1
    return Spread(
        len(durations), durations[last // 2], durations[round(last * 0.95)], durations[last]
    )


@dataclass
class Survey:
    """Add trials up with `add`."""

    nodes: tuple[str, ...]
    seeds: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    calm_statuses: Counter[str] = field(default_factory=Counter)
    """Of the same seeds without faults."""
    errors: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    messages: int = 0
    executions: Counter[str] = field(default_factory=Counter)
    """By node, with faults."""
    attempts: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    """Of actors, with faults and without: how often their side effects would have happened."""
    repeats: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By node and cause."""
    most_executions: dict[str, int] = field(default_factory=dict)
    """By node: the most in one run."""
    durations: list[int] = field(default_factory=list)
    calm_durations: list[int] = field(default_factory=list)
    slowest: tuple[int, int] | None = None
    """The most that faults have added to a run, in milliseconds, and its seed."""
    added: list[int] = field(default_factory=list)
    delays: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """By cause, in order."""
    worst_seeds: dict[str, tuple[int, str, int]] = field(default_factory=dict)
    """By cause: the longest delay, its node and its seed."""
    waited_for: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    injected: Counter[str] = field(default_factory=Counter)
    violations: list[Trial] = field(default_factory=list)

    def add(self, trial: Trial, calm: Trial) -> None:
        """`calm` is the same seed without faults."""
        self.seeds += 1
        self.statuses[trial.status] += 1
        self.calm_statuses[calm.status] += 1
        if trial.error:
            self.errors[trial.error] += 1
        self.steps += trial.steps
        self.messages += trial.messages
        self.executions.update(trial.executions)
        self.attempts.update(trial.attempts)
        self.calls += sum(trial.executions.values()) + sum(calm.executions.values())
        self.repeats.update(trial.repeats)
        for node, times in trial.executions.items():
            self.most_executions[node] = max(times, self.most_executions.get(node, 0))
        self._add_durations(trial, calm)
        for node, cause, ms in trial.delays:
            insort(self.delays[cause], ms)
            if ms > self.worst_seeds.get(cause, (0, "", 0))[0]:
                self.worst_seeds[cause] = (ms, node, trial.seed)
        self.waited_for.update(trial.waited_for)
        self.answered.update(trial.answered)
        self.injected.update(trial.injected)
        for each in (calm, trial):
            if each.violation is not None:
                self.violations.append(each)

    def _add_durations(self, trial: Trial, calm: Trial) -> None:
        if trial.took_ms is not None:
            insort(self.durations, trial.took_ms)
        if calm.took_ms is not None:
            insort(self.calm_durations, calm.took_ms)
        if trial.took_ms is not None and calm.took_ms is not None:
            added = trial.took_ms - calm.took_ms
            insort(self.added, added)
            if self.slowest is None or added > self.slowest[0]:
                self.slowest = (added, trial.seed)

    @property
    def ran_again(self) -> int:
        """Executions that nobody asked for: of attempts that had begun before."""
        return sum(times for (_, cause), times in self.repeats.items() if cause != RETRIED)

    def per_step(self, number: int) -> float:
        return number / max(1, self.steps)

    def as_json(self) -> dict[str, Any]:
        """All but the violations."""
        return {
            "seeds": self.seeds,
            "runs": dict(self.statuses),
            "runs_without_faults": dict(self.calm_statuses),
            "errors": dict(self.errors),
            "steps": self.steps,
            "messages_per_step": round(self.per_step(self.messages), 4),
            "executions_per_step": round(self.per_step(self.executions.total()), 4),
            "actor_calls": self.calls,
            "nodes": [self._node_json(node) for node in self.nodes],
            "duration": _spread_json(self.durations),
            "duration_without_faults": _spread_json(self.calm_durations),
            "added_by_faults": _spread_json(self.added),
            "slowest_seed": None if self.slowest is None else self.slowest[1],
            "delays": {
                cause: {
                    **_spread_json(durations),
                    "worst_node": self.worst_seeds[cause][1],
                    "worst_seed": self.worst_seeds[cause][2],
                }
                for cause, durations in self.delays.items()
            },
            "signals": {"waited_for": dict(self.waited_for), "drawn": dict(self.answered)},
            "faults": dict(self.injected),
        }

    def _node_json(self, node: str) -> dict[str, Any]:
        return {
            "node": node,
            "attempts": self.attempts[node],
            "executions": self.executions[node],
            "most_in_one_run": self.most_executions.get(node, 0),
            "ran_again": {cause: n for (each, cause), n in self.repeats.items() if each == node},
        }


def _spread_json(durations: Sequence[int]) -> dict[str, int]:
    spread = spread_of(durations)
    return {"count": 0} if spread is None else spread.as_json()
