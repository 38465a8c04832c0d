"""How far a simulation is, on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from infra.local.cli.output import say, stderr_console

LINE_EVERY_S = 5.0

Advance = Callable[[int, int], None]
"""Takes how many seeds are through, and how many violations were found."""


@contextmanager
def counting(seeds: int) -> Iterator[Advance]:
    console = stderr_console()
    if not console.is_terminal or console.is_dumb_terminal:
        yield _lines(seeds)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = ("simulating", BarColumn(), MofNCompleteColumn(), "seeds", Remaining())
    with Progress(*columns, TextColumn("{task.fields[found]}"), console=console) as progress:
        task = progress.add_task("seeds", total=seeds, found="")

        def advance(done: int, violations: int) -> None:
            progress.update(task, completed=done, found=_found(violations))

        yield advance


def _lines(seeds: int) -> Advance:
    last = time.monotonic()

    def advance(done: int, violations: int) -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_EVERY_S:
            last = time.monotonic()
            say(f"{done:,} of {seeds:,} seeds {_found(violations)}".rstrip())

    return advance


def _found(violations: int) -> str:
    return f"{violations:,} with a violation" if violations else ""
