"""`tidestep env`: the lines that make `--aws` work in a shell."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from tests.infra.local.cli.conftest import Ran, Tidestep
from tests.infra.local.cli.deploying.conftest import OUTPUTS


def exported(ran: Ran) -> dict[str, str]:
    lines = [line.removeprefix("export ") for line in ran.out.splitlines()]
    return dict(shlex.split(line)[0].split("=", 1) for line in lines)


def test_env_prints_what_commands_with_aws_must_be_told(project: Path, tidestep: Tidestep) -> None:
    ran = tidestep("env")
    assert (ran.code, ran.err) == (0, "")
    assert exported(ran) == {
        "TIDESTEP_TABLE": OUTPUTS["TableName"],
        "TIDESTEP_QUEUE_URL": OUTPUTS["QueueUrl"],
        "TIDESTEP_BUCKET": OUTPUTS["BucketName"],
        "AWS_REGION": "eu-west-1",
    }
    assert json.loads(tidestep("env", "--json").out) == exported(ran)


def test_env_of_a_named_stack_needs_no_project(
    directory: Path, outputs: dict[str, str], tidestep: Tidestep
) -> None:
    outputs["TableName"] = "it's"
    ran = tidestep("env", "--stack", "shop", "--region", "eu-west-1")
    assert exported(ran)["TIDESTEP_TABLE"] == "it's"


def test_env_of_a_stack_that_is_not_there_says_how_it_would_be(
    directory: Path, outputs: dict[str, str], tidestep: Tidestep
) -> None:
    ran = tidestep("env", "--stack", "none-dev")
    assert (ran.code, ran.out) == (4, "")
    assert ran.err == (
        "error: there is no stack 'none-dev' in this account and region: `tidestep deploy` makes "
        "it\n"
    )


def test_env_of_a_stack_without_our_outputs_says_which_it_lacks(
    directory: Path, outputs: dict[str, str], tidestep: Tidestep
) -> None:
    outputs.pop("QueueUrl")
    ran = tidestep("env", "--stack", "shop")
    assert ran.code == 6
    assert "stack 'shop' has no output QueueUrl: pass them on" in ran.err
