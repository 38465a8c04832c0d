"""Runners as processes: how their end is told, and that none is left behind."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable

import pytest

from infra.local.actors import processes
from infra.local.actors.processes import run_process

READY = "import sys, time, signal; print('ready', flush=True)\n"


def python(program: str) -> tuple[str, ...]:
    return (sys.executable, "-c", program)


def run(*command: str, when: Callable[[str], bool] = lambda line: False) -> tuple[str, list[str]]:
    """What was wrong in the end, and what it said; it is stopped at the first line of `when`."""
    lines: list[str] = []

    async def whole() -> str:
        stop = asyncio.Event()

        def say(line: str) -> None:
            lines.append(line)
            if when(line):
                stop.set()

        async with asyncio.timeout(30):
            return await run_process(command, dict(os.environ), stop, say)

    return asyncio.run(whole()), lines


def test_a_process_that_ends_well_has_nothing_to_tell() -> None:
    assert run(*python("print('hello'); print('bye', end='')")) == ("", ["hello", "bye"])


def test_the_last_lines_of_one_that_failed_are_told() -> None:
    program = "import sys\nfor n in range(9): print('line', n)\nsys.exit('it is broken')"
    error, lines = run(*python(program))
    assert error.startswith("the runner's process ended with exit code 1: ")
    assert "it is broken" in error
    assert "line 0" not in error
    assert lines[0] == "line 0"


def test_one_that_was_killed_is_told_by_the_signals_name() -> None:
    error, _ = run(*python("import os; os.kill(os.getpid(), 9)"))
    assert error == "the runner's process was killed by SIGKILL"


def test_a_command_that_cannot_be_started_is_told() -> None:
    error, _ = run("/no/such/program")
    assert error == "cannot start '/no/such/program': No such file or directory"


def test_one_that_is_asked_to_stop_ends_without_a_complaint() -> None:
    error, _ = run(*python(READY + "time.sleep(60)"), when=lambda line: line == "ready")
    assert error == ""


def test_one_that_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "STOP_S", 0.1)
    program = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + READY
    error, _ = run(*python(program + "time.sleep(60)"), when=lambda line: line == "ready")
    assert error == ""


def test_a_line_that_does_not_end_is_cut() -> None:
    _, lines = run(*python("print('x' * 1_000_000)"))
    assert lines
    assert all(len(line) <= processes.LINE_CHARACTERS for line in lines)


def test_whoever_holds_the_output_open_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setattr(processes, "REST_S", 0.1)
    program = "import subprocess, sys\nsubprocess.Popen(['sleep', '5'])\n"
    error, _ = run(*python(program))
    assert error == ""
