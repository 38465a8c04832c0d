"""The callback function, fed with the events that API Gateway sends."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from typing import Any

import pytest

from tests.engine.waiting import ADDRESS, write_waiting_run
from tests.functions.conftest import Stack, properties, sample


@pytest.fixture
def token(stack: Stack) -> str:
    """Of a run that waits."""
    from engine.callbacks import sign
    from functions.application import callbacks, journal

    async def prepare() -> str:
        await write_waiting_run(journal())
        return sign(ADDRESS, await callbacks().keys.signing())

    return asyncio.run(prepare())


def ask(stack: Stack, method: str, token: str, body: str = "", **changes: Any) -> tuple[int, Any]:
    from functions.callbacks import handler

    event = sample("callback")
    http = event["requestContext"]["http"]
    event["rawPath"] = http["path"] = f"/callbacks/{token}"
    event["pathParameters"]["token"] = token
    http["method"] = method
    event.update({"body": body, **changes})
    answer = handler(event, stack.context)
    assert answer["headers"]["Content-Type"] == "application/json"
    assert answer["headers"]["cache-control"] == "no-store"
    return answer["statusCode"], json.loads(answer["body"])


def test_an_answer_is_stored_and_the_run_is_woken(stack: Stack, token: str) -> None:
    assert ask(stack, "GET", token)[1]["open"] is True
    status, answer = ask(stack, "POST", token, '{"approved": true}')
    assert (status, answer["accepted"]) == (200, True)
    (message,) = stack.receive()
    assert json.loads(message["body"])["run"] == "order-7"
    assert ask(stack, "GET", token)[1]["open"] is False


def test_the_same_answer_again_is_the_first_and_another_is_a_conflict(
    stack: Stack, token: str
) -> None:
    first = ask(stack, "POST", token, "true")
    assert ask(stack, "POST", token, " true") == first
    status, answer = ask(stack, "POST", token, "false")
    assert (status, answer["error"]["type"]) == (409, "SignalConflict")


def test_a_body_that_the_gateway_has_encoded_is_decoded(stack: Stack, token: str) -> None:
    body = base64.b64encode('"häkchen"'.encode()).decode()
    assert ask(stack, "POST", token, body, isBase64Encoded=True)[0] == 200
    assert ask(stack, "POST", token, '"häkchen"')[0] == 200


def test_bytes_that_are_no_text_are_refused(stack: Stack, token: str) -> None:
    body = base64.b64encode(b"\xff\xfe").decode()
    status, answer = ask(stack, "POST", token, body, isBase64Encoded=True)
    assert (status, answer["error"]["type"]) == (400, "BodyNotJson")


def test_a_body_that_is_missing_is_null(stack: Stack, token: str) -> None:
    assert ask(stack, "POST", token, body=None)[0] == 200  # type: ignore[arg-type]
    assert ask(stack, "POST", token, "null")[0] == 200


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_answer_nothing(stack: Stack, token: str, method: str) -> None:
    assert ask(stack, method, token, "true")[0] == 405
    assert ask(stack, "GET", token)[1]["open"] is True


def test_a_forged_token_is_not_found(stack: Stack, token: str) -> None:
    status, answer = ask(stack, "POST", token[:-2] + "AA", "true")
    assert (status, answer["error"]["type"]) == (404, "InvalidCallback")


def test_the_sample_event_is_refused_in_the_same_words(stack: Stack) -> None:
    from functions.callbacks import handler

    answer = handler(sample("callback"), stack.context)
    assert (answer["statusCode"], json.loads(answer["body"])["error"]["type"]) == (
        404,
        "InvalidCallback",
    )


def test_another_path_is_not_found(stack: Stack) -> None:
    from functions.callbacks import handler

    event = sample("callback")
    event["rawPath"] = event["requestContext"]["http"]["path"] = "/runs/order-7"
    answer = handler(event, stack.context)
    assert (answer["statusCode"], json.loads(answer["body"])["error"]["type"]) == (404, "NotFound")


def test_requests_are_logged_without_their_tokens(
    stack: Stack,
    token: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from functions.callbacks import logger

    monkeypatch.setattr(logger.registered_handler, "stream", sys.stdout)
    capsys.readouterr()
    ask(stack, "POST", token, "true")
    ask(stack, "POST", token[:-2] + "AA", "true")
    printed = capsys.readouterr().out
    lines = [json.loads(line) for line in printed.splitlines()]
    logged = [line["status"] for line in lines if line.get("message") == "callback"]
    assert logged == [200, 404]
    assert token[:20] not in printed


# -- the template -----------------------------------------------------------------------------


def test_only_callbacks_are_open_and_they_are_throttled(template: dict[str, Any]) -> None:
    routes = {
        properties(template, name)["RouteKey"]: properties(template, name)["AuthorizationType"]
        for name, resource in template["Parts"]["http"]["Resources"].items()
        if resource["Type"] == "AWS::ApiGatewayV2::Route"
    }
    open_routes = {route for route, kind in routes.items() if kind == "NONE"}
    assert open_routes == {"POST /callbacks/{token}", "GET /callbacks/{token}"}
    stage = template["Resources"]["ApiStage"]
    assert set(stage["Properties"]["RouteSettings"]) == open_routes
    for settings in stage["Properties"]["RouteSettings"].values():
        assert set(settings) == {"ThrottlingRateLimit", "ThrottlingBurstLimit"}
    assert {properties(template, name)["RouteKey"] for name in stage["DependsOn"]} == open_routes


def test_who_hands_out_addresses_knows_where_they_lead(template: dict[str, Any]) -> None:
    told = properties(template, "DispatcherFunction")["Environment"]["Variables"]
    assert told["TIDESTEP_CALLBACK_URL"] == template["Outputs"]["ApiUrl"]["Value"]
    same = properties(template, "CallbackFunction")["Environment"]["Variables"]
    assert told["TIDESTEP_CALLBACK_KEYS"] == same["TIDESTEP_CALLBACK_KEYS"] == "CallbackKeys"
    assert template["Parameters"]["CallbackKeys"]["NoEcho"] is True
