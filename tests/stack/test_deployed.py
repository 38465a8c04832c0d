"""The deployed template at work: runs begin over HTTP, and messages on SQS drive them to the end.

All runs begin at once, and each test waits for its own: most of them wait for time that passes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.stack.conftest import Built
from tests.stack.deployment import Deployment, eventually
from tests.stack.losing import owe, start_and_lose
from tests.stack.tools import ROOT

LARGE = 1_000_000
HOPS = 40
"""More than Lambda lets a queue and a function call each other, unless they may."""

LIVELY = {("dead letters", "StepDeadLetters"), ("backlog", "StepQueue"), ("late runs", "Table")}
"""What the runs of these tests may show meanwhile."""


@pytest.fixture(scope="module", autouse=True)
def begun(deployment: Deployment) -> None:
    begin(deployment)


def begin(deployment: Deployment) -> None:
    """Doing it once more changes nothing."""
    sqs, outputs = deployment.client("sqs"), deployment.outputs
    start_and_lose(deployment, "count", "lost", {"left": 1})
    dead = [(start_and_lose(deployment, "count", f"dead-{n}", {"left": 1}), n) for n in (0, 3)]
    for bodies, injected in dead:
        for body in bodies:
            text = json.dumps({**json.loads(body), "injected": injected})
            sqs.send_message(QueueUrl=deployment.resources["StepDeadLetters"], MessageBody=text)
    sqs.send_message(QueueUrl=outputs["QueueUrl"], MessageBody="no message of ours")
    deployment.start("crash", "crash", 1)
    deployment.start("flaky", "flaky", 1)
    deployment.start("nap", "nap", 1)
    deployment.start("ask", "ask", 1)
    deployment.start("calls", "calls", 1)
    deployment.start("large", "large", {"bytes": LARGE})
    deployment.start("text", "text", {"bytes": LARGE})
    deployment.start("count", "count", {"left": HOPS})
    deployment.start("join", "join", Random(2).randbytes(LARGE // 2).hex())
    deployment.start("asks", "asks", 1)
    deployment.start("ask", "debtor", 1)


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


def test_an_input_beyond_the_limit_of_the_stack_is_refused(deployment: Deployment) -> None:
    start = {"input": {"customer": "a" * 1_010_000}}
    status, answer = deployment.api("POST", "/workflows/greet/runs", start)
    assert (status, answer["error"]["type"]) == (422, "InvalidInput")


def test_a_run_goes_on_for_longer_than_lambda_lets_a_loop(deployment: Deployment) -> None:
    assert deployment.end("count", 60)["output"]["count"]["left"] == 0


def test_a_failed_attempt_is_made_again_after_its_delay(deployment: Deployment) -> None:
    assert deployment.end("flaky")["output"] == {"flaky": {"attempts": 3}}


def test_a_timer_ends(deployment: Deployment) -> None:
    assert deployment.end("nap")["status"] == "completed"


def test_a_large_value_lies_in_the_bucket(deployment: Deployment) -> None:
    assert deployment.end("large")["output"] == {"measure": {"length": LARGE}}
    assert len(deployment.end("text")["output"]["write"]) == LARGE
    assert [key for key in blobs(deployment, "") if not key.startswith("dead-letters/")]


def blobs(deployment: Deployment, prefix: str) -> list[str]:
    """The keys of what lies in the bucket."""
    bucket = deployment.outputs["BucketName"]
    listed = deployment.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)
    return [each["Key"] for each in listed.get("Contents", [])]


def test_a_signal_ends_a_wait(deployment: Deployment) -> None:
    signal(deployment)
    assert deployment.end("ask")["output"] == {"ask": {"approved": True}}


def signal(deployment: Deployment) -> None:
    deployment.tidestep("signal", "ask", "answer", "--set", "approved=true", "--id", "once")


def test_whoever_knows_a_callbacks_address_answers_without_a_signature(
    deployment: Deployment, built: Built
) -> None:
    api = deployment.outputs["ApiUrl"]
    for node in ("first", "second"):
        address = letter(built, node)
        path = f"/callbacks/{address.rsplit('/', 1)[1]}"
        assert address == f"{api}{path}"
        assert deployment.request(api, "GET", path)[0] == 200
        assert deployment.request(api, "POST", path, "x" * 20_000)[0] == 413, "as Limits says"
        assert deployment.request(api, "POST", path, node)[0] == 200
    assert deployment.end("calls")["output"] == {"first": "first", "second": "second"}


def letter(built: Built, node: str) -> str:
    """The address that the node of run `calls` has given out."""
    file = built.desk / f"calls-{node}.txt"
    eventually(20, partial(found, file), "the letter with the address")
    return file.read_text()


def settle_waits(deployment: Deployment, built: Built) -> None:
    """Answer all that waits; once more changes nothing."""
    signal(deployment)
    for node in ("first", "second"):
        path = f"/callbacks/{letter(built, node).rsplit('/', 1)[1]}"
        deployment.request(deployment.outputs["ApiUrl"], "POST", path, node)
    if deployment.view("asks")["status"] == "paused":
        owe(deployment, "debtor", "asks", "xyz")
    for run in ("ask", "calls", "asks"):
        deployment.end(run, 150)


def found(file: Path) -> bool | None:
    return file.exists() or None


def test_runs_are_for_those_who_sign(deployment: Deployment) -> None:
    status, _ = deployment.request(deployment.outputs["ApiUrl"], "GET", "/runs/count")
    assert status == 403


def test_an_attempt_whose_process_dies_each_time_fails(deployment: Deployment) -> None:
    assert deployment.end("crash", 90)["output"] == {"said": {"error": "StepCrashed"}}


def test_a_lost_message_is_found_by_the_sweeper(deployment: Deployment) -> None:
    assert deployment.end("lost", 200)["status"] == "completed"


def test_what_a_run_owes_to_another_is_paid_by_the_sweeper(deployment: Deployment) -> None:
    eventually(20, partial(waiting, deployment, "asks"), "the waits")
    owe(deployment, "debtor", "asks", "xyz")
    assert deployment.end("asks", 150)["status"] == "completed"


def waiting(deployment: Deployment, run: str) -> bool | None:
    """Whether all that the run could do has been done."""
    return deployment.view(run)["status"] == "paused" or None


def test_a_dead_letter_is_sent_again_and_in_the_end_fails_its_attempt(
    deployment: Deployment,
) -> None:
    assert deployment.end("dead-0")["status"] == "completed"
    failed = deployment.end("dead-3")
    assert (failed["status"], failed["error"]["type"]) == ("failed", "Undeliverable")


def test_a_message_that_is_not_ours_is_kept_aside_after_its_last_delivery(
    deployment: Deployment,
) -> None:
    def look() -> list[str] | None:
        return blobs(deployment, "dead-letters/") or None

    assert len(eventually(150, look, "the message that nobody could read")) == 1


def test_the_doctor_finds_what_the_stand_in_does_not_take_from_a_template(
    deployment: Deployment,
) -> None:
    """And what these tests have set; nothing else. On AWS, it is as the template says."""
    command = [sys.executable, "-m", "infra.local.cli", "doctor", "--stack", deployment.name]
    environment = {**os.environ, **deployment.server.environment}
    said = subprocess.run(
        [*command, "--json"], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    findings = json.loads(said.stdout)["findings"]
    seen = {
        (each["check"], each["resource"]["logical"]) for each in findings if each["level"] != "ok"
    }
    functions = ("DispatcherFunction", "DeadLetterFunction", "PoolFunction")
    assert seen - LIVELY == {
        *(("recursion", name) for name in functions),
        ("ttl", "Table"),
        ("recovery", "Table"),
        ("lifecycle", "Blobs"),
        ("visibility", "StepQueue"),  # too short for AWS: these tests wait for redeliveries
    }
    assert said.returncode == 6


def test_a_sleeping_actor_is_woken_by_a_request_and_keeps_its_state(
    deployment: Deployment, runner: None
) -> None:
    assert ask(deployment, "counter/main") == {"count": 1, "wakes": 1}
    assert ask(deployment, "counter/main") == {"count": 2, "wakes": 1}
    await_sleep(deployment, "counter")
    assert ask(deployment, "counter/main") == {"count": 3, "wakes": 2}


def test_a_pool_starts_a_runner_where_an_actor_has_none(
    deployment: Deployment, made_runners: None
) -> None:
    assert ask(deployment, "tally/a") == {"count": 1, "wakes": 1}
    await_sleep(deployment, "tally")


def ask(deployment: Deployment, actor: str) -> dict[str, Any]:
    """The answer of an actor, which may take longer to wake than API Gateway waits."""

    def look() -> dict[str, Any] | None:
        status, answer = deployment.request(
            deployment.outputs["ActorsUrl"], "GET", f"/actors/{actor}"
        )
        return answer if status == 200 else None

    return eventually(90, look, f"an answer of {actor}")


def await_sleep(deployment: Deployment, name: str) -> None:
    def look() -> bool | None:
        actors = json.loads(deployment.tidestep("actors", "list", "--json"))
        states = [each["state"] for each in actors if each["name"] == name]
        return True if states == ["sleeping"] else None

    eventually(60, look, f"actor {name} asleep")
