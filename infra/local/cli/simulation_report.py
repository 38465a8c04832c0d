"""What a simulation has shown, as tables for people and as JSON for programs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from engine.simulation.trials.survey import Survey, spread_of
from engine.simulation.trials.watching import RETRIED
from infra.local.cli.output import print_table, print_text
from infra.local.cli.tables import plain_table
from infra.local.cli.wording import count, duration, one_line

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_STYLES = {
    "completed": "green",
    "waiting": "blue",
    "failed": "red",
    "cancelled": "red",
    "unfinished": "bold red",
}


@dataclass(frozen=True, slots=True)
class About:
    """What was tried. `actors` are by node."""

    workflow: str
    file: str
    faults: str
    actors: Mapping[str, str]
    stubbed: frozenset[str]
    real: frozenset[str]


@dataclass(frozen=True, slots=True)
class Found:
    """A violation: the rule, what was seen, the faults it takes, and how to see it again."""

    seed: int
    rule: str
    text: str
    faults: tuple[str, ...]
    replay: str


@dataclass(frozen=True, slots=True)
class History:
    seed: int
    faults: str
    lines: tuple[str, ...]


def as_json(
    about: About, survey: Survey, violations: list[Found], history: History | None
) -> dict[str, Any]:
    found = {
        "workflow": about.workflow,
        "file": about.file,
        "fault_profile": about.faults,
        "stubbed": sorted(about.stubbed),
        **survey.as_json(),
        "violations": [asdict(each) for each in violations],
    }
    return found if history is None else {**found, "history": asdict(history)}


def print_survey(about: About, survey: Survey, violations: list[Found], number: int) -> None:
    """`number` is how many violations there were; those in `violations` are shown."""
    print_text(
        f"{about.workflow}: {count(survey.seeds, 'seed')}, faults: {about.faults}, "
        f"{count(survey.steps, 'step')}, {survey.per_step(survey.messages):.2f} messages and "
        f"{survey.per_step(survey.executions.total()):.2f} executions a step"
    )
    tables = [_runs(survey), _durations(survey), _nodes(about, survey)]
    if survey.repeats:
        tables.append(_repeats(survey))
    if survey.delays:
        tables.append(_delays(survey))
    for table in tables:
        print_text("")
        print_table(table)
    print_text("")
    for line in _summary(about, survey):
        print_text(line)
    for found in violations:
        print_text("")
        print_text(_violation(found))
    print_text(_verdict(survey, number))


def print_history(history: History) -> None:
    print_text(f"\nhistory of seed {history.seed}, faults: {history.faults}")
    for line in history.lines:
        print_text(line)


def _runs(survey: Survey) -> Table:
    table = _table("runs", ">with faults", ">without", "why")
    for status in (*_STYLES, "refused"):
        with_faults, without = survey.statuses[status], survey.calm_statuses[status]
        if with_faults or without:
            errors = survey.errors.most_common(4) if status == "failed" else ()
            why = ", ".join(f"{one_line(error)} ({times:,})" for error, times in errors)
            name = _styled(status, _STYLES.get(status, ""))
            table.add_row(name, f"{with_faults:,}", f"{without:,}", why)
    return table


def _durations(survey: Survey) -> Table:
    table = _table("from start to end", ">typical", ">95 % within", ">worst", "")
    rows = (
        ("without faults", survey.calm_durations, ""),
        ("with faults", survey.durations, ""),
        ("added by faults", survey.added, _seed(survey)),
    )
    for name, durations, note in rows:
        spread = spread_of(durations)
        if spread is not None:
            worst = (spread.typical, spread.most, spread.worst)
            table.add_row(name, *(duration(ms) for ms in worst), note)
    return table


def _seed(survey: Survey) -> str:
    return "" if survey.slowest is None else f"seed {survey.slowest[1]}"


def _nodes(about: About, survey: Survey) -> Table:
    """Attempts of the same number are executions of the same token: more than one is a repeat."""
    table = _table("node", "actor", ">attempts", ">executions", ">most a run", ">again")
    for node, actor in about.actors.items():
        again = sum(
            times
            for (each, cause), times in survey.repeats.items()
            if each == node and cause != RETRIED
        )
        table.add_row(
            node,
            _styled(actor, "dim"),
            f"{survey.attempts[node]:,}",
            f"{survey.executions[node]:,}",
            f"{survey.most_executions.get(node, 0):,}",
            f"{again:,}",
        )
    return table


def _repeats(survey: Survey) -> Table:
    """Why actors ran again, the most frequent cause first, and which they were."""
    by_cause: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (node, cause), times in survey.repeats.items():
        by_cause[cause][node] += times
    table = _table("ran again", ">times", "where")
    for cause, nodes in sorted(by_cause.items(), key=lambda each: -each[1].total()):
        where = ", ".join(f"{node} {times:,}" for node, times in nodes.most_common())
        table.add_row(cause, f"{nodes.total():,}", _styled(where, "dim"))
    return table


def _delays(survey: Survey) -> Table:
    table = _table("delayed by", ">times", ">typical", ">worst", "where")
    by_worst = sorted(survey.delays.items(), key=lambda each: -each[1][-1])
    for cause, durations in by_worst:
        spread = spread_of(durations)
        assert spread is not None
        _, node, seed = survey.worst_seeds[cause]
        table.add_row(
            cause,
            f"{spread.count:,}",
            duration(spread.typical),
            duration(spread.worst),
            _styled(f"{node}, seed {seed}", "dim"),
        )
    return table


def _summary(about: About, survey: Survey) -> Iterable[str]:
    if survey.waited_for:
        waits = ", ".join(f"'{name}' ({n:,})" for name, n in survey.waited_for.most_common())
        drawn = ", ".join(f"{how} {n:,}" for how, n in survey.answered.most_common())
        yield f"waited for {waits}" + (f"; drawn by seed: {drawn}" if drawn else "")
    faults = ", ".join(f"{kind} {n:,}" for kind, n in survey.injected.most_common())
    yield f"faults: {faults or 'none'}"
    if about.stubbed and about.real:
        yield f"stood in for: {', '.join(sorted(about.stubbed))}"
    if about.real:
        yield f"actors were called {survey.calls:,} times, without faults as well as with them"


def _violation(found: Found) -> str:
    lines = [f"VIOLATION in seed {found.seed}: {found.rule}", f"  {found.text.rstrip()}"]
    lines += [f"  fault: {each}" for each in found.faults[:10]]
    if len(found.faults) > 10:
        lines.append(f"  and {count(len(found.faults) - 10, 'more fault')}")
    return "\n".join([*lines, f"  replay: {found.replay}"])


def _verdict(survey: Survey, violations: int) -> str:
    if violations:
        return f"\n{count(violations, 'violation')} in {count(survey.seeds, 'seed')}"
    again = count(survey.ran_again, "execution")
    return f"no violation in {count(survey.seeds, 'seed')}; {again} more than attempts"


def _styled(text: str, style: str) -> Text:
    from rich.text import Text

    return Text(text, style=style)


def _table(*headings: str) -> Table:
    table = plain_table(*headings, wraps=("why", "where"))
    for column in table.columns:
        column.overflow = "fold"
    return table
