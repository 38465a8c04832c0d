"""`list`, `show`, and the commands about documents."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_group

from infra.local.cli.app import app
from infra.local.cli.exits import EXIT_CODES
from tests.infra.local.cli.conftest import ACTORS, Tidestep


def commands(group: TyperGroup, *before: str) -> Iterator[str]:
    """Commands as they are typed, those of groups included."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, *before, name)
        else:
            yield " ".join((*before, name))


COMMANDS = frozenset(commands(get_group(app)))


@pytest.fixture
def runs(tidestep: Tidestep) -> Tidestep:
    """After one run that completed, one that failed, and one that was only started."""
    tidestep("run", "flaky.yaml", "--actors", ACTORS, "--id", "good", "--set", "n=1")
    tidestep("run", "decline.yaml", "--actors", ACTORS, "--id", "bad")
    tidestep("start", "greet.yaml", "--actors", ACTORS, "--id", "new")
    return tidestep


def test_list_shows_the_newest_first(runs: Tidestep) -> None:
    lines = runs("list").out.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [
        ["new", "active", "greet"],
        ["bad", "failed", "decline"],
        ["good", "completed", "flaky"],
    ]


def test_list_filters_and_limits(runs: Tidestep) -> None:
    failed = json.loads(runs("list", "--status", "failed", "--json").out)
    assert [row["run"] for row in failed] == ["bad"]
    assert len(json.loads(runs("list", "--limit", "2", "--json").out)) == 2
    none = runs("list", "--status", "paused", "--json")
    assert (none.code, none.out) == (0, "[]\n")
    assert "no run in tidestep.db is paused" in runs("list", "--status", "paused").err


def test_show_sums_up_each_node(runs: Tidestep) -> None:
    ran = runs("show", "good")
    lines = ran.out.splitlines()
    assert "status    completed" in lines
    assert 'input     {"n": 1}' in lines
    assert 'output    {"bank": 2}' in lines
    (node,) = [line.split() for line in lines if line.startswith("bank")]
    assert node[:6] == ["bank", "test.flaky", "done", "1", "2", "1"]
    assert "ConnectionError: the bank does not answer" in ran.out


def test_show_names_the_node_that_failed(runs: Tidestep) -> None:
    expected = "error     node 'charge': PermanentFailure: the card was declined"
    assert expected in runs("show", "bad").out


def test_show_lists_what_is_pending(runs: Tidestep) -> None:
    out = runs("show", "new").out
    assert "pending  state  visit  attempt  due" in out
    assert "hello    ready      1        1  now" in out


def test_the_history_has_every_result(runs: Tidestep) -> None:
    found = json.loads(runs("show", "good", "--history", "--json").out)
    assert [entry["outcome"] for entry in found["history"]] == ["retried", "done"]
    assert found["nodes"][0]["attempts"] == 2
    assert "ConnectionError" in runs("show", "good", "--history").out


def test_outputs_are_shown_with_the_history_when_asked_for(runs: Tidestep) -> None:
    long = "x" * 500
    runs("run", "greet.yaml", "--actors", ACTORS, "--id", "long", "--set", f"name={long}")
    out = runs("show", "long", "--outputs").out
    assert '{"hello": "xxx' in out
    assert "(513 characters)" in out
    (result,) = json.loads(runs("show", "long", "--outputs", "--json").out)["history"]
    assert result["output"] == {"hello": long}
    retried, done = json.loads(runs("show", "good", "--outputs", "--json").out)["history"]
    assert ("output" in retried, done["output"]) == (False, 2)
    assert "output" not in json.loads(runs("show", "good", "--history", "--json").out)["history"][1]


def test_show_as_json_holds_input_and_output(runs: Tidestep) -> None:
    found = json.loads(runs("show", "good", "--json").out)
    assert (found["input"], found["output"]) == ({"n": 1}, {"bank": 2})
    assert "history" not in found


def test_validate_sums_up_a_good_workflow(tidestep: Tidestep) -> None:
    ran = tidestep("validate", "gate.yaml", "--actors", ACTORS)
    assert ran == (0, "gate.yaml: ok, workflow 'gate' with 3 nodes, 2 edges\n", "")


def test_a_workflow_from_stdin_is_called_so(
    tidestep: Tidestep, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for words, start in [((), "<stdin>: ok, "), (("--json",), '{\n  "file": "<stdin>"')]:
        with (directory / "sleep.yaml").open() as file:
            monkeypatch.setattr("sys.stdin", file)
            assert tidestep("validate", "-", *words).out.startswith(start)


def test_the_version_is_told(tidestep: Tidestep) -> None:
    assert tidestep("--version") == (0, f"tidestep {version('tidestep')}\n", "")


def test_validate_as_json_lists_the_problems(tidestep: Tidestep) -> None:
    ran = tidestep("validate", "greet.yaml", "--json")
    assert ran.code == 3
    found = json.loads(ran.out)
    assert found["ok"] is False
    assert [problem["line"] for problem in found["problems"]] == [5]
    good = json.loads(tidestep("validate", "greet.yaml", "--actors", ACTORS, "--json").out)
    assert (good["ok"], good["problems"]) == (True, [])


def test_graph_draws_without_the_actors(tidestep: Tidestep) -> None:
    ran = tidestep("graph", "gate.yaml", "--direction", "LR")
    assert ran.code == 0
    assert ran.out.startswith("flowchart LR\n")
    assert json.loads(tidestep("graph", "gate.yaml", "--json").out)["mermaid"].startswith("flow")


def test_catalog_lists_actors_and_describes_one(tidestep: Tidestep) -> None:
    out = tidestep("catalog", "--actors", ACTORS).out
    assert "flow.switch" in out
    assert "Greet somebody." in out
    assert "[name]" in out
    one = tidestep("catalog", "test.greet", "--actors", ACTORS).out
    assert one.startswith("test.greet\n  Greet somebody.\n")
    assert '[name]  {"type": "string"}' in one
    names = [each["name"] for each in json.loads(tidestep("catalog", "--json").out)]
    assert names == sorted(names)
    assert json.loads(tidestep("catalog", "flow.sleep", "--json").out)["name"] == "flow.sleep"


def test_schema_is_a_json_schema(tidestep: Tidestep) -> None:
    assert json.loads(tidestep("schema").out)["$schema"].endswith("2020-12/schema")


def test_every_command_and_exit_code_is_in_the_documentation() -> None:
    text = (Path(__file__).parents[4] / "docs" / "cli.md").read_text()
    for name in COMMANDS:
        assert f"\n### {name}\n" in text
        assert f"$ tidestep {name}" in text
    for code, meaning in EXIT_CODES.items():
        assert f"| {code} | {meaning} |" in text


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_ends_with_examples(tidestep: Tidestep, command: str) -> None:
    ran = tidestep(*command.split(), "--help")
    assert ran.code == 0
    assert f"tidestep {command}" in ran.out[ran.out.index("Examples:") :]
