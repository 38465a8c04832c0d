"""`tidestep simulate`: what it tries, what it reports, and what it says of mistakes."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from engine.layout import RunKey
from engine.simulation import Observer, Violation
from engine.simulation.trials.outside import GivenSignal
from engine.simulation.trials.trying import Scenario, Trial, attempt
from engine.snapshot import Head
from infra.local.cli import simulation_setup
from infra.local.cli.given_signals import read_signals
from infra.local.cli.simulation_setup import Prepared
from tests.infra.local.cli.conftest import ACTORS, Tidestep

ASKING = """
name: asking
nodes:
  - {id: ask, actor: flow.wait, config: {signal: answer, timeout: 86400}}
  - {id: yes, actor: shop.yes, retry: {max_attempts: 9, interval: 30}}
  - {id: late, actor: shop.late}
edges: [{from: ask, to: yes}, {from: ask.timeout, to: late}]
"""


@pytest.fixture
def asking(directory: Path) -> str:
    (directory / "asking.yaml").write_text(ASKING)
    return "asking.yaml"


def test_a_workflow_is_tried_without_any_of_its_actors(tidestep: Tidestep, asking: str) -> None:
    ran = tidestep("simulate", asking, "--stub", "--seeds", "40")
    assert ran.code == 0, ran.err
    assert "guessed from the edges: shop.late, shop.yes" in ran.err
    lines = ran.out.splitlines()
    assert lines[0].startswith("asking: 40 seeds, faults: storm, ")
    assert lines[-1].startswith("no violation in 40 seeds; ")
    assert re.search(r"^completed +\d+ +40$", ran.out, re.MULTILINE)
    assert re.search(r"^with faults +.* d .*$", ran.out, re.MULTILINE)
    assert re.search(r"^yes +shop\.yes +\d+ +\d+ +\d+ +\d+$", ran.out, re.MULTILINE)
    assert re.search(r"^retried by policy +\d+ +yes \d+$", ran.out, re.MULTILINE)
    assert re.search(r"^waited for 'answer' \(40\); drawn by seed: ", ran.out, re.MULTILINE)
    assert not (Path("tidestep.db")).exists()


def test_the_report_as_json_holds_the_same(tidestep: Tidestep, asking: str) -> None:
    ran = tidestep("simulate", asking, "--stub", "--seeds", "30", "--json")
    found = json.loads(ran.out)
    assert (found["workflow"], found["seeds"], found["violations"]) == ("asking", 30, [])
    assert found["stubbed"] == ["shop.late", "shop.yes"]
    assert sum(found["runs"].values()) == 30
    assert set(found["signals"]["drawn"]) == {"in time", "too late", "never"}
    assert found["duration"]["worst_ms"] > 86_400_000
    (ask,) = [node for node in found["nodes"] if node["node"] == "ask"]
    assert ask["executions"] >= ask["attempts"] >= 60
    assert (
        json.loads(tidestep("simulate", asking, "--stub", "--seeds", "30", "--json").out) == found
    )


def test_given_signals_answer_every_wait(tidestep: Tidestep, asking: str) -> None:
    words = ("simulate", asking, "--stub", "--seeds", "20", "--json", "--faults", "none")
    found = json.loads(tidestep(*words, "--signal", 'answer={"a": 1}').out)
    assert found["signals"] == {"waited_for": {"answer": 20}, "drawn": {}}
    assert found["duration"]["worst_ms"] < 600_000
    late = json.loads(tidestep(*words, "--signal", "answer@90000").out)
    assert late["duration"]["typical_ms"] > 86_000_000


def test_a_signal_that_nobody_waits_for_is_said(tidestep: Tidestep, asking: str) -> None:
    ran = tidestep("simulate", asking, "--stub", "--seeds", "3", "--signal", "anwser")
    assert "no run has waited for 'anwser'; they have waited for 'answer'" in ran.err


def test_real_actors_run_and_it_is_said_how_often(tidestep: Tidestep) -> None:
    ran = tidestep("simulate", "flaky.yaml", "--actors", ACTORS, "--seeds", "10")
    assert ran.code == 0
    assert "test.flaky: run for real, at least twice for each of 10 seeds" in ran.err
    called = re.search(r"actors were called (\d+) times", ran.out)
    assert called is not None
    assert int(called[1]) >= 40, "twice for each seed, and each fails once"


def test_the_network_is_stood_in_for(tidestep: Tidestep, directory: Path) -> None:
    (directory / "get.yaml").write_text(
        "name: get\nnodes: [{id: get, actor: http.request, config: {url: 'http://x'}}]\n"
        "output: '{{ nodes.get.output.status }}'\n"
    )
    ran = tidestep("simulate", "get.yaml", "--seeds", "5")
    assert ran.code == 0
    assert "stood in for, as there is no network: http.request" in ran.err
    assert re.search(r"^completed +5 +5$", ran.out, re.MULTILINE)


def test_failures_are_counted_by_error_and_node(tidestep: Tidestep) -> None:
    ran = tidestep("simulate", "decline.yaml", "--actors", ACTORS, "--seeds", "6")
    assert ran.code == 0, "that a run fails breaks no rule"
    assert re.search(r"^failed +6 +6 +PermanentFailure at charge", ran.out, re.MULTILINE)


def test_the_history_of_one_seed_is_printed(tidestep: Tidestep, asking: str) -> None:
    words = ("simulate", asking, "--stub", "--seed", "7", "--trace")
    ran = tidestep(*words)
    assert "history of seed 7, faults: storm" in ran.out
    assert re.search(r"^00:00:00\.\d+ +queue +seed7-storm/ask\.1\.1 sent", ran.out, re.MULTILINE)
    assert tidestep(*words).out == ran.out
    found = json.loads(tidestep(*words, "--json").out)["history"]
    assert (found["seed"], found["faults"]) == (7, "storm")
    assert "\n".join(found["lines"]) in ran.out


class _Objects(Observer):
    """Objects to runs that take more than six messages: where faults have been at work."""

    def __init__(self) -> None:
        self._messages = 0

    def sent(self, body: str, delay_ms: int, at: int) -> None:
        self._messages += 1

    def head_saved(self, key: RunKey, before: Head | None, after: Head, at: int) -> None:
        if after.status.terminal and self._messages > 6:
            raise Violation("few messages", f"{key.run} took {self._messages}")


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every simulation is watched for a rule that the engine does not promise."""
    real = simulation_setup.prepare

    def prepare(*arguments: Any) -> Prepared:
        made = real(*arguments)
        old = made.scenario
        watched = Scenario(
            old.definition,
            old.actors,
            old.input,
            old.signals,
            old.settings,
            watchers=lambda: [_Objects()],
        )
        return Prepared(watched, made.definition, made.stubbed)

    monkeypatch.setattr("infra.local.cli.simulating.prepare", prepare)


@pytest.mark.usefixtures("strict")
def test_a_violation_ends_with_a_code_of_its_own_and_a_command_that_shows_it_again(
    tidestep: Tidestep, asking: str
) -> None:
    words = ("simulate", asking, "--stub", "--seeds", "60", "--signal", "answer")
    ran = tidestep(*words)
    assert ran.code == 9
    assert "VIOLATION in seed " in ran.out
    assert ": few messages" in ran.out
    found = json.loads(tidestep(*words, "--json").out)["violations"][0]
    assert found["rule"] == "few messages"
    assert f"replay: {found['replay']}" in ran.out
    tool, *replay = shlex.split(found["replay"])
    assert tool == "tidestep"
    again = tidestep(*replay)
    assert again.code == 9
    assert f"VIOLATION in seed {found['seed']}: few messages" in again.out
    assert "history of seed" in again.out
    shorter = json.loads(tidestep(*replay, "--json").out)
    assert sum(shorter["faults"].values()) == len(found["faults"])


def test_ctrl_c_ends_early_with_a_report_on_what_was_tried(
    tidestep: Tidestep, asking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def attempts(scenario: Scenario, seed: int, *more: Any) -> Trial:
        if seed == 4:
            raise KeyboardInterrupt
        return attempt(scenario, seed, *more)

    monkeypatch.setattr("infra.local.cli.simulating.attempt", attempts)
    ran = tidestep("simulate", asking, "--stub")
    assert ran.code == 130
    assert "interrupted after 4 seeds" in ran.err
    assert "no violation in 4 seeds" in ran.out


@pytest.mark.parametrize(
    ("text", "signal"),
    [
        ("go", GivenSignal("go")),
        ("go@5", GivenSignal("go", None, 5.0)),
        ("go=1", GivenSignal("go", 1)),
        ('go={"a": "x@y"}', GivenSignal("go", {"a": "x@y"})),
        ('go={"a": "x@y"}@2.5', GivenSignal("go", {"a": "x@y"}, 2.5)),
        ('go="a=b"', GivenSignal("go", "a=b")),
    ],
)
def test_signals_are_written_as_name_json_and_seconds(text: str, signal: GivenSignal) -> None:
    assert read_signals([text]) == (signal,)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--signal", "go=yes"], "--signal 'go=yes': 'yes' is not JSON; text needs its quotes"),
        (["--signal", "go@soon"], "--signal 'go@soon': 'soon' is not a number of seconds"),
        (["--signal", "go=1@-1"], "'-1' is not a number of seconds"),
        (["--signal", "=1"], "write it as NAME, NAME=JSON or NAME=JSON@SECONDS"),
        (["--input", "{"], "not JSON"),
        (["--faults", "all"], "'none', 'mild', 'storm'"),
        (["--seeds", "0"], "--seeds"),
    ],
)
def test_mistakes_of_the_command_line_are_told(
    tidestep: Tidestep, asking: str, words: list[str], message: str
) -> None:
    ran = tidestep("simulate", asking, "--stub", *words)
    assert (ran.code, ran.out) == (2, "")
    assert message in " ".join(ran.err.split())


def test_an_input_that_the_workflow_refuses_is_told(tidestep: Tidestep) -> None:
    ran = tidestep("simulate", "greet.yaml", "--actors", ACTORS, "--seeds", "2", "--set", "name=7")
    assert ran.code == 2
    assert "name" in ran.err


def test_stdin_cannot_be_replayed(tidestep: Tidestep) -> None:
    ran = tidestep("simulate", "-", "--stub")
    assert ran.code == 2
    assert "simulate needs a file" in ran.err


def test_missing_actors_are_told_with_the_way_out(tidestep: Tidestep, asking: str) -> None:
    ran = tidestep("simulate", asking)
    assert ran.code == 3
    assert "there is no actor 'shop.yes'" in ran.err
    assert "--stub" in ran.err


def test_modules_that_are_not_there_are_guessed(tidestep: Tidestep, asking: str) -> None:
    ran = tidestep("simulate", asking, "--stub", "--actors", "no_such_module", "--seeds", "2")
    assert ran.code == 0
    assert "there is no module 'no_such_module'" in ran.err
