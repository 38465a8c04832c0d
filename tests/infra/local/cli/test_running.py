"""`run`, `resume` and `start`, in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.local.cli.inputs import read_input
from tests.infra.local.cli.conftest import ACTORS, Tidestep


def test_run_prints_the_output_and_nothing_else_on_stdout(tidestep: Tidestep) -> None:
    ran = tidestep("run", "greet.yaml", "--actors", ACTORS, "--input", '{"name": "sea"}')
    assert ran.code == 0
    assert json.loads(ran.out) == {"hello": "sea"}
    assert "an actor prints" in ran.err
    assert "hello: done in" in ran.err


def test_the_module_of_actors_may_come_from_the_environment(
    tidestep: Tidestep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDESTEP_ACTORS", f"{ACTORS}, {ACTORS}:greet")
    assert tidestep("run", "greet.yaml").code == 0


def test_progress_says_what_is_retried_and_why(tidestep: Tidestep) -> None:
    ran = tidestep("run", "flaky.yaml", "--actors", ACTORS)
    assert ran.code == 0
    assert json.loads(ran.out) == {"bank": 2}
    assert "bank: attempt 1 failed, retry in 0 ms: ConnectionError: the bank" in ran.err
    assert "Traceback" not in ran.err


def test_verbose_shows_the_traceback_of_an_actor(tidestep: Tidestep) -> None:
    ran = tidestep("run", "flaky.yaml", "--actors", ACTORS, "--verbose")
    assert "Traceback" in ran.err
    assert 'raise ConnectionError("the bank does not answer")' in ran.err


def test_a_failed_run_names_the_node_and_has_its_own_exit_code(tidestep: Tidestep) -> None:
    ran = tidestep("run", "decline.yaml", "--actors", ACTORS, "--id", "d1")
    assert ran.code == 8
    assert ran.out == ""
    expected = "error: run d1 failed at node 'charge': PermanentFailure: the card was declined"
    assert expected in ran.err
    assert "tidestep show d1 --history" in ran.err


def test_run_as_json_prints_one_object_whatever_came_of_it(tidestep: Tidestep) -> None:
    good = tidestep("run", "greet.yaml", "--actors", ACTORS, "--json", "--id", "g1")
    assert good.code == 0
    found = json.loads(good.out)
    assert (found["run"], found["status"]) == ("g1", "completed")
    assert found["output"] == {"hello": "world"}
    bad = tidestep("run", "decline.yaml", "--actors", ACTORS, "--json")
    assert bad.code == 8
    assert json.loads(bad.out)["error"]["node"] == "charge"
    assert "running" not in good.err + bad.err


def test_running_the_same_again_prints_the_result_of_the_first_time(tidestep: Tidestep) -> None:
    first = tidestep("run", "greet.yaml", "--actors", ACTORS, "--id", "g1")
    again = tidestep("run", "greet.yaml", "--actors", ACTORS, "--id", "g1")
    assert (again.code, again.out) == (0, first.out)
    assert "run g1 exists already" in again.err


def test_resume_prints_the_result_of_a_run_that_has_ended(tidestep: Tidestep) -> None:
    ran = tidestep("run", "greet.yaml", "--actors", ACTORS, "--id", "g1")
    assert tidestep("resume", "g1") == (0, ran.out, "")


def test_resume_runs_what_was_only_started(tidestep: Tidestep) -> None:
    started = tidestep("start", "greet.yaml", "--actors", ACTORS, "--set", "name=sea")
    assert started.code == 0
    run = started.out.strip()
    assert f"tidestep show {run}" in started.err
    resumed = tidestep("resume", run, "--actors", ACTORS)
    assert (resumed.code, json.loads(resumed.out)) == (0, {"hello": "sea"})


def test_resume_without_the_actors_says_which_and_fails_nothing(tidestep: Tidestep) -> None:
    tidestep("start", "greet.yaml", "--actors", ACTORS, "--id", "g1")
    ran = tidestep("resume", "g1")
    assert ran.code == 3
    assert "run 'g1' needs 'test.greet'" in ran.err
    assert "--actors MODULE" in ran.err
    assert tidestep("resume", "g1", "--actors", ACTORS).code == 0


def test_run_leaves_the_messages_of_other_runs_alone(tidestep: Tidestep) -> None:
    for number in range(30):
        tidestep("start", "greet.yaml", "--actors", ACTORS, "--id", f"other-{number}")
    assert tidestep("run", "flaky.yaml", "--actors", f"{ACTORS}:flaky").code == 0
    rows = json.loads(tidestep("list", "--json", "--limit", "100").out)
    others = {row["status"] for row in rows if row["run"].startswith("other")}
    assert others == {"active"}
    assert tidestep("resume", "other-7", "--actors", ACTORS).code == 0


def test_input_comes_from_files_and_settings(tidestep: Tidestep, directory: Path) -> None:
    (directory / "in.json").write_text('{"name": "json"}')
    (directory / "in.yaml").write_text("name: yaml\n")
    run = ("run", "greet.yaml", "--actors", ACTORS)
    assert json.loads(tidestep(*run, "--input", "@in.json").out) == {"hello": "json"}
    assert json.loads(tidestep(*run, "--input", "@in.yaml").out) == {"hello": "yaml"}
    ran = tidestep(*run, "--input", "@in.yaml", "--set", "name=set")
    assert json.loads(ran.out) == {"hello": "set"}


def test_settings_reach_into_objects_and_take_json() -> None:
    assert read_input(None, ["a.b=1", 'a.c=["x"]', "d=plain text"]) == {
        "a": {"b": 1, "c": ["x"]},
        "d": "plain text",
    }


def test_the_database_can_be_named(tidestep: Tidestep, directory: Path) -> None:
    place = ("--db", "other.db")
    ran = tidestep("run", "decline.yaml", "--actors", ACTORS, "--id", "d1", *place)
    assert "tidestep show d1 --history --db other.db" in ran.err
    assert not (directory / "tidestep.db").exists()
    assert tidestep("show", "d1", *place).code == 0
