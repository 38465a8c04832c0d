"""One workflow of a user's, tried once: one run, one seed, under faults or without.

    trial = attempt(Scenario(definition, registry_of_seed, {"total": 7}), seed=17, faults="storm")

What is drawn for the workflow (what stand-ins do, when signals come) does not depend on the faults:
the same seed without any shows what they have changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.actors import Registry
from engine.definition import Definition
from engine.errors import RunNotFound, TidestepError
from engine.layout import DEFAULT_TENANT, RunKey
from engine.reading import RunView
from engine.simulation.checks.invariants import Invariants
from engine.simulation.observing import Observer, Violation
from engine.simulation.trials.outside import REACHABLE, Correspondent, GivenSignal
from engine.simulation.trials.watching import Delayed, Watch
from engine.simulation.world.faults import NOTHING_MUTED, PROFILES, Muting
from engine.simulation.world.report import Report
from engine.simulation.world.settings import DEFAULTS, Settings
from engine.simulation.world.simulation import Simulation
from engine.snapshot import Status

LONGEST_S = 50 * 366 * 86_400.0
"""Virtual time after which a run that has not come to rest counts as one that never will."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is tried. `actors` are those of a seed."""

    definition: Definition
    actors: Callable[[int], Registry]
    input: Any = None
    signals: tuple[GivenSignal, ...] = ()
    settings: Settings = DEFAULTS
    watchers: Callable[[], list[Observer]] = list
    """Fresh observers beside the engine's own invariants."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it. Nodes are ids; times are milliseconds of virtual time."""

    seed: int
    status: str
    """`completed`, `failed` or `cancelled`; `waiting` for a signal that never comes; `unfinished`
    where a violation came first, or time was up; `refused` where the run could not be started."""
    error: str
    """Of a failed run: the class of the error, and the node."""
    took_ms: int | None
    """From start to end, of runs that ended."""
    steps: int
    messages: int
    executions: Mapping[str, int]
    attempts: Mapping[str, int]
    repeats: Mapping[tuple[str, str], int]
    """Node and cause of what ran again."""
    delays: tuple[tuple[str, str, int], ...]
    """Node, cause and milliseconds."""
    waited_for: Mapping[str, int]
    answered: Mapping[str, int]
    """How waits were answered that no signal was given for."""
    injected: Mapping[str, int]
    occurrences: tuple[str, ...]
    violation: Violation | None


def attempt(scenario: Scenario, seed: int, faults: str, muting: Muting = NOTHING_MUTED) -> Trial:
    """Try it once; `faults` names a profile. Raises what refuses the run's start."""
    staged = Staged(scenario, seed, faults, muting)
    with staged.simulation as simulation:
        report = simulation.run(LONGEST_S)
        return staged.trial(report)


def history(
    scenario: Scenario, seed: int, faults: str, muting: Muting = NOTHING_MUTED
) -> list[str]:
    """The lines of the same history again."""
    with Staged(scenario, seed, faults, muting).simulation as simulation:
        simulation.run(LONGEST_S)
        return list(simulation.history.lines())


class _Refusals(Observer):
    """Keeps what a caller was refused with."""

    def __init__(self) -> None:
        self.start: TidestepError | None = None

    def answered(self, call: str, key: RunKey, result: Any, at: int) -> None:
        if call == "start" and isinstance(result, TidestepError):
            self.start = result


class Staged:
    """A scenario on its stage, ready to run."""

    def __init__(self, scenario: Scenario, seed: int, faults: str, muting: Muting) -> None:
        profile = PROFILES[faults]
        actors = scenario.actors(seed)
        self._names = [node.id for node in scenario.definition.nodes]
        # A run of its own, so that what actors do outside is not taken for done already.
        self._key = key = RunKey(DEFAULT_TENANT, f"seed{seed}-{faults}")
        self._watch = Watch(key)
        self._correspondent = Correspondent(key, scenario.signals)
        self._refusals = _Refusals()
        limits = scenario.settings.limits
        checks = Invariants(actors, skew_ms=profile.skew_ms, limits=limits)
        observers = [self._watch, self._correspondent, self._refusals, checks]
        self.simulation = Simulation(
            actors=actors,
            seed=seed,
            faults=profile,
            muting=muting,
            observers=[*observers, *scenario.watchers()],
            settings=scenario.settings,
            parts=REACHABLE,
        )
        self.simulation.start(scenario.definition, scenario.input, key.run)
        self._correspondent.begin(self.simulation)

    def trial(self, report: Report) -> Trial:
        """What came of it. Raises what refused the run's start."""
        if self._refusals.start is not None:
            raise self._refusals.start
        watch, names = self._watch, self._names
        view = self._view()
        return Trial(
            seed=report.seed,
            status=_status(view, report, self._key),
            error=_error(view),
            took_ms=watch.ended_at - watch.began_at if watch.ended_at else None,
            steps=report.steps,
            messages=report.counts["messages"],
            executions=_named(watch.executions, names),
            attempts=_named(watch.attempts, names),
            repeats={
                (names[node], cause): times
                for (node, cause), times in watch.repeats(
                    report.repeats, report.occurrences
                ).items()
            },
            delays=tuple(_delay(each, names) for each in watch.delays(report.occurrences)),
            waited_for=dict(self._correspondent.waited_for),
            answered=dict(self._correspondent.drawn),
            injected=dict(report.injected),
            occurrences=report.occurrences,
            violation=report.violation,
        )

    def _view(self) -> RunView | None:
        try:
            return self.simulation.view(self._key.run)
        except RunNotFound:
            return None


def _status(view: RunView | None, report: Report, key: RunKey) -> str:
    if view is not None and view.status.terminal:
        return view.status.value
    if view is not None and report.quiet and key not in report.unsettled:
        return "waiting"
    return "unfinished"


def _error(view: RunView | None) -> str:
    if view is None or view.status is not Status.FAILED or view.error is None:
        return ""
    node = view.error.get("node")
    return view.error["type"] + (f" at {node}" if node else "")


def _named(counted: Counter[int], names: list[str]) -> dict[str, int]:
    return {names[node]: times for node, times in counted.items()}


def _delay(delayed: Delayed, names: list[str]) -> tuple[str, str, int]:
    return names[delayed.node], delayed.cause, delayed.ms
