"""A run in one process, and what other processes do to it meanwhile."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.infra.local.cli.conftest import ACTORS, Processes, eventually
from tests.infra.local.cli.test_operating import WORKFLOWS

pytestmark = pytest.mark.thorough

GATE = ("run", "gate.yaml", "--actors", ACTORS, "--id", "g1")
ANSWER = "to answer: tidestep signal a1 approval\n"


@pytest.fixture(autouse=True)
def workflows(directory: Path) -> None:
    for name, text in WORKFLOWS.items():
        (directory / name).write_text(text)


def read_until(process: subprocess.Popen[str], line: str) -> list[str]:
    """What the process says on stderr up to this line."""
    assert process.stderr is not None
    lines: list[str] = []
    while not (lines and lines[-1] == line):
        lines.append(process.stderr.readline())
        assert lines[-1], "it ended"
    return lines


def status(processes: Processes, run: str) -> str:
    return str(json.loads(processes.run("show", run, "--json").out)["status"])


@pytest.mark.parametrize("words", [(), ("--json",)], ids=["lines", "json"])
def test_a_run_that_waits_says_how_to_answer_and_a_signal_from_elsewhere_ends_the_wait(
    processes: Processes, words: tuple[str, ...]
) -> None:
    running = processes.start("run", "approval.yaml", "--id", "a1", *words)
    read_until(running, ANSWER)
    sent = processes.run("signal", "a1", "approval", "--set", "by=Ada")
    assert sent.code == 0
    assert sent.out == "signal 'approval' is stored: node 'approve' of run a1 takes it\n"
    ran = processes.end(running)
    assert ran.code == 0
    found = json.loads(ran.out)
    assert (found["output"] if words else found) == {"publish": {"by": "Ada"}}


def test_a_wait_can_be_left_is_shown_and_goes_on(processes: Processes) -> None:
    running = processes.start("run", "approval.yaml", "--id", "a1", "--db", "b.db")
    read_until(running, "to answer: tidestep signal a1 approval --db b.db\n")
    running.send_signal(signal.SIGINT)
    assert processes.end(running).code == 130
    shown = processes.run("show", "a1", "--db", "b.db")
    assert "status    paused" in shown.out
    assert "for signal 'approval' until" in shown.out
    assert "to answer: tidestep signal a1 approval --db b.db" in shown.err
    (pending,) = json.loads(processes.run("show", "a1", "--db", "b.db", "--json").out)["pending"]
    assert (pending["state"], pending["signal"]) == ("waiting", "approval")
    misspelt = processes.run("signal", "a1", "aproval", "--db", "b.db")
    assert "what it waits for now: 'approval'" in misspelt.err
    resumed = processes.start("resume", "a1", "--db", "b.db")
    read_until(resumed, "to answer: tidestep signal a1 approval --db b.db\n")
    processes.run("signal", "a1", "approval", "--input", '{"by": 1}', "--db", "b.db")
    assert json.loads(processes.end(resumed).out) == {"publish": {"by": 1}}


def test_a_fork_that_begins_waiting_says_how_to_answer(processes: Processes) -> None:
    running = processes.start("run", "approval.yaml", "--id", "a0")
    read_until(running, ANSWER.replace("a1", "a0"))
    processes.run("signal", "a0", "approval", "--set", "by=Ada")
    processes.end(running)
    forked = processes.run("fork", "a0", "--step", "2", "--id", "a1")
    assert "fork a1 of a0 begins before step 2 (approve)" in forked.err
    resumed = processes.start("resume", "a1")
    read_until(resumed, ANSWER)
    processes.run("signal", "a1", "approval", "--set", "by=Bob")
    assert json.loads(processes.end(resumed).out) == {"publish": {"by": "Bob"}}


def test_a_run_that_only_waits_is_cancelled_at_once_however_gracefully(
    processes: Processes,
) -> None:
    running = processes.start("run", "approval.yaml", "--id", "a1")
    read_until(running, ANSWER)
    cancelled = json.loads(processes.run("cancel", "a1", "--gracefully", "--json").out)
    assert cancelled == {"run": "a1", "status": "cancelled", "changed": True}
    ran = processes.end(running)
    assert ran.code == 8
    assert "error: run a1 cancelled" in ran.err
    assert "to go on from where it was cancelled: tidestep retry a1" in ran.err


def test_a_gracefully_cancelled_run_keeps_what_was_running_and_begins_nothing_new(
    processes: Processes, directory: Path
) -> None:
    running = processes.start(*GATE)
    eventually((directory / "reached").exists)
    assert "is being cancelled" in processes.run("cancel", "g1", "--gracefully").out
    read_until(running, "the run is being cancelled: nothing new begins, what runs may end\n")
    (directory / "door").touch()
    assert processes.end(running).code == 8
    assert not (directory / "after.log").exists()
    processes.run("retry", "g1")
    resumed = processes.run("resume", "g1", "--actors", ACTORS)
    assert json.loads(resumed.out)["gate"] == "through"
    assert (directory / "reached").read_text() == "x"
    assert (directory / "after.log").read_text() == "noted\n"


def test_a_worker_takes_what_others_retry_and_fork_beside_it(
    processes: Processes, directory: Path
) -> None:
    worker = processes.start("work", "--actors", ACTORS)
    read = worker.stderr
    assert read is not None
    assert "working on tidestep.db" in read.readline()
    processes.run("start", "mended.yaml", "--actors", ACTORS, "--id", "m1")
    eventually(lambda: status(processes, "m1") == "failed")
    (directory / "mended").touch()
    assert processes.run("redrive").out == "1 run retried\n"
    assert processes.run("fork", "m1", "--step", "1", "--id", "m2").code == 0
    eventually(lambda: [status(processes, run) for run in ("m1", "m2")] == ["completed"] * 2)
    worker.send_signal(signal.SIGTERM)
    assert processes.end(worker).code == 0


def test_a_wait_on_a_terminal_shows_the_command_to_type(processes: Processes) -> None:
    ours, theirs = pty.openpty()
    running = processes.start("run", "approval.yaml", "--id", "a1", stderr=theirs)
    os.close(theirs)
    shown = b""
    while b"tidestep signal a1 approval" not in shown:
        shown += os.read(ours, 65536)
    processes.run("signal", "a1", "approval", "--set", "by=Ada")
    with suppress(OSError):  # raised when the other side is closed: that was all
        while chunk := os.read(ours, 65536):
            shown += chunk
    os.close(ours)
    assert processes.end(running).code == 0
    text = shown.decode()
    assert "… waiting" in text
    assert "for signal 'approval'" in text
    assert "tidestep signal" not in text[text.rindex("completed") :]
