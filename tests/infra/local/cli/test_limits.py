"""Inputs at the limit and beyond it, and limits that are set wrong, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.ports import Limits
from tests.infra.local.cli.conftest import ACTORS, Tidestep

LIMIT = Limits().input_bytes
FRAME = len('{"name":""}')


@pytest.mark.parametrize("command", ["start", "run"])
def test_an_input_of_exactly_the_limit_is_taken_and_one_byte_more_is_not(
    tidestep: Tidestep, directory: Path, command: str
) -> None:
    def given(size: int) -> tuple[str, ...]:
        (directory / "input.json").write_text(json.dumps({"name": "x" * (size - FRAME)}))
        return (command, "greet.yaml", "--actors", ACTORS, "--input", "@input.json")

    assert tidestep(*given(LIMIT), "--id", "at").code == 0
    refused = tidestep(*given(LIMIT + 1), "--id", "above")
    assert (refused.code, refused.out) == (2, "")
    assert "error: the input has 1,048,577 bytes of JSON; the limit is 1,048,576" in refused.err
    assert "Traceback" not in refused.err
    listed = json.loads(tidestep("list", "--json").out)
    assert [row["run"] for row in listed] == ["at"]


def test_the_limit_is_a_setting(tidestep: Tidestep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDESTEP_LIMIT_INPUT_BYTES", "14")
    start = ("start", "greet.yaml", "--actors", ACTORS, "--input")
    assert tidestep(*start, '{"name":"Ada"}').code == 0
    refused = tidestep(*start, '{"name":"Adam"}')
    assert refused.code == 2
    assert "the input has 15 bytes of JSON; the limit is 14" in refused.err


def test_a_limit_that_does_not_exist_stops_the_command(
    tidestep: Tidestep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDESTEP_LIMIT_INPUT_BITES", "14")
    refused = tidestep("start", "greet.yaml", "--actors", ACTORS)
    assert refused.code == 6
    assert "there is no setting TIDESTEP_LIMIT_INPUT_BITES; known are" in refused.err
    assert "Traceback" not in refused.err
