"""The Lambda handlers, fed with the events that API Gateway, SQS and the schedule send."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from types import SimpleNamespace as Namespace
from typing import Any

import pytest

from tests.functions.conftest import Stack, sample


def test_a_run_is_started_over_http_driven_by_the_queue_and_read_over_http(stack: Stack) -> None:
    status, started = stack.start()
    assert (status, started["run"], started["created"]) == (201, "order-7", True)
    stack.work()
    status, view = stack.read("order-7")
    assert (status, view["status"]) == (200, "completed")
    assert view["output"] == {"amount": 49.0, "key": "order-7/charge/1", "sent": "parcel"}


def test_the_same_start_again_is_the_same_run(stack: Stack) -> None:
    stack.start()
    status, again = stack.start()
    assert (status, again["created"]) == (200, False)
    stack.work()
    assert stack.start()[1]["status"] == "completed"


def test_another_input_under_the_same_id_is_a_conflict(stack: Stack) -> None:
    stack.start()
    body = '{"id": "order-7", "input": {"sku": "cup", "quantity": 1}}'
    status, answer = stack.start(body=body)
    assert (status, answer["error"]["type"]) == (409, "RunExists")


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"body": "{"}, 400, "the body must be JSON like"),
        ({"body": "[]"}, 400, "Expected `object`"),
        ({"body": '{"inptu": 1}'}, 400, "unknown field `inptu`"),
        ({"body": '{"input": {"sku": "cup"}}'}, 422, "'quantity' is a required property"),
        ({"body": '{"id": "a b", "input": {"sku": "x", "quantity": 1}}'}, 400, "run id 'a b'"),
        ({"workflow": "nothing"}, 404, "there is no workflow 'nothing'; there are: order"),
    ],
)
def test_a_bad_request_is_answered_with_what_is_wrong(
    stack: Stack, changes: dict[str, Any], status: int, words: str
) -> None:
    answered, answer = stack.start(**changes)
    assert answered == status
    assert words in answer["error"]["message"]
    assert stack.receive() == []


def test_a_workflow_that_cannot_run_leaves_the_others_alone(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions import start
    from functions.application import settings

    (tmp_path / "refund.yaml").write_text("name: refund\nnodes: [{id: a, actor: shop.refund}]\n")
    there = Namespace(workflows=(*settings().workflows, str(tmp_path)))
    monkeypatch.setattr(start, "settings", lambda: there)
    monkeypatch.setattr(start, "workflows", start.workflows.__wrapped__)  # and keep none of it
    status, answer = stack.start(workflow="refund")
    assert (status, answer["error"]["type"]) == (422, "InvalidDefinition")
    assert (
        "refund.yaml:2: node 'a', actor: there is no actor 'shop.refund'"
        in answer["error"]["message"]
    )
    assert stack.start()[0] == 201


def test_a_run_that_does_not_exist_is_not_found(stack: Stack) -> None:
    status, answer = stack.read("nobody")
    assert (status, answer["error"]["message"]) == (404, "there is no run 'nobody'")


def test_a_record_that_cannot_be_handled_does_not_touch_the_others(stack: Stack) -> None:
    stack.start()
    (record,) = stack.receive()
    poison = {**sample("dispatcher")["Records"][0], "body": "not a message", "messageId": "poison"}
    assert stack.dispatch([poison, record]) == ["poison"]
    stack.work()
    assert stack.read("order-7")[1]["status"] == "completed"


def test_a_batch_runs_the_steps_of_many_runs_together(stack: Stack) -> None:
    for number in range(8):
        body = {"id": f"order-{number}", "input": {"sku": "cup", "quantity": number}}
        stack.start(body=json.dumps(body))
    stack.work()
    for number in range(8):
        assert stack.read(f"order-{number}")[1]["output"]["amount"] == number * 24.5


def test_the_sample_message_of_an_unknown_run_is_acknowledged(stack: Stack) -> None:
    from functions.dispatcher import handler

    assert handler(sample("dispatcher"), stack.context) == {"batchItemFailures": []}


def test_a_step_for_which_no_time_is_left_goes_round_once_more(stack: Stack) -> None:
    stack.start()
    stack.context.remaining_ms = 1_400  # less than what is kept back for settling
    stack.dispatch(stack.receive())
    assert stack.read("order-7")[1]["steps"] == 0
    stack.context.remaining_ms = 60_000
    stack.work()
    assert stack.read("order-7")[1]["status"] == "completed"


def test_each_step_is_logged_with_run_node_and_attempt(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    from functions.dispatcher import logger

    stack.start()
    handlers = [logger.registered_handler, *logging.getLogger("tidestep").handlers]
    for handler in handlers:  # whoever imported them first had another stream
        handler.stream = sys.stdout  # type: ignore[attr-defined]
    capsys.readouterr()
    stack.work()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    steps = [line for line in lines if line.get("message") == "stepped"]
    assert [(s["run"], s["node"], s["attempt"]) for s in steps[:3]] == [
        ("order-7", "price", 1),
        ("order-7", "charge", 1),
        ("order-7", "charge", 2),
    ]
    metrics = [line for line in lines if "_aws" in line]
    assert sum(sum(m["Stepped"]) for m in metrics if "Stepped" in m) == len(steps)


def test_the_sweeper_sends_what_was_lost(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    from functions.application import platform
    from functions.sweeper import handler

    stack.start()
    (lost,) = stack.receive()
    stack.sqs.delete_message(QueueUrl=stack.queue_url, ReceiptHandle=lost["receiptHandle"])
    assert handler(sample("sweeper"), stack.context) == {"looked_at": 0, "sent": 0}
    clock = type(platform().clock)
    now = platform().clock.now()
    monkeypatch.setattr(clock, "now", lambda self: now + 61_000)
    assert handler(sample("sweeper"), stack.context) == {"looked_at": 1, "sent": 1}
    monkeypatch.undo()


def test_a_sweeper_that_finds_nothing_writes_no_metric(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two metrics each minute would cost more than all else that an idle stack does."""
    from functions.sweeper import handler

    assert handler(sample("sweeper"), stack.context)["looked_at"] == 0
    assert '"_aws"' not in capsys.readouterr().out
