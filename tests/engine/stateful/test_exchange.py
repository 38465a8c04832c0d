"""Requests and responses as handlers see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from engine.errors import InvalidValue, NotJson
from engine.stateful import Request, Response
from engine.stateful.exchange import failure, response_of


@dataclass
class Point:
    x: int
    y: int


def test_a_request_is_read_as_far_as_it_is_looked_at() -> None:
    request = Request(
        "post",
        "/a%20b/c?x=1&x=2&empty=&y=%C3%A4",
        [("Content-Type", "text/plain"), ("X-Many", "1"), ("x-many", "2")],
        b'{"n": 1}',
        id="q1",
    )
    assert (request.method, request.path, request.id) == ("POST", "/a b/c", "q1")
    assert dict(request.query) == {"x": "1", "empty": "", "y": "ä"}
    assert request.query.all("x") == ["1", "2"]
    assert request.headers["content-TYPE"] == "text/plain"
    assert request.headers.all("X-MANY") == ["1", "2"]
    assert request.headers.all("x-none") == []
    assert "X" not in request.query
    assert request.json() == {"n": 1}
    assert request.text() == '{"n": 1}'


def test_a_body_of_another_kind_is_an_error_that_says_so() -> None:
    with pytest.raises(NotJson, match="body is not JSON"):
        Request(body=b"{").json()
    with pytest.raises(InvalidValue, match="body is not text"):
        Request(body=b"\xff").text()


@pytest.mark.parametrize(
    ("answer", "status", "body", "kind"),
    [
        (None, 204, b"", None),
        ("ü", 200, "ü".encode(), "text/plain; charset=utf-8"),
        (b"\x00", 200, b"\x00", "application/octet-stream"),
        ({"n": [1, None]}, 200, b'{"n":[1,null]}', "application/json"),
        (7, 200, b"7", "application/json"),
        (False, 200, b"false", "application/json"),
        (Point(1, 2), 200, b'{"x":1,"y":2}', "application/json"),
        (Response("made", 201), 201, b"made", "text/plain; charset=utf-8"),
        (Response(status=404), 404, b"", None),
        (Response("<p>", headers={"Content-Type": "text/html"}), 200, b"<p>", "text/html"),
    ],
)
def test_what_a_handler_may_answer(answer: Any, status: int, body: bytes, kind: str | None) -> None:
    response = response_of(answer)
    assert (response.status, response.body) == (status, body)
    assert response.headers.get("content-type") == kind


@pytest.mark.parametrize(
    "make",
    [
        lambda: response_of(object()),
        lambda: response_of(float("nan")),
        lambda: response_of({1, 2}),
        lambda: Response("\ud800"),
        lambda: Response(status=99),
        lambda: Response(status=600),
        lambda: Response(headers={"x-a": "1\r\nset-cookie: x"}),
        lambda: Response(headers={"two words": "1"}),
        lambda: Response(headers=[("", "1")]),
    ],
)
def test_what_cannot_be_sent_is_an_error(make: Any) -> None:
    with pytest.raises(InvalidValue):
        make()


def test_headers_may_come_several_times() -> None:
    pairs = [("Set-Cookie", "a=1"), ("set-cookie", "b=2")]
    assert Response(headers=pairs).headers.pairs() == (("set-cookie", "a=1"), ("set-cookie", "b=2"))


def test_a_failure_tells_type_and_message_and_nothing_else() -> None:
    response = failure(KeyError("\ud800" + "x" * 5000))
    error = response.json()["error"]
    assert response.status == 500
    assert error["type"] == "KeyError"
    assert len(error["message"]) <= 1000
