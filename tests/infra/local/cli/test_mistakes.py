"""What people get wrong: each has a clear message, its own exit code, and no traceback."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from infra.local.sqlite import SqliteWorker
from infra.system import SystemClock
from tests.infra.local.cli.conftest import ACTORS, Tidestep

GREET = ("run", "greet.yaml", "--actors", ACTORS)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("run", "none.yaml"), 4, "error: none.yaml: there is no such file"),
        (("run", "."), 4, "error: .: this is a directory"),
        (("run", "greet.yaml"), 3, "greet.yaml:5: node 'hello', actor: there is no actor"),
        (("run", "greet.yaml", "--actors", "nowhere"), 6, "there is no module 'nowhere'"),
        (("run", "greet.yaml", "--actors", f"{ACTORS}:no"), 6, "has no 'no'"),
        ((*GREET, "--input", '{"name": 1}'), 2, "$.name: 1 is not of type 'string'"),
        ((*GREET, "--input", '{"name": 1,}'), 2, "--input, line 1, column 12: not JSON"),
        ((*GREET, "--input", ""), 2, "--input: the input is empty"),
        ((*GREET, "--input", "NaN"), 2, "NaN is not JSON"),
        ((*GREET, "--input", "[" * 100_000), 2, "nested too deeply"),
        ((*GREET, "--input", "@none.json"), 2, "there is no file 'none.json'"),
        ((*GREET, "--input", "@bad.json"), 2, "bad.json, line 2, column 1: not JSON"),
        ((*GREET, "--input", "@bad.yaml"), 2, "bad.yaml:1"),
        ((*GREET, "--input", "@latin.json"), 2, "latin.json:1: the text is not UTF-8"),
        ((*GREET, "--set", "name"), 2, "write it as key=value"),
        ((*GREET, "--input", "[]", "--set", "a=1"), 2, "not an object that has keys"),
        ((*GREET, "--id", "a/b"), 2, "run id 'a/b': use 1 to 100 letters"),
        ((*GREET, "--db", "no/such/x.db"), 6, "does not exist; create it first"),
        ((*GREET, "--db", "text.db"), 6, "text.db: this is not a database"),
        ((*GREET, "--db", "foreign.db"), 6, "foreign.db: this database belongs to another"),
        ((*GREET, "--db", "readonly.db"), 6, "readonly.db: the file is read-only"),
        (("show", "g1", "--db", "readonly.db"), 6, "readonly.db: the file is read-only"),
        (("list",), 4, "there is no database 'tidestep.db'"),
        (("show", "g1"), 4, "there is no database 'tidestep.db'"),
        (("resume", "g1"), 4, "there is no database 'tidestep.db'"),
        (("validate", "malformed.yaml"), 3, "error: malformed.yaml:2"),
        (("graph", "malformed.yaml"), 3, "error: malformed.yaml:2"),
        (("catalog", "flow.swich"), 4, "did you mean 'flow.switch'?"),
        (("start", "-", "--input", "-"), 2, "stdin can be the workflow or the input"),
        (("run",), 2, "Missing argument 'FILE'\ntry: tidestep run --help"),
        (("swim",), 2, "No such command 'swim'\ntry: tidestep --help"),
        (("list", "--status", "wet"), 2, "'wet' is not one of 'active', 'paused'"),
        (("list", "--limit", "0"), 2, "try: tidestep list --help"),
        (("work", "--aws"), 6, "TIDESTEP_TABLE, TIDESTEP_QUEUE_URL, TIDESTEP_BUCKET"),
    ],
    ids=lambda value: " ".join(value)[-40:] if isinstance(value, tuple) else "",
)
def test_a_mistake_is_explained(
    tidestep: Tidestep, directory: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    (directory / "malformed.yaml").write_text("name: x\nnodes: [\n")
    (directory / "bad.json").write_text('{"a":\n')
    (directory / "bad.yaml").write_text("a: [\n")
    (directory / "latin.json").write_bytes(b'"\xe9"')
    (directory / "text.db").write_text("nothing of a database\n" * 20)
    sqlite3.connect(directory / "foreign.db").execute("CREATE TABLE t (x)").connection.close()
    with SqliteWorker(directory / "readonly.db", SystemClock()):
        pass
    (directory / "readonly.db").chmod(0o444)
    ran = tidestep(*words)
    assert message in ran.err
    assert ran.code == code
    assert ran.err.startswith("error: ")
    assert ran.out == ""
    assert "Traceback" not in ran.err
    assert "bug" not in ran.err


def test_all_problems_of_a_workflow_are_listed_with_their_lines(
    tidestep: Tidestep, directory: Path
) -> None:
    (directory / "w.yaml").write_text(
        "name: w\nnodes:\n  - {id: a, actor: none.one}\n  - {id: b, actor: none.two}\n"
    )
    for command in ("run", "start", "validate"):
        ran = tidestep(command, "w.yaml")
        assert ran.code == 3
        assert ran.err.startswith("error: the workflow has 2 problems\nw.yaml:3: node 'a'")
        assert "\nw.yaml:4: node 'b'" in ran.err


def test_forgotten_actors_are_said_once(tidestep: Tidestep, directory: Path) -> None:
    (directory / "w.yaml").write_text(
        "name: w\nnodes:\n  - {id: a, actor: slow.step}\n  - {id: b, actor: test.greet}\n"
    )
    for command in ("run", "start", "validate"):
        assert tidestep(command, "w.yaml").err == (
            "error: the workflow has 2 problems\n"
            "w.yaml:3: node 'a', actor: there is no actor 'slow.step'\n"
            "w.yaml:4: node 'b', actor: there is no actor 'test.greet'\n"
            "no actors of your own are loaded: add --actors MODULE\n"
        )
    assert "no actors of your own" in tidestep("validate", "w.yaml", "--json").err
    given = tidestep("validate", "w.yaml", "--actors", ACTORS)
    assert "known are: " in given.err
    assert "no actors of your own" not in given.err


def test_an_id_that_is_taken_by_another_input_is_refused(tidestep: Tidestep) -> None:
    assert tidestep(*GREET, "--id", "g1").code == 0
    ran = tidestep(*GREET, "--id", "g1", "--set", "name=sea")
    assert ran.code == 5
    assert "run 'g1' exists already, with another definition or input" in ran.err


@pytest.mark.parametrize("command", ["show", "resume"])
def test_an_unknown_run_is_said_to_be_unknown(tidestep: Tidestep, command: str) -> None:
    tidestep(*GREET)
    ran = tidestep(command, "nobody")
    assert (ran.code, ran.err) == (4, "error: there is no run 'nobody'\n")


def test_a_second_worker_is_refused_and_nothing_is_started(
    tidestep: Tidestep, directory: Path
) -> None:
    with SqliteWorker(directory / "tidestep.db", SystemClock()):
        ran = tidestep(*GREET, "--id", "g1")
        assert ran.code == 7
        assert "a worker already runs on this file: process" in ran.err
        assert "tidestep start" in ran.err
        assert tidestep("show", "g1").code == 4
        assert tidestep("work").code == 7
        tidestep("start", "greet.yaml", "--actors", ACTORS, "--id", "g1")
        resumed = tidestep("resume", "g1", "--actors", ACTORS)
        assert resumed.code == 7
        assert "tidestep show g1" in resumed.err


def test_a_bug_says_that_it_is_one(tidestep: Tidestep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.local.cli.options.load_actors", lambda paths: 1 / 0)
    ran = tidestep("catalog")
    assert ran.code == 70
    assert "ZeroDivisionError" in ran.err
    assert "error: this is a bug in tidestep" in ran.err
