"""`tidestep doctor`: what is wrong with a deployed stack, the worst first, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from engine.errors import PlatformError
from infra.aws.doctor.examining import Report, examine
from infra.aws.doctor.findings import Finding, Level
from infra.local.cli.chosen import Chosen, clients_of
from infra.local.cli.exits import OK
from infra.local.cli.output import print_json, print_table, print_text, say, stderr_console
from infra.local.cli.tables import plain_table
from infra.local.cli.wording import count, one_line
from infra.system import SystemClock

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

PROBLEM = PlatformError.exit_code
_STYLES = {
    Level.PROBLEM: "red",
    Level.WARNING: "yellow",
    Level.UNKNOWN: "blue",
    Level.OK: "green",
}


async def doctor(chosen: Chosen, *, everything: bool, as_json: bool) -> int:
    """Print what was found. The exit code says whether there is a problem."""
    clients = clients_of(chosen)
    try:
        with _looking(f"looking at stack {chosen}"):
            report = await examine(clients, chosen.stack, SystemClock().now)
    finally:
        clients.close()
    if as_json:
        print_json(_as_json(report))
    else:
        _print(report, everything=everything)
    return PROBLEM if report.of(Level.PROBLEM) else OK


@contextmanager
def _looking(text: str) -> Iterator[None]:
    """It takes some seconds."""
    console = stderr_console()
    if not console.is_terminal or console.is_dumb_terminal:
        say(text)
        yield
        return
    with console.status(text):
        yield


def _as_json(report: Report) -> dict[str, Any]:
    return {
        "stack": report.stack,
        "region": report.region,
        "account": report.account,
        "at": report.at,
        "problems": len(report.of(Level.PROBLEM)),
        "warnings": len(report.of(Level.WARNING)),
        "unknown": len(report.of(Level.UNKNOWN)),
        "ok": len(report.of(Level.OK)),
        "findings": msgspec.to_builtins(report.findings),
    }


def _print(report: Report, *, everything: bool) -> None:
    shown = report.of(*Level) if everything else report.of(*(set(Level) - {Level.OK}))
    print_text(f"stack {report.stack} in {report.region}, account {report.account}")
    if shown:
        print_text("")
        print_table(_table(_rows(shown)))
    for title, command in _commands(shown).items():
        print_text(f"\n# {title}\n{command}")
    print_text(f"\n{_summary(report)}")
    if not everything and report.of(Level.OK):
        say("--all shows what is well, too")


def _summary(report: Report) -> str:
    problems, warnings, unknown, well = (len(report.of(level)) for level in Level)
    return (
        f"{count(problems, 'problem')}, {count(warnings, 'warning')}, {unknown} unknown, {well} ok"
    )


@dataclass(frozen=True, slots=True)
class _Row:
    """Findings that say the same of several resources are one row, if they are unknown."""

    finding: Finding
    resources: tuple[str, ...]


def _rows(findings: Iterable[Finding]) -> list[_Row]:
    same: dict[object, list[Finding]] = {}
    for place, finding in enumerate(findings):
        merged = (finding.seen, finding.mend) if finding.level is Level.UNKNOWN else place
        same.setdefault(merged, []).append(finding)
    return [
        _Row(group[0], tuple(dict.fromkeys(each.resource.logical for each in group)))
        for group in same.values()
    ]


def _table(rows: Iterable[_Row]) -> Table:
    from rich.text import Text

    said = "what is seen, and how to mend it"
    table = plain_table("level", "check", "resource", said, wraps=(said,))
    table.columns[-1].overflow = "fold"
    for row in rows:
        finding = row.finding
        table.add_row(
            Text(finding.level, style=_STYLES[finding.level]),
            finding.check,
            Text("\n".join(row.resources), style="bold"),
            _said(row),
        )
    return table


def _said(row: _Row) -> Text:
    """What is seen, how to mend it, and what the resource is called in AWS."""
    from rich.text import Text

    finding = row.finding
    text = Text(one_line(finding.seen))
    if finding.mend:
        text.append(f"\n{finding.mend}", style="dim")
    name = _short(finding.resource.physical)
    if name and len(row.resources) == 1 and finding.level is not Level.OK:
        text.append(f"\n{name}", style="dim")
    return text


def _short(physical: str) -> str:
    """A queue's URL ends with its name; a stack's ARN has it before an id."""
    if physical.startswith("arn:"):
        return physical.split("/")[1] if "/" in physical else physical
    return physical.rsplit("/", 1)[-1] if physical.startswith("http") else physical


def _commands(findings: Iterable[Finding]) -> dict[str, str]:
    """What to type, each once: under what it is for. Not in the table, which would break lines."""
    titles: dict[str, list[str]] = {}
    for finding in findings:
        if finding.command:
            title = f"{finding.check} of {finding.resource.logical}"
            titles.setdefault(finding.command, []).append(title)
    return {", ".join(dict.fromkeys(each)): command for command, each in titles.items()}
