"""Progress on stderr: a live table on a terminal, a line per event elsewhere, or nothing.

While a display is open, what actors print goes to stderr as well: stdout holds the result alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, Self

from engine.events import Event, Type
from engine.ports import Clock
from infra.local.cli.output import say, stderr_console
from infra.local.cli.progress import Phase, Progress, Row, event_line
from infra.local.cli.wording import count, duration, moment

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.text import Text

REFRESH_S = 0.1
_CHROME_LINES = 5
"""Lines of a screen that are not rows: the headings, and what the shell shows below."""
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_PICTURES = {
    Phase.READY: ("·", ".", "dim"),
    Phase.RUNNING: ("", ">", "cyan"),
    Phase.RETRYING: ("↻", "~", "yellow"),
    Phase.SLEEPING: ("◷", "z", "blue"),
    Phase.WAITING: ("…", "?", "blue"),
    Phase.DONE: ("✓", "+", "green"),
    Phase.FAILED: ("✗", "x", "red"),
    Phase.STOPPED: ("✗", "x", "red"),
}
"""Glyph, its stand-in where the terminal has only ASCII, and style."""
_STATE_STYLES = {
    "completed": "bold green",
    "failed": "bold red",
    "cancelled": "bold red",
    "cancelling": "bold yellow",
    "interrupted": "bold yellow",
}


class Display(Protocol):
    """Enter it to begin showing; leave it with the last state shown."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...

    def happened(self, event: Event) -> None:
        """`event` is in the progress already."""
        ...

    def say(self, text: str) -> None:
        """A message or a log line."""
        ...


class NoDisplay:
    """For `--json`: messages only, and how to answer what the run waits for."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    async def __aenter__(self) -> Self:
        for hint in self._progress.hints():
            self.say(hint)
        self._stdout = contextlib.redirect_stdout(sys.stderr)
        self._stdout.__enter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stdout.__exit__(None, None, None)

    def happened(self, event: Event) -> None:
        if event.type is Type.WAITING:
            self.say(self._progress.hint(event.port))

    def say(self, text: str) -> None:
        say(text)


class Lines(NoDisplay):
    """A line for each event."""

    def __init__(self, progress: Progress, clock: Clock) -> None:
        super().__init__(progress)
        self._clock = clock

    async def __aenter__(self) -> Self:
        say(f"run {self._progress.run}, workflow {self._progress.workflow}")
        return await super().__aenter__()

    def happened(self, event: Event) -> None:
        now = self._clock.now()
        if line := event_line(event, now):
            say(f"{moment(event.at, now)[-8:]} {line}")
        super().happened(event)


class LiveTable:
    """A table that is drawn again and again by a task of its own."""

    def __init__(self, console: Console, progress: Progress, clock: Clock) -> None:
        self._console = console
        self._progress = progress
        self._clock = clock
        self._stdout = contextlib.redirect_stdout(sys.stderr)
        self._ascii = console.options.ascii_only
        self._live: Live | None = None

    async def __aenter__(self) -> Self:
        from rich.live import Live

        self._stdout.__enter__()
        self._live = Live(console=self._console, auto_refresh=False)
        self._live.start()
        self._redrawing = asyncio.create_task(self._redraw())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._redrawing.cancel()
        with suppress(asyncio.CancelledError):
            await self._redrawing
        if self._live is not None:
            self._live.update(self._render(), refresh=True)
            self._live.stop()
        self._stdout.__exit__(None, None, None)

    def happened(self, event: Event) -> None:
        """The next drawing shows it."""

    def say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)

    async def _redraw(self) -> None:
        while self._live is not None:
            self._live.update(self._render(), refresh=True)
            await asyncio.sleep(REFRESH_S)

    def _render(self) -> RenderableType:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        now = self._clock.now()
        hints = [Text(hint, overflow="fold") for hint in self._progress.hints()]
        room = self._console.height - _CHROME_LINES - len(hints)
        rows, hidden = self._progress.rows(max(3, room))
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for heading, options in _COLUMNS.items():
            table.add_column(heading, overflow="ellipsis", **{"no_wrap": True, **options})
        for row in rows:
            table.add_row(
                row.node,
                Text(row.actor, style="dim"),
                self._picture(row.phase, now),
                str(row.visit),
                str(row.attempt),
                duration(row.elapsed(now)) if row.phase is not Phase.READY else "",
                self._note(row, now),
            )
        parts: list[RenderableType] = [self._headline(now)]
        if hidden:
            parts.append(Text(f"… {count(hidden, 'node')} not shown", style="dim"))
        return Group(*parts, table, *hints) if rows else Group(*parts)

    def _headline(self, now: int) -> Text:
        from rich.text import Text

        progress = self._progress
        style = _STATE_STYLES.get(progress.state, "bold cyan")
        return Text.assemble(
            (progress.state, style),
            (f"  {progress.run}", "bold"),
            f"  {progress.workflow}",
            (f"  {count(progress.steps, 'step')}, {progress.elapsed(now)}", "dim"),
            no_wrap=True,
            overflow="ellipsis",
        )

    def _note(self, row: Row, now: int) -> Text:
        from rich.text import Text

        style = "red" if row.phase is Phase.FAILED else "dim"
        return Text(row.note(now), style=style, no_wrap=True, overflow="ellipsis")

    def _picture(self, phase: Phase, now: int) -> Text:
        from rich.text import Text

        glyph, plain, style = _PICTURES[phase]
        if phase is Phase.RUNNING:
            glyph = _SPINNER[now // 100 % len(_SPINNER)]
        return Text(f"{plain if self._ascii else glyph} {phase}", style=style)


_COLUMNS: dict[str, dict[str, Any]] = {
    "node": {"style": "bold", "max_width": 32},
    "actor": {"max_width": 32},
    "state": {"min_width": 10},
    "visit": {"justify": "right"},
    "attempt": {"justify": "right"},
    "time": {"justify": "right", "min_width": 8},
    "note": {"no_wrap": False},
}
"""A note is one line all the same: a column that may wrap is the one that gives way."""


def make_display(progress: Progress, clock: Clock, *, as_json: bool) -> Display:
    """The display that suits whatever stderr is."""
    if as_json:
        return NoDisplay(progress)
    console = stderr_console()
    if not console.is_terminal or console.is_dumb_terminal:
        return Lines(progress, clock)
    return LiveTable(console, progress, clock)
