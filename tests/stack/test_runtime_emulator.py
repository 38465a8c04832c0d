"""Each built function in AWS's own emulator of the Lambda runtime: cold, warm, too slow, and dead.

Functions reach the stand-in of AWS through a gate. While that is closed they wait for an answer
that does not come, so that a test can say when a call lasts too long, or its process ends.
"""

from __future__ import annotations

import sysconfig
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.callbacks import SigningKey, sign
from engine.layout import WaitAddress, run_key
from tests.stack.conftest import Built
from tests.stack.emulated_stack import (
    WHAT_IS_IMPORTED,
    EmulatedStack,
    body_of,
    delivery,
    emulating,
    event,
    places,
    request,
)
from tests.stack.losing import owe, start_and_lose
from tests.stack.runtime_emulator import Answer, Emulator, Package, packages
from tests.stack.tools import RUNTIME, environment

TIMEOUT_S = 8
"""What a call may take where it is to take too long. In the emulator, starting counts."""


@dataclass(frozen=True)
class Sample:
    """What a function is asked, and whether an answer is right."""

    event: Any
    right: Callable[[Any], bool]
    imports: dict[str, set[str]]
    """What it then has imported of each of its layers."""
    other: Any = None
    """Another event, of a function that answers the sample without a look at the table."""

    @property
    def asking(self) -> Any:
        return self.event if self.other is None else self.other


BASE = {"aws_lambda_powertools", "jmespath", "msgspec", "typing_extensions"}
DOCUMENTS = {"jsonschema", "jsonschema_specifications", "referencing", "rpds", "ruamel"}
"""Reading a workflow takes them, and `MODELS`."""
MODELS = {"annotated_types", "pydantic", "pydantic_core", "typing_inspection"}
EXPRESSIONS = {"jinja2", "markupsafe"}
TAKEN_ALONG = {"certifi", "idna"}
"""Where they are, botocore takes the first and jsonschema the second; both do without."""
UNKNOWN = sign(WaitAddress(run_key("order-7"), 1, 1, 1, 1), SigningKey("unknown", b"secret"))
NO_FAILURES: dict[str, list[str]] = {"batchItemFailures": []}

SAMPLES = {
    "StartFunction": Sample(
        request("start", "/workflows/greet/runs", {"id": "sample", "input": {"customer": "Ada"}}),
        lambda answer: body_of(answer)["run"] == "sample",
        {
            "BaseLayer": BASE,
            "StepsLayer": DOCUMENTS | MODELS | EXPRESSIONS | {"attr", "attrs"},
            "WebLayer": TAKEN_ALONG,
            "AppLayer": {"stackapp"},
        },
    ),
    "DispatcherFunction": Sample(
        event("dispatcher"),
        lambda answer: bool(answer == NO_FAILURES),
        {"BaseLayer": BASE, "WebLayer": {"certifi"}, "AppLayer": {"stackapp"}},
    ),
    "DeadLetterFunction": Sample(
        event("dead_letters"),
        lambda answer: bool(answer == NO_FAILURES),
        {"BaseLayer": BASE, "WebLayer": {"certifi"}, "AppLayer": {"stackapp"}},
    ),
    "SweeperFunction": Sample(
        event("sweeper"),
        lambda answer: bool(answer == {"looked_at": 0, "sent": 0}),
        {"BaseLayer": BASE},
    ),
    "CallbackFunction": Sample(
        event("callback"),
        lambda answer: bool(
            answer["statusCode"] == 404 and body_of(answer)["error"]["type"] == "InvalidCallback"
        ),
        {"BaseLayer": BASE},
        request("callback", f"/callbacks/{UNKNOWN}"),
    ),
    "GatewayFunction": Sample(
        event("gateway"),
        lambda answer: bool(answer["headers"]["x-tidestep-error"] == "actor.ready_timeout"),
        {"BaseLayer": BASE},
    ),
    "RunnersFunction": Sample(
        event("websocket_hello"),
        lambda answer: bool(answer == {"statusCode": 200}),
        {"BaseLayer": BASE},
    ),
    "PoolFunction": Sample(
        event("pool"),
        lambda answer: bool(answer == {"done": "not wanted"}),
        {"BaseLayer": BASE, "WebLayer": {"httpx", *TAKEN_ALONG}},
    ),
}


@pytest.fixture(scope="module")
def stack(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedStack]:
    with emulating(packages(built.stack), tmp_path_factory.mktemp("emulated")) as stack:
        yield stack


@dataclass(frozen=True)
class Running:
    """A function that has been called once."""

    package: Package
    emulator: Emulator
    sample: Sample
    first: Answer

    def works(self) -> bool:
        return self.sample.right(self.emulator.answer(self.sample.event))


@pytest.fixture(scope="module", params=SAMPLES)
def running(request: pytest.FixtureRequest, stack: EmulatedStack) -> Iterator[Running]:
    sample = SAMPLES[request.param]
    with stack.emulated(request.param, TIMEOUT_S) as emulator:
        first = emulator.call(sample.event)
        yield Running(stack.functions[request.param], emulator, sample, first)


def test_a_function_that_starts_answers_its_sample_event(running: Running) -> None:
    assert running.first.status == 200, running.emulator.said
    assert running.sample.right(running.first.value), running.first


def test_a_function_answers_once_more_in_the_same_process(running: Running) -> None:
    process = running.emulator.runtime
    assert running.works()
    assert running.emulator.runtime == process


def test_a_function_imports_from_its_package_its_layers_and_the_runtime_alone(
    running: Running,
) -> None:
    found = places(running.package, running.emulator.answer(WHAT_IS_IMPORTED))
    others = found.pop("")
    assert found == running.sample.imports
    runtime = environment(*RUNTIME).parent.resolve()
    known = (running.package.directory, runtime, Path(sysconfig.get_path("stdlib")).resolve())
    foreign = [file for file in others if not any(map(Path(file).is_relative_to, known))]
    assert [file for file in foreign if Path(file).stem not in ("observer", "slow")] == []
    assert not any("/boto3/" in file for file in others), "it takes 50 ms more than botocore"


def test_a_call_that_lasts_too_long_is_ended_and_the_next_one_works(
    running: Running, stack: EmulatedStack
) -> None:
    process = running.emulator.runtime
    with stack.gate.closed() as waiting:
        answer = running.emulator.call(running.sample.asking)
        assert waiting.is_set()
    assert answer.timed_out, answer
    assert running.works()
    assert running.emulator.runtime != process


def test_a_function_whose_process_is_killed_at_work_works_at_the_next_call(
    running: Running, stack: EmulatedStack
) -> None:
    answers: list[Answer] = []
    call = threading.Thread(
        target=lambda: answers.append(running.emulator.call(running.sample.asking))
    )
    with stack.gate.closed() as waiting:
        call.start()
        assert waiting.wait(TIMEOUT_S)
        running.emulator.kill()
        call.join(TIMEOUT_S)
    assert [answer.died for answer in answers] == [True], answers
    assert running.works()


def test_a_step_whose_process_is_killed_is_made_when_its_message_comes_again(
    stack: EmulatedStack,
) -> None:
    stack.start("kill", "killed", "killed")
    message = stack.message("killed")
    with stack.emulated("DispatcherFunction") as dispatcher:
        assert dispatcher.call(message).died
        assert dispatcher.answer(again(message)) == NO_FAILURES
    assert stack.drive("killed")["output"] == {"kill": "done"}


def test_a_step_that_lambda_ends_is_made_when_its_message_comes_again(
    stack: EmulatedStack,
) -> None:
    stack.start("block", "blocked", "blocked")
    message = stack.message("blocked")
    with stack.emulated("DispatcherFunction", TIMEOUT_S) as dispatcher:
        assert dispatcher.call(message).timed_out
        assert dispatcher.answer(again(message)) == NO_FAILURES
    assert stack.drive("blocked")["output"] == {"block": "done"}


def test_an_actor_that_lets_others_work_is_stopped_before_lambda_ends_the_call(
    stack: EmulatedStack,
) -> None:
    stack.start("wait", "waited", "waited")
    message = stack.message("waited")
    with stack.emulated("DispatcherFunction", TIMEOUT_S) as dispatcher:
        assert dispatcher.answer(message) == NO_FAILURES
    assert stack.drive("waited")["error"]["type"] == "AttemptTimeout"


def test_the_dispatcher_steps_a_run_whose_expressions_name_what_is_given_to_the_application(
    stack: EmulatedStack,
) -> None:
    stack.start("greet", "greeted", {"customer": "Ada"})
    assert stack.drive("greeted")["output"] == {"greet": {"greeting": "Owl & Co. (7) thanks Ada"}}
    files = stack.emulator("DispatcherFunction").answer(WHAT_IS_IMPORTED)
    found = places(stack.functions["DispatcherFunction"], files)
    assert found["StepsLayer"] == EXPRESSIONS


def test_a_callback_ends_a_wait_with_what_the_base_layer_holds(stack: EmulatedStack) -> None:
    stack.start("call", "called", "?")
    stack.step()
    path = stack.letter("called", "ask").removeprefix("https://api.example.com")
    with stack.emulated("CallbackFunction") as callbacks:
        answer = callbacks.answer(request("callback", path, "yes"))
    assert answer["statusCode"] == 200, answer
    assert stack.drive("called")["output"] == {"ask": "yes"}


def test_the_sweeper_pays_debts_with_what_the_base_layer_holds(stack: EmulatedStack) -> None:
    stack.start("asks", "asks", 1)
    stack.step()
    start_and_lose(stack.account, "ask", "debtor", 1)
    owe(stack.account, "debtor", "asks", "xyz")
    with stack.emulated("SweeperFunction") as sweeper:
        assert sweeper.answer(event("sweeper"))["looked_at"] >= 1
    assert stack.drive("asks")["status"] == "completed"


def again(message: Any) -> Any:
    """The same message, at its second delivery."""
    body: str = message["Records"][0]["body"]
    return delivery(body, 2)
