"""The command line as processes: interrupted, killed, beside each other, and in a pipe.

They run with every warning as an error, so an unclosed file would show on stderr.
"""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.infra.local.cli.conftest import ACTORS, Processes, eventually

pytestmark = pytest.mark.thorough

GATE = ("run", "gate.yaml", "--actors", ACTORS, "--id", "g1", "--input", '{"n": 7}')
RESULT = {"gate": "through", "input": {"n": 7}}


def written(file: Path) -> bool:
    """Whether something lies in it: a file is there before its text is."""
    return file.exists() and file.stat().st_size > 0


def test_an_interrupted_run_says_how_to_resume_and_the_resumed_one_completes(
    processes: Processes, directory: Path
) -> None:
    process = processes.start(*GATE, "--db", "a b.db")
    eventually(lambda: written(directory / "reached"))
    process.send_signal(signal.SIGINT)
    (directory / "door").touch()  # the step that runs may end
    ran = processes.end(process)
    assert ran.code == 130
    assert ran.out == ""
    command = f"tidestep resume g1 --db 'a b.db' --actors {ACTORS}"
    assert f"run g1 is resumable: {command}\n" in ran.err
    assert "Traceback" not in ran.err
    resumed = processes.run("resume", "g1", "--db", "a b.db", "--actors", ACTORS)
    assert (resumed.code, json.loads(resumed.out)) == (0, RESULT)
    assert (directory / "before.log").read_text() == "noted\n"
    assert (directory / "reached").read_text() == "x"


def test_a_second_interrupt_stops_at_once(processes: Processes, directory: Path) -> None:
    process = processes.start(*GATE)
    eventually(lambda: written(directory / "reached"))
    assert process.stderr is not None
    process.send_signal(signal.SIGINT)
    while "Ctrl-C again stops at once" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    ran = processes.end(process)
    assert ran.code == 130
    assert "run g1 is resumable: tidestep resume g1" in ran.err
    assert "Traceback" not in ran.err
    (directory / "door").touch()
    assert json.loads(processes.run("resume", "g1", "--actors", ACTORS).out) == RESULT


def test_a_killed_run_resumes_and_repeats_only_the_step_that_was_cut_off(
    processes: Processes, directory: Path
) -> None:
    process = processes.start(*GATE)
    eventually(lambda: written(directory / "reached"))
    process.kill()
    processes.end(process)
    (directory / "door").touch()
    resumed = processes.run("resume", "g1", "--actors", ACTORS)
    assert (resumed.code, json.loads(resumed.out)) == (0, RESULT)
    assert (directory / "before.log").read_text() == "noted\n"
    assert (directory / "reached").read_text() == "xx"
    assert (directory / "after.log").read_text() == "noted\n"


def test_a_run_that_sleeps_long_says_until_when_and_can_be_left(
    processes: Processes, directory: Path
) -> None:
    process = processes.start("run", "sleep.yaml", "--id", "s1")
    assert process.stderr is not None
    lines: list[str] = []
    while not (lines and "nap: sleeping until" in lines[-1]):
        lines.append(process.stderr.readline())
        assert lines[-1], "it ended"
    assert "(in 24 h 0 min)" in lines[-1] or "(in 1 d 0 h)" in lines[-1]
    process.send_signal(signal.SIGTERM)
    assert processes.end(process).code == 143
    shown = json.loads(processes.run("show", "s1", "--json").out)
    assert (shown["status"], shown["pending"][0]["state"]) == ("paused", "sleeping")


def test_a_worker_takes_what_others_start_beside_it(processes: Processes, directory: Path) -> None:
    worker = processes.start("work", "--actors", ACTORS, "--json")
    assert worker.stderr is not None
    assert "working on tidestep.db" in worker.stderr.readline()
    started = processes.run("start", "greet.yaml", "--actors", ACTORS, "--id", "g1", "--json")
    assert json.loads(started.out) == {"run": "g1", "status": "active", "created": True}
    assert worker.stdout is not None
    events: list[Any] = []
    while not (events and events[-1]["type"] == "Completed"):
        events.append(json.loads(worker.stdout.readline()))
    assert {event["run"] for event in events} == {"g1"}
    worker.send_signal(signal.SIGTERM)
    ran = processes.end(worker)
    assert ran.code == 0
    assert "stopped; what is unfinished waits for the next worker" in ran.err
    assert json.loads(processes.run("resume", "g1").out) == {"hello": "world"}


def test_a_worker_logs_what_failed_without_tracebacks(
    processes: Processes, directory: Path
) -> None:
    processes.run("start", "decline.yaml", "--actors", ACTORS, "--id", "d1")
    worker = processes.start("work", "--actors", ACTORS)
    assert worker.stderr is not None
    lines: list[str] = []
    while not (lines and "run d1 failed after" in lines[-1]):
        lines.append(worker.stderr.readline())
        assert lines[-1], "it ended"
    assert any("charge: failed after" in line for line in lines)
    assert not any("Traceback" in line for line in lines)
    worker.send_signal(signal.SIGINT)
    assert processes.end(worker).code == 0


@pytest.mark.parametrize(
    "words", [("schema",), ("catalog",), ("run", "greet.yaml", "--actors", ACTORS)]
)
def test_a_reader_that_stops_reading_is_no_error(
    processes: Processes, directory: Path, words: tuple[str, ...]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        process = processes.start(*words, stdout=writing)
    finally:
        os.close(writing)
    ran = processes.end(process)
    assert ran.code == 141
    assert "Traceback" not in ran.err
    assert "Exception" not in ran.err
    assert "error" not in ran.err


def test_progress_on_a_terminal_is_a_table(processes: Processes, directory: Path) -> None:
    ours, theirs = pty.openpty()
    process = processes.start("run", "flaky.yaml", "--actors", ACTORS, stderr=theirs)
    os.close(theirs)
    ran = processes.end(process)
    shown = b""
    with suppress(OSError):  # raised when the other side is closed: that was all
        while chunk := os.read(ours, 65536):
            shown += chunk
    os.close(ours)
    assert ran.code == 0
    assert json.loads(ran.out) == {"bank": 2}
    text = shown.decode()
    assert "completed" in text
    assert "✓ done" in text
    assert "attempt" in text


@pytest.mark.parametrize("words", [("--help",), ("list",), ("show", "g1")])
def test_what_must_be_quick_imports_little(
    processes: Processes, directory: Path, words: tuple[str, ...]
) -> None:
    processes.run("start", "greet.yaml", "--actors", ACTORS, "--id", "g1")
    code = (
        "import sys\nfrom infra.local.cli import main\n"
        f"assert main({words!r}) == 0\n"
        "print('IMPORTED', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])},
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(done.stdout[done.stdout.index("IMPORTED") :].split())
    heavy = {"httpx", "jinja2", "boto3", "botocore", "aiobotocore", "jsonschema", "ruamel"}
    assert not imported & heavy
    if words == ("--help",):  # Typer itself needs it to parse the options of a command
        assert "pydantic" not in imported
