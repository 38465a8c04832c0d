"""The deployed template at work: runs begin over HTTP, and messages on SQS drive them to the end.

All runs begin at once, and each test waits for its own: most of them wait for time that passes.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import Any
from unittest.mock import patch

import pytest

from engine.actors import load_registry
from engine.documents import load_definition
from engine.memory import MemoryBlobs
from engine.ordered import OrderedJournal
from engine.ports import Platform
from engine.starting import Starter
from infra.aws.client import ThreadedClients
from infra.aws.dynamodb import DynamoStore
from infra.system import EnvironmentSecrets, SystemClock, SystemEntropy
from tests.stack.conftest import APP, Built
from tests.stack.deployment import Deployment, eventually
from tests.stack.tools import ROOT

LARGE = 1_000_000
HOPS = 40
"""More than Lambda lets a queue and a function call each other, unless they may."""


@pytest.fixture(scope="module", autouse=True)
def begun(deployment: Deployment) -> None:
    start_without_message(deployment, "lost")
    deployment.client("sqs").send_message(
        QueueUrl=deployment.outputs["QueueUrl"], MessageBody="no message of ours"
    )
    deployment.start("crash", "crash", 1)
    deployment.start("flaky", "flaky", 1)
    deployment.start("nap", "nap", 1)
    deployment.start("ask", "ask", 1)
    deployment.start("call", "call", 1)
    deployment.start("large", "large", {"bytes": LARGE})
    deployment.start("count", "count", {"left": HOPS})


class Silent:
    """A queue whose messages are lost."""

    async def send(self, *sends: Any) -> None:
        pass


def start_without_message(deployment: Deployment, run: str) -> None:
    """As if the process had died between its commit and the message."""
    registry = load_registry(["tests.stack.app.stackapp.actors"])
    definition = load_definition(APP / "stackapp" / "workflows" / "count.yaml", registry)

    async def begin() -> None:
        clients = ThreadedClients()
        store = DynamoStore(clients.client("dynamodb"), deployment.outputs["TableName"])
        platform = Platform(
            journal=OrderedJournal(store, Silent()),  # type: ignore[arg-type]
            blobs=MemoryBlobs(),
            clock=SystemClock(),
            entropy=SystemEntropy(),
            secrets=EnvironmentSecrets({}),
        )
        await Starter(platform).start(definition, {"left": 1}, run)
        clients.close()

    with patch.dict(os.environ, deployment.worker_environment):
        asyncio.run(begin())


def test_expressions_see_the_environment_and_the_secrets_of_the_application(
    deployment: Deployment,
) -> None:
    deployment.start("greet", "greet", {"customer": "Ada"})
    view = deployment.end("greet")
    assert view["output"] == {"greet": {"greeting": "Owl & Co. (7) thanks Ada"}}


def test_the_same_start_is_the_same_run_and_another_one_conflicts(deployment: Deployment) -> None:
    start = {"id": "count", "input": {"left": HOPS}}
    status, answer = deployment.api("POST", "/workflows/count/runs", start)
    assert (status, answer["created"]) == (200, False)
    other = {"id": "count", "input": {"left": 1}}
    status, answer = deployment.api("POST", "/workflows/count/runs", other)
    assert (status, answer["error"]["type"]) == (409, "RunExists")


def test_a_run_goes_on_for_longer_than_lambda_lets_a_loop(deployment: Deployment) -> None:
    assert deployment.end("count", 60)["output"] == {"count": {"left": 0}}


def test_a_failed_attempt_is_made_again_after_its_delay(deployment: Deployment) -> None:
    assert deployment.end("flaky")["output"] == {"flaky": {"attempts": 3}}


def test_a_timer_ends(deployment: Deployment) -> None:
    assert deployment.end("nap")["status"] == "completed"


def test_a_large_value_lies_in_the_bucket(deployment: Deployment) -> None:
    assert deployment.end("large")["output"] == {"measure": {"length": LARGE}}
    assert [key for key in blobs(deployment, "") if not key.startswith("dead-letters/")]


def blobs(deployment: Deployment, prefix: str) -> list[str]:
    """The keys of what lies in the bucket."""
    bucket = deployment.outputs["BucketName"]
    listed = deployment.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)
    return [each["Key"] for each in listed.get("Contents", [])]


def test_a_signal_ends_a_wait(deployment: Deployment) -> None:
    environment = {**os.environ, **deployment.worker_environment}
    command = ["signal", "ask", "answer", "--set", "approved=true", "--aws"]
    subprocess.run(
        [sys.executable, "-m", "infra.local.cli", *command], env=environment, cwd=ROOT, check=True
    )
    assert deployment.end("ask")["output"] == {"ask": {"approved": True}}


def test_whoever_knows_a_callbacks_address_answers_without_a_signature(
    deployment: Deployment, built: Built
) -> None:
    letter = built.desk / "call.txt"
    eventually(20, lambda: letter.exists() or None, "the letter with the address")
    address = letter.read_text()
    api, path = deployment.outputs["ApiUrl"], f"/callbacks/{address.rsplit('/', 1)[1]}"
    assert address == f"{api}{path}"
    assert deployment.request(api, "GET", path)[0] == 200
    status, _ = deployment.request(api, "POST", path, "yes")
    assert status == 200
    assert deployment.end("call")["output"] == {"ask": "yes"}


def test_runs_are_for_those_who_sign(deployment: Deployment) -> None:
    status, _ = deployment.request(deployment.outputs["ApiUrl"], "GET", "/runs/count")
    assert status == 403


def test_an_attempt_whose_process_dies_each_time_fails(deployment: Deployment) -> None:
    assert deployment.end("crash", 90)["output"] == {"said": {"error": "StepCrashed"}}


def test_a_lost_message_is_found_by_the_sweeper(deployment: Deployment) -> None:
    assert deployment.end("lost", 200)["status"] == "completed"


def test_a_message_that_is_not_ours_is_kept_aside_after_its_last_delivery(
    deployment: Deployment,
) -> None:
    def look() -> list[str] | None:
        return blobs(deployment, "dead-letters/") or None

    assert len(eventually(150, look, "the message that nobody could read")) == 1


def test_a_sleeping_actor_is_woken_by_a_request_and_keeps_its_state(
    deployment: Deployment, runner: None
) -> None:
    api = deployment.outputs["ActorsUrl"]

    def ask() -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            status, answer = deployment.request(api, "GET", "/actors/counter/main")
            return answer if status == 200 else None

        return eventually(60, look, "an answer of the actor")

    assert ask() == {"count": 1, "wakes": 1}
    assert ask() == {"count": 2, "wakes": 1}
    command = [sys.executable, "-m", "infra.local.cli", "actors", "list", "--json", "--aws"]
    environment = {**os.environ, **deployment.worker_environment}

    def asleep() -> str | None:
        said = subprocess.run(command, env=environment, cwd=ROOT, check=True, capture_output=True)
        (actor,) = json.loads(said.stdout)
        return actor["state"] if actor["state"] == "sleeping" else None

    eventually(60, asleep, "the actor asleep")
    assert ask() == {"count": 3, "wakes": 2}
