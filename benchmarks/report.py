"""What a benchmark hands back: tables, and the aims that it judges. Ratios come first in each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH = 120
"""Of a table where the output goes to a file."""


@dataclass(frozen=True, slots=True)
class Aim:
    """One number that was promised. `value` of None: it could not be measured, and `reason` why.

    `reason` is what stands behind a miss; it is shown only where the aim is missed.
    """

    name: str
    value: float | None
    limit: float
    reason: str
    at_least: bool = False
    """Whether more is better."""
    percent: bool = False

    @property
    def met(self) -> bool | None:
        if self.value is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @property
    def shown(self) -> str:
        return "-" if self.value is None else self._number(self.value)

    @property
    def bound(self) -> str:
        return f"{'at least' if self.at_least else 'at most'} {self._number(self.limit)}"

    def _number(self, value: float) -> str:
        return f"{value:.1%}" if self.percent else f"{value:.2f}"


@dataclass(slots=True)
class Report:
    """What one benchmark found."""

    tables: list[Table] = field(default_factory=list)
    aims: list[Aim] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """The first column says what a row is about; the others are numbers."""
    made = Table(title=title, title_justify="left", title_style="bold")
    for place, column in enumerate(columns):
        made.add_column(column, justify="right" if place else "left")
    for row in rows:
        if row:
            made.add_row(*row)
        else:
            made.add_section()
    return made


def ratio(value: float, base: float) -> str:
    return f"{value / base:.2f}" if base else "-"


def console() -> Console:
    made = Console()
    return made if made.is_terminal else Console(width=WIDTH)


def show(out: Console, report: Report, took: str) -> None:
    for each in report.tables:
        out.print(each)
    for note in report.notes:
        out.print(Text(note))
    out.print(Text(f"({took})\n", style="dim"))


def show_aims(out: Console, aims: Sequence[Aim]) -> None:
    words = {True: "[green]met[/]", False: "[red]MISSED[/]", None: "[yellow]not measured[/]"}
    rows = [[aim.name, aim.shown, aim.bound, words[aim.met]] for aim in aims]
    out.print(table("Aims", ["aim", "value", "", ""], rows))
    for aim in aims:
        if not aim.met:
            out.print(Text(f"- {aim.name}: {aim.shown}, {aim.bound}. {aim.reason}"))
