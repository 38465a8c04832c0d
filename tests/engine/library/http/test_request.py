"""What the config asks for: the request that is sent, how long it may take, where it may lead."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from engine.errors import InvalidValue
from engine.library.http import HttpError, HttpRejected, HttpTransportError
from tests.engine.library.http.world import Handler, Server, call, redirect, reply


def test_a_json_body_is_sent_with_its_type(server: Server) -> None:
    server.answers["/x"] = reply()
    call(url=server.url("/x"), method="PUT", json={"a": "é"})
    call(url=server.url("/x"), method="PUT", json=None)
    call(url=server.url("/x"), method="PUT")
    first, null, none = server.seen
    assert json.loads(first.body) == {"a": "é"}
    assert first.headers["Content-Type"] == "application/json"
    assert null.body == b"null"
    assert (none.body, none.headers["Content-Type"]) == (b"", None)


def test_a_text_body_is_sent_and_headers_win_over_defaults(server: Server) -> None:
    server.answers["/x"] = reply()
    call(url=server.url("/x"), method="PATCH", body="é", headers={"content-type": "text/csv"})
    (seen,) = server.seen
    assert seen.body == "é".encode()
    assert seen.headers.get_all("Content-Type") == ["text/csv"]


def test_query_is_added_to_that_of_the_url(server: Server) -> None:
    server.answers["/x"] = reply()
    query = {"b": [1, "z&"], "c": True, "d": None}
    call(url=server.url("/x?a=1"), query=query)
    assert server.seen[0].path == "/x?a=1&b=1&b=z%26&c=true"


def test_posts_carry_the_same_idempotency_key_in_every_attempt(server: Server) -> None:
    server.answers["/x"] = reply(status=503)
    for attempt in (1, 2):
        with pytest.raises(HttpError):
            call(attempt, url=server.url("/x"), method="POST")
    server.answers["/x"] = reply()
    call(3, url=server.url("/x"), method="PATCH")
    keys = [seen.headers["Idempotency-Key"] for seen in server.seen]
    assert keys == ["run-1/call/0"] * 3


def test_the_idempotency_key_gives_way_to_the_config_and_to_other_methods(server: Server) -> None:
    server.answers["/x"] = reply()
    call(url=server.url("/x"), method="POST", headers={"idempotency-key": "mine"})
    call(url=server.url("/x"), method="PUT")
    keys = [seen.headers.get_all("Idempotency-Key") for seen in server.seen]
    assert keys == [["mine"], None]


@pytest.mark.parametrize(
    "config",
    [
        {"url": "http://example.com", "json": 1, "body": "x"},
        {"url": "http://example.com", "expect": "2xx"},
        {"url": "http://example.com", "expect": [700]},
        {"url": "http://example.com", "method": "TRACE"},
        {"url": "http://example.com", "timeout": 0},
        {"url": "http://example.com", "max_bytes": 1 << 40},
    ],
)
def test_configs_that_make_no_sense_are_invalid(config: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue, match="config"):
        call(**config)


@pytest.mark.parametrize("expect", [404, "404", "400-499", [200, "404-404"]])
def test_expect_says_what_is_a_success(server: Server, expect: Any) -> None:
    server.answers["/x"] = reply(b"gone", 404)
    server.answers["/y"] = reply(b"here", 202)
    assert call(url=server.url("/x"), expect=expect)["status"] == 404
    with pytest.raises(HttpRejected, match="answered 202"):
        call(url=server.url("/y"), expect=expect)


def test_a_slow_body_hits_the_deadline_though_bytes_keep_coming(server: Server) -> None:
    def trickle(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not handler.server.released.wait(0.02):
            handler.wfile.write(b"x")

    server.answers["/x"] = trickle
    with pytest.raises(HttpTransportError, match=r"/x: no complete answer within 0\.2 seconds"):
        call(url=server.url("/x?token=hidden"), timeout=0.2)


def test_a_server_that_never_answers_hits_the_deadline(server: Server) -> None:
    server.answers["/x"] = lambda handler: handler.server.wait()
    with pytest.raises(HttpTransportError, match="no complete answer") as raised:
        call(url=server.url("/x"), timeout=0.1)
    assert raised.value.retryable


def test_a_redirect_is_an_answer_unless_it_is_to_be_followed(server: Server) -> None:
    server.answers["/x"] = redirect("/y")
    server.answers["/y"] = reply(b"there")
    found = call(url=server.url("/x"))
    assert (found["status"], found["headers"]["location"]) == (302, "/y")
    found = call(url=server.url("/x"), follow_redirects=True)
    assert (found["status"], found["body"], found["url"]) == (200, "there", server.url("/y"))


def test_redirects_end(server: Server) -> None:
    server.answers["/x"] = redirect("/x")
    with pytest.raises(HttpRejected, match="/x: more than 5 redirects"):
        call(url=server.url("/x"), follow_redirects=True)
    assert len(server.seen) == 6


def test_httpx_is_not_imported_before_the_first_request() -> None:
    code = "import engine.library.http, sys; print('httpx' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
