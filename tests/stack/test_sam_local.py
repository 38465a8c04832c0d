"""`sam local invoke` with what was built: each function in a container, with its layers below /opt.

That is how somebody tries a function before the first deployment. Its queue, table and bucket are
ministack's; the engine and the image that containers are made of: `tests/stack/local_images.py`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.stack.conftest import Built
from tests.stack.emulated_stack import body_of, delivery, event, request
from tests.stack.local_images import Engine, engine
from tests.stack.ministack import REGION, serving
from tests.stack.runtime_emulator import Gate, account
from tests.stack.sam import PARAMETERS, overrides, sam

LAST_OF_ENVIRONMENT = "        POWERTOOLS_METRICS_NAMESPACE: Tidestep\n"
VARIABLES = ("AWS_ENDPOINT_URL", "TIDESTEP_ALLOCATION_READY_SECONDS")
"""Added to all functions: the SAM CLI sets only variables that templates name."""
TEMPLATES = ("Tidestep/template.yaml", "Tidestep/ActorStack/template.yaml")


class Local:
    """The functions of a stack that is not deployed."""

    def __init__(
        self, built: Built, engine: Engine, settings: dict[str, str], directory: Path
    ) -> None:
        self._engine = engine
        self._directory = directory
        self._given = overrides({**PARAMETERS, **built.parameters})
        shutil.copytree(built.template.parent, directory / "stack")
        for name in TEMPLATES:
            template = directory / "stack" / name
            text = template.read_text()
            assert LAST_OF_ENVIRONMENT in text
            also = "".join(f"        {variable}: none\n" for variable in VARIABLES)
            template.write_text(text.replace(LAST_OF_ENVIRONMENT, LAST_OF_ENVIRONMENT + also))
        (directory / "settings.json").write_text(json.dumps({"Parameters": settings}))

    def invoke(self, function: str, event: Any) -> Any:
        """What the function answers, which is named by its place in the nested stacks."""
        asked = self._directory / "event.json"
        asked.write_text(json.dumps(event))
        options = ["--template-file", str(self._directory / "stack" / "template.yaml")]
        options += ["--event", str(asked), "--env-vars", str(self._directory / "settings.json")]
        options += ["--skip-pull-image", "--layer-cache-basedir", str(self._directory / "layers")]
        told = {**self._engine.environment, "TMPDIR": str(self._directory)}
        said = sam("local", "invoke", function, *options, *self._given, cwd=self._directory, **told)
        return json.loads(said.strip().splitlines()[-1])


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """Filled by `local`."""
    return {}


@pytest.fixture(scope="module")
def local(
    built: Built, settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Local]:
    directory = tmp_path_factory.mktemp("local")
    (directory / "layers").mkdir()
    with engine() as running, serving(directory / "ministack", AUTH="false") as server:
        gate = Gate(server.url, running.address)
        settings |= account(server)
        inside = {
            "AWS_ENDPOINT_URL": gate.url,
            "TIDESTEP_WEBSOCKET_URL": "wss://def456.execute-api.us-east-1.amazonaws.com/live",
            "TIDESTEP_ALLOCATION_READY_SECONDS": "1",
            "TIDESTEP_CALLBACK_URL": "https://api.example.com",
        }
        yield Local(built, running, {**settings, **inside}, directory)
        gate.end()


def test_a_run_is_started_and_its_message_steps_it_to_the_end(
    local: Local, settings: dict[str, str]
) -> None:
    body = {"id": "order-7", "input": {"customer": "Ada"}}
    start = request("start", "/workflows/greet/runs", body)
    assert body_of(local.invoke("Tidestep/StartFunction", start))["created"] is True
    message = received(settings)
    assert local.invoke("Tidestep/DispatcherFunction", message) == {"batchItemFailures": []}
    read = body_of(local.invoke("Tidestep/StartFunction", event("read")))
    assert read["output"] == {"greet": {"greeting": "Owl & Co. (7) thanks Ada"}}


def received(settings: dict[str, str]) -> Any:
    """An event with the one message of the queue."""
    sqs = boto3.client(
        "sqs",
        endpoint_url=settings["AWS_ENDPOINT_URL"],
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    (message,) = sqs.receive_message(QueueUrl=settings["TIDESTEP_QUEUE_URL"])["Messages"]
    return delivery(message["Body"])


def test_the_sweeper_finds_nothing_to_do(local: Local) -> None:
    swept = local.invoke("Tidestep/SweeperFunction", event("sweeper"))
    assert swept == {"looked_at": 0, "sent": 0}


def test_a_callback_that_nobody_has_handed_out_is_not_found(local: Local) -> None:
    answer = local.invoke("Tidestep/CallbackFunction", event("callback"))
    assert (answer["statusCode"], body_of(answer)["error"]["type"]) == (404, "InvalidCallback")


def test_a_function_of_the_nested_stack_wakes_an_actor_and_says_that_no_runner_is_there(
    local: Local,
) -> None:
    answer = local.invoke("Tidestep/ActorStack/GatewayFunction", event("gateway"))
    assert answer["headers"]["x-tidestep-error"] == "actor.ready_timeout"
