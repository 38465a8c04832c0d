"""`tidestep doctor`: what it prints, how it ends, and which stack it looks at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import boto3
import pytest
from moto import mock_aws

from infra.local.cli import chosen, doctoring
from tests.infra.aws.account import CREDENTIALS
from tests.infra.aws.doctor.account import NOW, Account, refusal
from tests.infra.aws.doctor.deployed import STACK, deploy
from tests.infra.local.cli.conftest import ROOT, Tidestep

SAMCONFIG = """
[default.global.parameters]
stack_name = "shop"
[prod.global.parameters]
stack_name = "unused"
region = "us-east-1"
[prod.deploy.parameters]
stack_name = "shop"
region = "eu-central-1"
[empty.deploy.parameters]
capabilities = "CAPABILITY_IAM"
"""


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    """What the command finds in AWS, and with which environment it was asked."""
    account = Account()

    def opened(environment: Mapping[str, str]) -> Account:
        account.environment = dict(environment)
        return account

    monkeypatch.setattr(chosen, "ThreadedClients", opened)
    monkeypatch.setattr(doctoring, "SystemClock", lambda: SimpleNamespace(now=lambda: NOW))
    return account


def test_of_a_healthy_stack_one_line_says_so(account: Account, tidestep: Tidestep) -> None:
    ran = tidestep("doctor", "--stack", "shop")
    well = len(account.report().findings)
    assert ran.code == 0
    assert ran.out == (
        "stack shop in eu-west-1, account 123456789012\n"
        f"\n0 problems, 0 warnings, 0 unknown, {well} ok\n"
    )
    assert ran.err == "looking at stack shop\n--all shows what is well, too\n"
    assert account.closed


def test_problems_come_first_with_how_to_mend_them_and_end_in_6(
    account: Account, tidestep: Tidestep
) -> None:
    account.answers["events.describe_rule"]["State"] = "DISABLED"
    account.answers["dynamodb.describe_continuous_backups"] = {"ContinuousBackupsDescription": {}}
    ran = tidestep("doctor", "--stack", "shop")
    assert ran.code == 6
    lines = ran.out.splitlines()
    assert lines[2].split() == [
        "level",
        "check",
        "resource",
        *["what", "is", "seen,", "and", "how", "to", "mend", "it"],
    ]
    assert lines[3].startswith("problem  schedule  SweeperFunctionEveryMinute  it is DISABLED: ")
    assert lines[4].strip() == "Somebody has stopped the sweeper; let it go on."
    assert lines[5].strip() == "every-minute"
    assert lines[6].startswith("warning  recovery  Table  ")
    enable = "aws events enable-rule --name every-minute --region eu-west-1"
    assert f"\n# schedule of SweeperFunctionEveryMinute\n{enable}\n" in ran.out
    assert "\n1 problem, 1 warning, 0 unknown, " in ran.out


def test_warnings_alone_are_no_failure(account: Account, tidestep: Tidestep) -> None:
    account.answers["dynamodb.describe_continuous_backups"] = {"ContinuousBackupsDescription": {}}
    assert tidestep("doctor", "--stack", "shop").code == 0


def test_what_may_not_be_seen_of_several_is_one_row(account: Account, tidestep: Tidestep) -> None:
    for name in account.answers:
        if name.startswith("lambda.get_function_recursion_config"):
            account.answers[name] = refusal("AccessDenied", "GetFunctionRecursionConfig")
    ran = tidestep("doctor", "--stack", "shop")
    assert ran.code == 0
    rows = ran.out.splitlines()[3:6]
    assert rows[0].split(maxsplit=3) == [
        *("unknown", "recursion", "DispatcherFunction", "you may not look at it")
    ]
    assert rows[1].split(maxsplit=1) == [
        "DeadLetterFunction",
        "Allow yourself the action lambda:GetFunctionRecursionConfig.",
    ]
    assert rows[2].split() == ["PoolFunction"]
    assert "0 problems, 0 warnings, 3 unknown, " in ran.out


def test_all_shows_what_is_well_too(account: Account, tidestep: Tidestep) -> None:
    ran = tidestep("doctor", "--stack", "shop", "--all")
    assert "\nok     backlog        StepQueue" in ran.out
    assert ran.out.count("\nok ") == len(account.report().findings)
    assert "--all" not in ran.err


def test_json_has_every_finding(account: Account, tidestep: Tidestep) -> None:
    account.answers["events.describe_rule"]["State"] = "DISABLED"
    ran = tidestep("doctor", "--stack", "shop", "--json")
    assert ran.code == 6
    report = json.loads(ran.out)
    assert {name: report[name] for name in ("stack", "region", "account", "at")} == {
        "stack": "shop",
        "region": "eu-west-1",
        "account": "123456789012",
        "at": NOW,
    }
    assert (report["problems"], report["warnings"], report["unknown"]) == (1, 0, 0)
    assert report["ok"] == len(report["findings"]) - 1
    first = report["findings"][0]
    assert (first["check"], first["level"]) == ("schedule", "problem")
    assert first["resource"] == {
        "logical": "SweeperFunctionEveryMinute",
        "physical": "every-minute",
    }
    assert set(first) == {"check", "level", "resource", "seen", "mend", "command"}


# -- which stack ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "region"),
    [
        ((), "from-environment"),
        (("--config-env", "prod"), "eu-central-1"),
        (("--config-env", "prod", "--region", "eu-west-3"), "eu-west-3"),
        (("--stack", "shop", "--config-env", "prod"), "from-environment"),
    ],
)
def test_the_stack_and_its_region_are_those_of_samconfig_by_default(
    account: Account,
    tidestep: Tidestep,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    region: str,
) -> None:
    monkeypatch.setenv("AWS_REGION", "from-environment")
    (directory / "samconfig.toml").write_text(SAMCONFIG)
    assert tidestep("doctor", *words).code == 0
    assert account.environment["AWS_REGION"] == region


@pytest.mark.parametrize(
    ("samconfig", "words", "code", "message"),
    [
        (None, (), 2, "name the stack, or go where its samconfig.toml is"),
        (SAMCONFIG, ("--config-env", "test"), 2, "has no 'test', but default, prod, empty"),
        (SAMCONFIG, ("--config-env", "empty"), 2, "has no stack_name for 'empty'"),
        ("version = ", (), 6, "error: samconfig.toml cannot be read: "),
        (None, ("--stack", "shpo"), 4, "error: there is no stack 'shpo' in this account and"),
    ],
)
def test_a_mistake_is_one_clear_error(
    account: Account,
    tidestep: Tidestep,
    directory: Path,
    samconfig: str | None,
    words: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    if samconfig is not None:
        (directory / "samconfig.toml").write_text(samconfig)
    missing = refusal("ValidationError", "DescribeStacks", "Stack with id shpo does not exist")
    account.answers["cloudformation.describe_stacks shpo"] = missing
    ran = tidestep("doctor", *words)
    assert (ran.code, ran.out) == (code, "")
    assert message in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "no region; set AWS_REGION"),
        ({"AWS_REGION": "eu-west-1"}, "Unable to locate credentials"),
        ({"AWS_PROFILE": "nobody"}, "check AWS_PROFILE"),
    ],
)
def test_without_a_region_or_credentials_it_says_so(
    tidestep: Tidestep, directory: Path, settings: dict[str, str], message: str
) -> None:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    nowhere = {
        name: str(directory / "none") for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
    }
    alone = {**bare, **nowhere, "AWS_EC2_METADATA_DISABLED": "true", **settings}
    with patch.dict(os.environ, alone, clear=True):
        ran = tidestep("doctor", "--stack", "shop")
    assert (ran.code, ran.out) == (6, "")
    *_, error = ran.err.splitlines()
    assert error.startswith("error: ")
    assert message in error


def test_without_the_aws_packages_it_says_what_to_install(
    tidestep: Tidestep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    ran = tidestep("doctor", "--stack", "shop")
    assert (ran.code, ran.err) == (
        6,
        "error: this needs the AWS packages: pip install 'tidestep[aws]'\n",
    )


# -- the whole of it -----------------------------------------------------------------------------


@pytest.fixture
def names() -> Iterator[dict[str, str]]:
    """Our stack on moto."""
    here = {**CREDENTIALS, "AWS_DEFAULT_REGION": "eu-west-1"}
    with patch.dict(os.environ, here), mock_aws(config={"lambda": {"use_docker": False}}):
        yield deploy()


def test_a_stack_is_examined_from_the_command_to_the_exit_code(
    names: dict[str, str], tidestep: Tidestep
) -> None:
    assert tidestep("doctor", "--stack", STACK).code == 0
    boto3.client("events").disable_rule(Name=names["SweeperFunctionEveryMinute"])
    ran = tidestep("doctor", "--stack", STACK, "--json")
    assert ran.code == 6
    (problem,) = (each for each in json.loads(ran.out)["findings"] if each["level"] == "problem")
    assert problem["resource"]["physical"] == names["SweeperFunctionEveryMinute"]


def test_other_commands_do_not_wait_for_what_the_doctor_imports() -> None:
    program = (
        "import sys; from infra.local.cli.app import app; "
        "print([name for name in sys.modules if name.split('.')[0] in ('boto3', 'botocore') "
        "or name.startswith('infra.aws.doctor')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, text=True, capture_output=True, check=True
    )
    assert done.stdout == "[]\n"
