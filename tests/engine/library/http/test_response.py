"""What becomes of an answer: its body, and what an error says of it."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import tracemalloc
from typing import Any

import pytest

from engine.errors import PermanentFailure, TooLarge
from engine.library.http import HttpError, HttpRejected, HttpTransportError
from tests.engine.library.http.world import Handler, Server, call, reply


def test_json_is_parsed_and_the_answer_described(server: Server) -> None:
    headers = (("X-Two", "a"), ("X-Two", "b"))
    server.answers["/x"] = reply(b'{"n": [1, null]}', 201, "application/json", headers)

    found = call(url=server.url("/x?secret=1#part"))

    assert found["status"] == 201
    assert found["body"] == {"n": [1, None]}
    assert "body_base64" not in found
    assert found["headers"]["x-two"] == "a, b"
    assert found["headers"]["content-type"] == "application/json"
    assert found["url"] == server.url("/x")
    assert found["elapsed_ms"] >= 0


@pytest.mark.parametrize(
    ("kind", "content", "body"),
    [
        ("application/problem+json; charset=utf-8", b"[1]", [1]),
        ("application/json", b"", None),
        ("application/json", b"not json", "not json"),
        ("application/json", b"NaN", "NaN"),
        ("application/json", b"[" * 50_000, "[" * 50_000),
        ("text/plain; charset=iso-8859-1", b"caf\xe9", "café"),
        ("text/plain; charset=no-such", b"caf\xe9", "caf\ufffd"),
        ("text/html", b"<p>", "<p>"),
        ("image/svg+xml", b"<svg/>", "<svg/>"),
        (None, b"plain", "plain"),
        (None, b"", None),
    ],
)
def test_the_body_is_what_the_content_type_says(
    server: Server, kind: str | None, content: bytes, body: Any
) -> None:
    server.answers["/x"] = reply(content, kind=kind)
    found = call(url=server.url("/x"))
    assert found["body"] == body
    assert "body_base64" not in found


@pytest.mark.parametrize(
    ("kind", "content"),
    [("image/png", b"\x89PNG\x00"), ("application/octet-stream", b"ascii"), (None, b"\xff\x00")],
)
def test_binary_content_comes_as_base64(server: Server, kind: str | None, content: bytes) -> None:
    server.answers["/x"] = reply(content, kind=kind)
    found = call(url=server.url("/x"))
    assert found["body"] is None
    assert base64.b64decode(found["body_base64"]) == content


def test_head_has_headers_and_no_body(server: Server) -> None:
    compressed = (("X-Length", "9"), ("Content-Encoding", "br"))
    server.answers["/x"] = reply(b"123456789", kind="application/json", headers=compressed)
    found = call(url=server.url("/x"), method="HEAD")
    assert found["body"] is None
    assert found["headers"]["content-length"] == "9"


def test_gzip_is_asked_for_and_undone(server: Server) -> None:
    zipped = gzip.compress(b'{"a": 1}')
    server.answers["/x"] = reply(
        zipped, kind="application/json", headers=(("Content-Encoding", "gzip"),)
    )
    assert call(url=server.url("/x"))["body"] == {"a": 1}
    assert server.seen[0].headers["Accept-Encoding"] == "gzip"


def test_damaged_gzip_is_worth_another_attempt(server: Server) -> None:
    encoding = (("Content-Encoding", "gzip"),)
    server.answers["/cut"] = reply(gzip.compress(b"x" * 1000)[:-9], headers=encoding)
    server.answers["/not"] = reply(b"plain", headers=encoding)
    with pytest.raises(HttpTransportError, match="ends too early"):
        call(url=server.url("/cut"))
    with pytest.raises(HttpTransportError, match="damaged gzip"):
        call(url=server.url("/not"))


def test_an_encoding_that_was_not_asked_for_is_rejected(server: Server) -> None:
    server.answers["/x"] = reply(b"?", headers=(("Content-Encoding", "gzip, gzip"),))
    with pytest.raises(HttpRejected, match="encoding other than gzip"):
        call(url=server.url("/x"))


def test_a_response_that_is_too_large_is_cut_off(server: Server) -> None:
    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:  # until the client hangs up
            handler.wfile.write(b"x" * 10_000)

    server.answers["/x"] = endless
    with pytest.raises(TooLarge, match=r"/x: the response has more than 20,000 bytes"):
        call(url=server.url("/x"), max_bytes=20_000)


def test_a_response_of_exactly_the_limit_passes(server: Server) -> None:
    server.answers["/x"] = reply(b"x" * 1000)
    server.answers["/z"] = reply(
        gzip.compress(b"x" * 1000), headers=(("Content-Encoding", "gzip"),)
    )
    for path in ("/x", "/z"):
        assert call(url=server.url(path), max_bytes=1000)["body"] == "x" * 1000
        with pytest.raises(TooLarge, match="999 bytes"):
            call(url=server.url(path), max_bytes=999)


def test_a_small_response_that_inflates_is_cut_off(server: Server) -> None:
    bomb = gzip.compress(bytes(30_000_000))
    server.answers["/x"] = reply(bomb, headers=(("Content-Encoding", "gzip"),))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            call(url=server.url("/x"), max_bytes=100_000)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_statuses_that_may_pass_are_retryable(server: Server, status: int) -> None:
    server.answers["/x"] = reply(b"try\n  later " + b"x" * 1000, status)
    with pytest.raises(HttpError, match=f"/x answered {status}: try later xxx") as raised:
        call(url=server.url("/x"))
    assert raised.value.retryable
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422])
def test_statuses_that_will_stay_are_permanent(server: Server, status: int) -> None:
    server.answers["/x"] = reply(b'{"error": "no"}', status, "application/json")
    with pytest.raises(PermanentFailure, match=f'/x answered {status}: {{"error":"no"}}') as raised:
        call(url=server.url("/x"))
    assert isinstance(raised.value, HttpRejected)
    assert not raised.value.retryable


def test_a_status_is_reported_even_if_its_body_is_broken(server: Server) -> None:
    server.answers["/x"] = reply(b"??", 404, headers=(("Content-Encoding", "gzip"),))
    with pytest.raises(HttpRejected, match=r"/x answered 404$"):
        call(url=server.url("/x"))


def test_a_huge_error_page_does_not_hide_the_status(server: Server) -> None:
    server.answers["/x"] = reply(b"x" * 1_000_000, 502)
    with pytest.raises(HttpError, match=r"/x answered 502"):
        call(url=server.url("/x"), max_bytes=10)


def test_errors_and_logs_hide_query_and_header_values(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    def echo(handler: Handler) -> None:
        lines = [handler.path, handler.headers["Authorization"], handler.headers["X-Key"]]
        lines += ["QUERY/SECRET 1", "QUERY%2FSECRET%201", json.dumps('KEY"SECRET')]
        lines += [handler.headers["Authorization"].split()[1]]
        reply("\n".join(lines).encode(), 400)(handler)

    caplog.set_level(logging.DEBUG)
    server.answers["/x"] = echo
    with pytest.raises(HttpRejected, match="/x answered 400: /x") as raised:
        call(
            url=server.url("/x?first=URLSECRET&BARESECRET"),
            query={"second": "QUERY/SECRET 1"},
            headers={"Authorization": "Bearer AUTHSECRET", "X-Key": 'KEY"SECRET'},
        )
    assert "SECRET" not in str(raised.value)
    assert "SECRET" in server.seen[0].path
    assert "SECRET" not in caplog.text
