"""`tidestep simulate`: a workflow tried under faults, seed by seed, and what came of it.

Each seed is tried twice: with the faults, and without any, to see what they have changed. What
actors print meanwhile is shown with `--verbose` alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from engine.simulation import Muting
from engine.simulation.shrinking import reduced
from engine.simulation.trials.outside import GivenSignal
from engine.simulation.trials.readable import readable
from engine.simulation.trials.survey import Survey
from engine.simulation.trials.trying import Scenario, Trial, attempt, history
from infra.local.cli import simulation_report as report
from infra.local.cli.exits import INTERRUPTED, OK, VIOLATION
from infra.local.cli.output import print_json, say
from infra.local.cli.simulation_progress import counting
from infra.local.cli.simulation_setup import Prepared, Wanted, prepare
from infra.local.cli.wording import count

SHRINKING_TRIES = 200
SHOWN_VIOLATIONS = 5


def simulate(
    wanted: Wanted, signals: tuple[GivenSignal, ...], *, trace: bool, as_json: bool, verbose: bool
) -> int:
    """Raises InvalidDefinition, InvalidInput, UnknownWorkflow, Misconfigured."""
    prepared = prepare(wanted, signals)
    survey = Survey(tuple(node.id for node in prepared.definition.nodes))
    interrupted = False
    _say_what_runs(prepared, wanted)
    with _quiet(verbose):
        try:
            _try_all(prepared.scenario, wanted, survey)
        except KeyboardInterrupt:
            interrupted = True
            say(f"interrupted after {count(survey.seeds, 'seed')}; this is what they have shown")
        violations = [_violation(prepared, wanted, trial) for trial in survey.violations]
        lines = _history(prepared, wanted, survey) if trace and survey.seeds else None
    _say_what_was_expected(survey, signals)
    _print(prepared, wanted, survey, violations, lines, as_json=as_json)
    if violations:
        return VIOLATION
    return INTERRUPTED if interrupted else OK


def _try_all(scenario: Scenario, wanted: Wanted, survey: Survey) -> None:
    with counting(len(wanted.seeds)) as progress:
        for seed in wanted.seeds:
            calm = attempt(scenario, seed, "none")
            survey.add(attempt(scenario, seed, wanted.faults, wanted.muting), calm)
            progress(survey.seeds, len(survey.violations))


# -- violations and histories ---------------------------------------------------------------------


def _violation(prepared: Prepared, wanted: Wanted, trial: Trial) -> report.Found:
    """What was broken, and how to see it again; made short where nothing real is run for that."""
    assert trial.violation is not None
    faults = wanted.faults if trial.injected else "none"
    only: tuple[str, ...] | None = None
    if trial.injected and not prepared.real:
        only = _shrunk(prepared.scenario, wanted, trial)
    return report.Found(
        seed=trial.seed,
        rule=trial.violation.rule,
        text=trial.violation.text,
        faults=trial.occurrences if only is None else only,
        replay=wanted.replay(trial.seed, faults, only),
    )


def _shrunk(scenario: Scenario, wanted: Wanted, trial: Trial) -> tuple[str, ...]:
    """As few of the trial's faults as break the same rule."""
    assert trial.violation is not None
    rule, tries = trial.violation.rule, 0

    def fails(kept: Any) -> bool:
        nonlocal tries
        tries += 1
        if tries > SHRINKING_TRIES:
            return False
        muting = Muting(only=frozenset(kept))
        found = attempt(scenario, trial.seed, wanted.faults, muting).violation
        return found is not None and found.rule == rule

    return tuple(reduced(trial.occurrences, fails))


def _history(prepared: Prepared, wanted: Wanted, survey: Survey) -> report.History:
    """Of the first violation, or of the run that faults have delayed most."""
    muting, faults = wanted.muting, wanted.faults
    if survey.violations:
        trial = survey.violations[0]
        seed, faults = trial.seed, wanted.faults if trial.injected else "none"
    else:
        seed = wanted.seeds[0] if survey.slowest is None else survey.slowest[1]
    names = [node.id for node in prepared.definition.nodes]
    lines = readable(history(prepared.scenario, seed, faults, muting), names)
    return report.History(seed, faults, tuple(lines))


# -- what is said ---------------------------------------------------------------------------------


def _say_what_runs(prepared: Prepared, wanted: Wanted) -> None:
    if prepared.real:
        times = count(len(wanted.seeds), "seed")
        say(
            f"{', '.join(sorted(prepared.real))}: run for real, at least twice for each of "
            f"{times}, with all that they do outside; --stub stands in for them"
        )
    if prepared.stubbed and not wanted.stub:
        say(f"stood in for, as there is no network: {', '.join(sorted(prepared.stubbed))}")


def _say_what_was_expected(survey: Survey, signals: tuple[GivenSignal, ...]) -> None:
    """A misspelt name would otherwise look like a signal that nobody needs."""
    for name in dict.fromkeys(signal.name for signal in signals):
        if name not in survey.waited_for:
            there = ", ".join(f"'{each}'" for each in survey.waited_for) or "no signal at all"
            say(f"no run has waited for '{name}'; they have waited for {there}")


def _print(
    prepared: Prepared,
    wanted: Wanted,
    survey: Survey,
    violations: list[report.Found],
    lines: report.History | None,
    *,
    as_json: bool,
) -> None:
    about = report.About(
        workflow=prepared.definition.name,
        file=wanted.file,
        faults=wanted.faults,
        actors={node.id: node.actor for node in prepared.definition.nodes},
        stubbed=prepared.stubbed,
        real=prepared.real,
    )
    if as_json:
        print_json(report.as_json(about, survey, violations, lines))
    else:
        report.print_survey(about, survey, violations[:SHOWN_VIOLATIONS], len(violations))
        if lines is not None:
            report.print_history(lines)


@contextmanager
def _quiet(verbose: bool) -> Iterator[None]:
    """stdout holds the result alone."""
    if verbose:
        with redirect_stdout(sys.stderr):
            yield
        return
    with open(os.devnull, "w") as nothing, redirect_stdout(nothing):
        yield
