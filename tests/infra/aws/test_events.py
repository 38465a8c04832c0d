"""API Gateway's events and answers, HTTP and WebSocket."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

import pytest

from engine.allocation.frames import Headers
from engine.allocation.tunnel import HttpResponse
from infra.aws.http_events import answer_of, encoded, request_of
from infra.aws.socket_events import socket_event


def http(**changes: Any) -> dict[str, Any]:
    return {
        "rawPath": "/actors/counter/main",
        "rawQueryString": "a=1&b=%20",
        "headers": {"accept": "a,b"},
        "requestContext": {"http": {"method": "PUT"}, "stage": "$default"},
    } | changes


def test_a_request_is_read() -> None:
    request = request_of(http(cookies=["a=1", "b=2"], body="é"))
    assert (request.method, request.path) == ("PUT", "/actors/counter/main")
    assert request.query == "a=1&b=%20"
    assert request.headers == [("accept", "a,b"), ("cookie", "a=1; b=2")]
    assert request.body == "é".encode()


def test_cookies_are_not_passed_on_twice() -> None:
    request = request_of(http(headers={"Cookie": "a=1"}, cookies=["a=1"]))
    assert request.headers == [("cookie", "a=1")]
    assert request_of(http(headers={"cookie": "a=1"})).headers == [("cookie", "a=1")]


def test_a_body_that_was_encoded_is_decoded() -> None:
    body = b64encode(b"\x00\xff").decode()
    assert request_of(http(body=body, isBase64Encoded=True)).body == b"\x00\xff"


def test_the_stage_is_cut_off_where_the_path_has_it() -> None:
    context = {"http": {"method": "GET"}, "stage": "live"}
    assert (
        request_of(http(rawPath="/live/actors/a/b", requestContext=context)).path == "/actors/a/b"
    )
    assert (
        request_of(http(rawPath="/actors/live/b", requestContext=context)).path == "/actors/live/b"
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/actors/a/b,c/@d;e=f", "/actors/a/b,c/@d;e=f"),
        ("/a b/ü?x#y", "/a%20b/%C3%BC%3Fx%23y"),
        ("/already%20encoded", "/already%20encoded"),
        ("/100%/x", "/100%25/x"),
    ],
)
def test_paths_come_encoded_or_not(path: str, expected: str) -> None:
    assert encoded(path) == expected


@pytest.mark.parametrize(
    ("headers", "body", "is_text"),
    [
        ([("content-type", "text/html; charset=utf-8")], "é".encode(), True),
        ([("content-type", "application/json")], b"{}", True),
        ([("content-type", "application/problem+json")], b"{}", True),
        ([("content-type", "text/html"), ("content-encoding", "gzip")], b"\x1f\x8b", False),
        ([("content-type", "text/plain")], b"\xff", False),
        ([("content-type", "image/png")], b"abc", False),
        ([], b"", False),
    ],
)
def test_what_is_not_text_is_encoded(headers: Headers, body: bytes, is_text: bool) -> None:
    answer = answer_of(HttpResponse(200, headers, body))
    assert answer["isBase64Encoded"] is not is_text
    given = answer["body"]
    assert (given.encode() if is_text else b64decode(given)) == body


def test_headers_are_joined_and_cookies_are_apart() -> None:
    headers = [("vary", "a"), ("set-cookie", "a=1"), ("vary", "b"), ("set-cookie", "b=2")]
    answer = answer_of(HttpResponse(204, headers, b""))
    assert (answer["statusCode"], answer["headers"]) == (204, {"vary": "a, b"})
    assert answer["cookies"] == ["a=1", "b=2"]


def socket(kind: str, **changes: Any) -> dict[str, Any]:
    return {"requestContext": {"eventType": kind, "connectionId": "L0="}} | changes


def test_a_runner_connects_without_naming_an_actor() -> None:
    assert socket_event(socket("CONNECT")).path == ""
    assert socket_event(socket("CONNECT", multiValueQueryStringParameters=None)).path == ""


def test_a_user_names_an_actor_and_may_say_more() -> None:
    event = socket(
        "CONNECT",
        multiValueQueryStringParameters={"actor": ["room/eu,lobby/a b"], "x": ["1", "2"]},
        multiValueHeaders={"Origin": ["https://a"], "Sec-WebSocket-Key": ["k"]},
    )
    came = socket_event(event)
    assert (came.path, came.query) == ("/actors/room/eu,lobby/a%20b", "x=1&x=2")
    assert came.headers == [("origin", "https://a")]


def test_messages_are_text_or_bytes() -> None:
    assert socket_event(socket("MESSAGE", body="hi")).message == "hi"
    event = socket("MESSAGE", body=b64encode(b"\x00").decode(), isBase64Encoded=True)
    assert socket_event(event).message == b"\x00"


def test_a_disconnect_has_a_code() -> None:
    event = socket("DISCONNECT")
    assert socket_event(event).code == 1000
    event["requestContext"] |= {"disconnectStatusCode": 1001, "disconnectReason": "bye"}
    came = socket_event(event)
    assert (came.code, came.reason) == (1001, "bye")
