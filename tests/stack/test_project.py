"""A project from its first command to its last: made, run here, deployed, grown, and deleted.

Tidestep is a wheel in an environment of its own, and nothing of the checkout is on its path: what
the project has of Tidestep is what anybody has.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.stack.deployment import Deployment, eventually
from tests.stack.ministack import Ministack, serving
from tests.stack.sam import ARCHITECTURE
from tests.stack.tools import SAM, environment, run
from tests.wheel import built_wheel, uv

STACK = "shop-dev"
UNATTENDED = ("--", "--no-confirm-changeset", "--no-progressbar")
NEW_ACTOR = """

@actor("shop.thank")
async def thank(name: str) -> str:
    return f"Thank you, {name}."
"""
NEW_WORKFLOW = "name: thanks\nnodes: [{id: thank, actor: shop.thank}]\n"


@dataclass(frozen=True)
class Shop:
    """The project, and the commands of the environment that it is worked on in."""

    directory: Path
    binaries: Path
    account: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        unwanted = ("AWS_", "SAM_", "TIDESTEP_", "VIRTUAL_ENV", "PYTHON")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
        path = (str(self.binaries), str(environment(*SAM)), kept["PATH"])
        return {**kept, **self.account, "PATH": os.pathsep.join(path), "SAM_CLI_TELEMETRY": "0"}

    def command(self, program: str, *words: str) -> str:
        """What it prints to stdout. Raises AssertionError with all of it where it fails."""
        return run(str(self.binaries / program), *words, cwd=self.directory, env=self.environment)

    def tidestep(self, *words: str) -> str:
        return self.command("tidestep", *words)

    def shell(self, script: str) -> str:
        return run("sh", "-ec", script, cwd=self.directory, env=self.environment)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ministack]:
    with serving(tmp_path_factory.mktemp("ministack")) as server:
        yield server


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, server: Ministack) -> Shop:
    """Made by the installed wheel, and installed beside it as its README says."""
    place = tmp_path_factory.mktemp("project")
    wheel = built_wheel(place / "wheel")
    run(uv(), "venv", "--quiet", "--python", _python(), str(place / "venv"))
    python = str(place / "venv" / "bin" / "python")
    run(uv(), "pip", "install", "--quiet", "--python", python, f"{wheel}[aws]")
    parent = Shop(place, place / "venv" / "bin", server.environment)
    parent.tidestep("init", "shop")
    shop = Shop(place / "shop", parent.binaries, server.environment)
    run(uv(), "pip", "install", "--quiet", "--python", python, "-e", ".[dev]", cwd=shop.directory)
    # The stand-in runs functions on this machine's processor.
    _replace(
        shop.directory / "template.yaml", "Architecture: arm64", f"Architecture: {ARCHITECTURE}"
    )
    return shop


@pytest.fixture(scope="module")
def said(shop: Shop) -> str:
    """What the first deployment prints."""
    return shop.tidestep("deploy", *UNATTENDED)


@pytest.fixture(scope="module")
def deployment(said: str, server: Ministack) -> Deployment:
    return Deployment(server, STACK)


@pytest.fixture(scope="module")
def grown(shop: Shop, deployment: Deployment) -> None:
    """An actor and a workflow more, in the project alone, deployed."""
    package = shop.directory / "app" / "shop"
    actors = package / "actors.py"
    actors.write_text(actors.read_text() + NEW_ACTOR)
    (package / "workflows" / "thanks.yaml").write_text(NEW_WORKFLOW)
    shop.tidestep("deploy", *UNATTENDED)


def _python() -> str:
    return str(environment(*SAM) / "python")


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_tidestep_comes_from_the_wheel_alone(shop: Shop) -> None:
    code = "import engine, functions, infra, tidestep; print(engine.__file__, tidestep.__file__)"
    for place in shop.command("python", "-c", code).split():
        assert Path(place).is_relative_to(shop.binaries.parent)


def test_the_tests_of_a_new_project_pass(shop: Shop) -> None:
    assert re.search(r"\d+ passed", shop.command("pytest", "-q"))


def test_its_workflow_is_valid_and_runs_here(shop: Shop) -> None:
    order = ("app/shop/workflows/order.yaml", "--actors", "shop.actors")
    assert "order.yaml: ok" in shop.tidestep("validate", *order)
    output = json.loads(shop.tidestep("run", *order, "--input", '{"item": "cup", "quantity": 2}'))
    assert output["confirm"]["confirmed"] == "2 x cup for 16.00"


def test_deploying_says_where_the_stack_is(said: str, deployment: Deployment) -> None:
    assert said.startswith(f"stack '{STACK}' in us-east-1 is deployed\n")
    assert deployment.outputs["ApiUrl"] in said


def test_the_command_that_deploying_prints_starts_a_run(
    shop: Shop, said: str, deployment: Deployment
) -> None:
    run_id = shop.shell(said.partition("to start a run:\n")[2]).strip()
    assert deployment.end(run_id)["output"]["confirm"]["confirmed"] == "2 x cup for 16.00"


def test_a_run_that_is_started_over_http_ends(deployment: Deployment) -> None:
    deployment.start("order", "over-http", {"item": "teapot", "quantity": 1})
    output = deployment.end("over-http")["output"]
    assert output["confirm"]["confirmed"] == "1 x teapot for 24.50"


def test_a_run_there_waits_for_a_signal_from_here(shop: Shop, deployment: Deployment) -> None:
    deployment.start("order", "large", {"item": "teapot", "quantity": 9})
    eventually(30, lambda: deployment.view("large")["status"] == "paused" or None, "the wait")
    shop.shell('eval "$(tidestep env)"; tidestep signal large approval --aws')
    assert deployment.end("large")["output"]["confirm"]["confirmed"] == "9 x teapot for 220.50"


def test_deploying_what_is_deployed_changes_nothing(shop: Shop, said: str) -> None:
    first, _, rest = shop.tidestep("deploy", *UNATTENDED).partition("\n")
    assert first == f"stack '{STACK}' in us-east-1 is as it was: nothing was deployed"
    assert rest == said.partition("\n")[2]


def test_a_new_workflow_and_its_actor_are_only_added_to_the_project(
    grown: None, deployment: Deployment
) -> None:
    deployment.start("thanks", "thanks", "Ada")
    assert deployment.end("thanks")["output"] == {"thank": "Thank you, Ada."}


def test_what_ran_before_is_there_after_a_deployment(grown: None, deployment: Deployment) -> None:
    assert deployment.view("over-http")["status"] == "completed"


def test_the_stack_leaves_its_table_and_its_bucket_and_nothing_else(
    grown: None, deployment: Deployment
) -> None:
    kept = {deployment.outputs["TableName"], deployment.outputs["BucketName"]}
    before = set(deployment.resources)
    assert {"Table", "Blobs", "DispatcherFunction", "StepQueue"} <= before
    deployment.client("cloudformation").delete_stack(StackName=STACK)
    eventually(60, lambda: STACK not in _stacks(deployment) or None, "the end of the stack")
    assert {name for name in _left(deployment) if "aws-sam-cli" not in name} == kept


def _stacks(deployment: Deployment) -> set[str]:
    gone = "DELETE_COMPLETE"
    listed = deployment.client("cloudformation").list_stacks()["StackSummaries"]
    return {each["StackName"] for each in listed if each["StackStatus"] != gone}


def _left(deployment: Deployment) -> set[str]:
    """Whatever is there of what the stack makes, by name."""
    asked: tuple[tuple[str, str, str, str | None], ...] = (
        ("dynamodb", "list_tables", "TableNames", None),
        ("s3", "list_buckets", "Buckets", "Name"),
        ("sqs", "list_queues", "QueueUrls", None),
        ("lambda", "list_functions", "Functions", "FunctionName"),
        ("lambda", "list_layers", "Layers", "LayerName"),
        ("lambda", "list_event_source_mappings", "EventSourceMappings", "UUID"),
        ("iam", "list_roles", "Roles", "RoleName"),
        ("apigatewayv2", "get_apis", "Items", "Name"),
        ("events", "list_rules", "Rules", "Name"),
        ("logs", "describe_log_groups", "logGroups", "logGroupName"),
        ("cloudformation", "describe_stacks", "Stacks", "StackName"),
    )
    found: set[str] = set()
    for service, operation, key, name in asked:
        answer: Any = getattr(deployment.client(service), operation)()
        found |= {each if name is None else each[name] for each in answer.get(key, ())}
    return found
