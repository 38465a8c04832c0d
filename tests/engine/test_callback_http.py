"""Callbacks as strangers see them: what answers, what only looks, and what each refusal says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from engine.callback_http import CallbackApi
from engine.callbacks import sign
from engine.errors import StoreUnusable
from engine.inbox import read_inbox
from engine.keys import KeyRing
from engine.layout import WaitAddress, run_key
from engine.memory import MemoryBlobs, MemoryJournal
from engine.ports import Limits, Platform
from engine.snapshot import Kind, State, Status, Token, Wait, decode_head
from tests.clock import ManualClock
from tests.engine.waiting import ADDRESS, APPROVE, KEY, SINCE, change_head, write_waiting_run
from tests.scenarios.world import CountingEntropy, FixedSecrets

T = TypeVar("T")


class Desk:
    """A run that waits, and the door that its answer comes through."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.journal = MemoryJournal(self.clock)
        entropy = CountingEntropy()
        platform = Platform(
            self.journal,
            MemoryBlobs(),
            self.clock,
            entropy,
            FixedSecrets({}),
            limits=Limits(signal_bytes=2000),
        )
        self.keys = KeyRing(self.journal, self.clock, entropy)
        self.api = CallbackApi(platform, self.keys)
        self._runner = asyncio.Runner()
        self.do(write_waiting_run(self.journal))
        self.token = self.token_of(ADDRESS)

    def close(self) -> None:
        self._runner.close()

    def do(self, work: Awaitable[T]) -> T:
        async def wait() -> T:
            return await work

        return self._runner.run(wait())

    def token_of(self, address: WaitAddress) -> str:
        return sign(address, self.do(self.keys.signing()))

    def ask(self, method: str, token: str | None = None, body: bytes = b"") -> tuple[int, Any]:
        answer = self.do(self.api.handle(method, self.token if token is None else token, body))
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
        return answer.status, json.loads(answer.body)

    def post(self, body: bytes = b"", token: str | None = None) -> tuple[int, Any]:
        return self.ask("POST", token, body)

    def change(self, **changes: Any) -> None:
        self.do(change_head(self.journal, **changes))

    def stored(self) -> list[bytes]:
        """The payloads that were recorded, or lie in the run's inbox."""

        async def read() -> list[bytes]:
            body = await self.journal.head(KEY)
            assert body is not None
            head = decode_head(body)
            taken = [entry.value for entry in head.tail if entry.kind is Kind.SIGNALLED]
            inbox = [signal.value for _, signal in await read_inbox(self.journal, KEY, head)]
            return [value for value in taken + inbox if isinstance(value, bytes)]

        return self.do(read())


@pytest.fixture
def desk() -> Any:
    desk = Desk()
    yield desk
    desk.close()


def refused(answer: tuple[int, Any], status: int, kind: str) -> str:
    assert (answer[0], answer[1]["error"]["type"]) == (status, kind)
    message: str = answer[1]["error"]["message"]
    return message


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"approved": true}', b'{"approved":true}'),
        (b'"yes"', b'"yes"'),
        (b"0", b"0"),
        (b"false", b"false"),
        (b"null", b"null"),
        (b"", b"null"),
        (b" \n", b"null"),
    ],
)
def test_any_json_value_answers_the_wait(desk: Desk, body: bytes, value: bytes) -> None:
    assert desk.post(body) == (200, {"accepted": True, "at": desk.clock.now()})
    assert desk.stored() == [value]


def test_the_same_answer_again_gets_the_first_ones_result(desk: Desk) -> None:
    first = desk.post(b'{"approved": true}')
    desk.clock.advance(60)
    assert desk.post(b'{"approved":true}') == first
    assert len(desk.stored()) == 1


def test_another_answer_is_a_conflict_and_changes_nothing(desk: Desk) -> None:
    desk.post(b"true")
    refused(desk.post(b"false"), 409, "SignalConflict")
    assert desk.stored() == [b"true"]


@pytest.mark.parametrize(
    "change",
    [
        lambda desk: desk.change(status=Status.COMPLETED, frontier=(), waits=()),
        lambda desk: desk.change(status=Status.CANCELLED),
        lambda desk: desk.change(status=Status.CLOSING),
        lambda desk: desk.change(frontier=(Token(2, 1, 1, State.READY, "sid", 0),), waits=()),
        lambda desk: desk.change(waits=(Wait(APPROVE, 1, "approval", 2),)),
        lambda desk: desk.change(
            frontier=(Token(APPROVE, 1, 2, State.WAITING, "sid", 0, due=desk.clock.now()),)
        ),
    ],
    ids=["completed", "cancelled", "closing", "gone-on", "waits-again", "timed-out"],
)
def test_a_wait_that_is_over_takes_no_answer_and_says_so(
    desk: Desk, change: Callable[[Desk], None]
) -> None:
    change(desk)
    refused(desk.post(b"true"), 410, "WaitClosed")
    assert desk.stored() == []
    assert desk.ask("GET") == (200, {"run": "order-7", "node": "approve", "open": False})


def test_opening_the_address_shows_what_waits_and_answers_nothing(desk: Desk) -> None:
    status, shown = desk.ask("GET", body=b"true")
    how = "POST a JSON value to this address to answer"
    assert (status, shown) == (
        200,
        {"run": "order-7", "node": "approve", "open": True, "how": how},
    )
    assert desk.stored() == []


def test_once_answered_the_address_shows_a_closed_wait(desk: Desk) -> None:
    desk.post(b"true")
    assert desk.ask("GET")[1]["open"] is False


def test_an_address_given_out_before_the_wait_begins_is_open(desk: Desk) -> None:
    desk.change(frontier=(Token(APPROVE, 1, 1, State.READY, "sid", 0),), waits=())
    assert desk.ask("GET")[1]["open"] is True
    assert desk.post(b"true")[0] == 200


@pytest.mark.parametrize("method", ["HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "post", ""])
def test_other_methods_answer_nothing(desk: Desk, method: str) -> None:
    answer = desk.do(desk.api.handle(method, desk.token, b"true"))
    assert (answer.status, answer.headers["allow"]) == (405, "GET, POST")
    assert desk.stored() == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_forged_tokens_of_all_kinds_get_the_same_refusal(desk: Desk, method: str) -> None:
    forged = [desk.token[:-1], desk.token + "A", "x", "A" * 100_000, "é"]
    answers = [desk.ask(method, token, b"true") for token in forged]
    assert {json.dumps(answer) for answer in answers} == {json.dumps(answers[0])}
    refused(answers[0], 404, "InvalidCallback")
    assert desk.stored() == []


def test_a_run_that_is_gone_is_not_found(desk: Desk) -> None:
    gone = desk.token_of(WaitAddress(run_key("gone"), APPROVE, 1, 1, SINCE))
    refused(desk.post(b"true", gone), 404, "RunNotFound")
    refused(desk.ask("GET", gone), 404, "RunNotFound")


def test_an_address_of_a_node_that_the_run_does_not_have_is_over(desk: Desk) -> None:
    token = desk.token_of(WaitAddress(KEY, 99, 1, 1, SINCE))
    refused(desk.post(b"true", token), 410, "WaitClosed")
    refused(desk.ask("GET", token), 410, "WaitClosed")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"yes",
        b"approved=true",
        b"NaN",
        b"1 2",
        b'"\xff"',
        b'"\\ud800"',
        b"[" * 2000,
        b"1e999",
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_not_json_is_refused(desk: Desk, body: bytes) -> None:
    message = refused(desk.post(body), 400, "BodyNotJson")
    assert message.startswith("the body must be one JSON value, or empty for null")
    assert desk.stored() == []


def test_what_is_nested_too_deep_is_refused(desk: Desk) -> None:
    refused(desk.post(b"[" * 200 + b"]" * 200), 422, "InvalidInput")


def test_a_body_may_have_as_many_bytes_as_the_limit_says(desk: Desk) -> None:
    assert desk.api.body_bytes == 2000
    message = refused(desk.post(b'"' + b"x" * 1999 + b'"'), 413, "PayloadTooLarge")
    assert "2,000 bytes" in message
    assert desk.post(b'"' + b"x" * 1998 + b'"')[0] == 200


def test_a_token_is_checked_before_the_body(desk: Desk) -> None:
    refused(desk.post(b"{" * 3000, "forged"), 404, "InvalidCallback")


def test_our_own_troubles_are_logged_and_not_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(key: object) -> None:
        raise StoreUnusable("/home/ada/runs.db: the disk is full")

    monkeypatch.setattr(desk.journal, "head", fail)
    assert refused(desk.post(b"true"), 503, "Unavailable") == "try again later"
    assert "the disk is full" in caplog.text
