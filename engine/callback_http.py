"""Callbacks over HTTP, short of a server: method, token and body in, status and JSON out.

`functions/callbacks.py` and `infra/local/http` are two doors to this one room.

What must stay true
- The token is the whole authority, so anybody may knock: a refusal tells a stranger nothing about
  runs, and no error of ours shows what is behind it.
- Only POST answers. What merely follows links (mail scanners, previews) sends GET or HEAD, and must
  decide nothing.
- The same answer again gets the first one's result, byte for byte; another one is a conflict.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec.structs import replace

from engine.errors import CallerError, PayloadTooLarge, RunEnded, TidestepError, WaitClosed
from engine.json_values import decode_json
from engine.keys import KeyRing
from engine.layout import signal_item
from engine.ports import Platform
from engine.reading import RunReader
from engine.signalling import Signaller, takes_answer

log = logging.getLogger("tidestep")

HEADERS = {
    "content-type": "application/json",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",  # the address is the key
    "x-content-type-options": "nosniff",
}

HOW = "POST a JSON value to this address to answer"


class BodyNotJson(CallerError):
    """The body of an answer is not JSON."""


class MethodNotAllowed(CallerError):
    """An address takes other methods than this one."""

    http_status = 405


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What a server sends back."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: HEADERS)


class WaitView(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a callback's address shows to whoever opens it."""

    run: str
    node: str
    open: bool
    """False once it was answered, has timed out, or its run has ended."""
    how: str = ""


class CallbackApi:
    """Answers requests to callback addresses."""

    def __init__(self, platform: Platform, keys: KeyRing) -> None:
        self._platform = platform
        self._keys = keys
        self._signaller = Signaller(platform)
        self._reader = RunReader(platform)

    @property
    def body_bytes(self) -> int:
        """Servers read no more of a body than this, and one byte."""
        return self._platform.limits.signal_bytes

    async def handle(self, method: str, token: str, body: bytes) -> HttpAnswer:
        """The answer to a request; it raises nothing that Tidestep raises on purpose."""
        try:
            if method == "POST":
                return await self._answer(token, body)
            if method == "GET":
                return await self._look(token)
            raise MethodNotAllowed("POST answers, GET shows what is waited for")
        except TidestepError as error:
            return refusal(error)

    async def _answer(self, token: str, body: bytes) -> HttpAnswer:
        address = await self._keys.verify(token)
        if len(body) > self.body_bytes:
            raise too_large(self.body_bytes)
        try:
            answered = await self._signaller.answer(address, _payload(body))
        except RunEnded as error:  # here, the end of the run is the end of the wait
            raise WaitClosed(str(error)) from error
        return json_answer(200, {"accepted": True, "at": answered.at})

    async def _look(self, token: str) -> HttpAnswer:
        address = await self._keys.verify(token)
        head = await self._reader.head(address.key)
        definition = await self._reader.definition(address.key, head)
        if address.node >= len(definition.nodes):
            raise WaitClosed("the run that waited for this is gone; another has its id")
        view = WaitView(address.key.run, definition.nodes[address.node].id, open=False)
        if takes_answer(head, address, self._platform.clock.now()):
            answer = signal_item(address.id)
            if not await self._platform.journal.items(address.key.partition, [answer]):
                view = replace(view, open=True, how=HOW)
        return json_answer(200, view)


def refusal(error: TidestepError) -> HttpAnswer:
    """An error as it is told to a stranger: what is wrong here is none of his business."""
    if error.http_status >= 500:
        log.error("a callback could not be served: %s", error)
        return error_answer(error.http_status, "Unavailable", "try again later")
    answer = error_answer(error.http_status, type(error).__name__, str(error))
    if isinstance(error, MethodNotAllowed):
        return HttpAnswer(answer.status, answer.body, {**HEADERS, "allow": "GET, POST"})
    return answer


def too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"an answer may have {limit:,} bytes of JSON, and this one has more")


def json_answer(status: int, value: Any) -> HttpAnswer:
    return HttpAnswer(status, msgspec.json.encode(value))


def error_answer(status: int, kind: str, message: str) -> HttpAnswer:
    return json_answer(status, {"error": {"type": kind, "message": message}})


def _payload(body: bytes) -> Any:
    if not body.strip():
        return None
    try:
        return decode_json(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BodyNotJson(f"the body must be one JSON value, or empty for null: {error}") from None
