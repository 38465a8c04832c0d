"""A directory with workflows, and the command line in this process or in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from infra.local.cli import main

ACTORS = "tests.infra.local.cli.actors"
ROOT = Path(__file__).parents[4]

WORKFLOWS = {
    "greet.yaml": """
name: greet
input_schema: {type: object, properties: {name: {type: string}}}
nodes:
  - {id: hello, actor: test.greet, config: {name: "{{ input.name | default('world') }}"}}
output: "{{ nodes.hello.output }}"
""",
    "decline.yaml": """
name: decline
nodes:
  - {id: hello, actor: test.greet}
  - {id: charge, actor: test.decline}
edges: [{from: hello, to: charge}]
""",
    "flaky.yaml": "name: flaky\nnodes: [{id: bank, actor: test.flaky}]\n",
    "gate.yaml": """
name: gate
nodes:
  - {id: before, actor: test.note, config: {file: before.log}}
  - {id: gate, actor: test.gate, config: {reached: reached, door: door}}
  - {id: after, actor: test.note, config: {file: after.log}}
edges: [{from: before, to: gate}, {from: gate, to: after}]
output: {gate: "{{ nodes.gate.output }}", input: "{{ input }}"}
""",
    "sleep.yaml": "name: sleep\nnodes: [{id: nap, actor: flow.sleep, config: {seconds: 86400}}]\n",
}


class Ran(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


Tidestep = Callable[..., Ran]


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with the workflows in it."""
    for name, text in WORKFLOWS.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TIDESTEP_")]:
        monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def tidestep(directory: Path, capsys: pytest.CaptureFixture[str]) -> Tidestep:
    """Run a command in this process."""

    def run(*words: str) -> Ran:
        capsys.readouterr()
        code = main(words)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


class Processes:
    """Commands in processes of their own; whatever is left is killed at the end of the test."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "infra.local.cli", *words],
            cwd=self._directory,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"},
            text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )
        self._started.append(process)
        return process

    def run(self, *words: str) -> Ran:
        return self.end(self.start(*words))

    def end(self, process: subprocess.Popen[str]) -> Ran:
        """Wait until the process ends by itself."""
        out, err = process.communicate(timeout=60)
        assert "Exception ignored" not in (err or "")  # a warning about something left open
        return Ran(process.returncode, out or "", err or "")

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture
def processes(directory: Path) -> Iterator[Processes]:
    processes = Processes(directory)
    yield processes
    processes.close()


def eventually(condition: Callable[[], object], seconds: float = 40.0) -> None:
    """Wait until `condition` holds; fail where it does not in time."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it has not happened in time"
        time.sleep(0.01)
