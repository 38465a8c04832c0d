"""The gateway: HTTP requests by an actor's address in, answers out; what `tidestep serve` and the
gateway function have in common.

    /actors/<name>/<key>/<path>     the one actor of this name and key, made where there is none
    /actors/@<id>/<path>            the actor of this id

A key of several parts is written with commas between them: `/actors/room/eu,lobby/messages`.

What must stay true
- Only names that an operator has listed are made or reached: an address is anybody's to type.
- Errors of ours are told apart from the actor's own answers by `x-tidestep-error`, which names the
  code. What the user's headers say of our own business is not passed on.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from engine.allocation.config import CrashPolicy
from engine.allocation.directory import DEFAULT_POOL, ActorNotFound, Directory
from engine.allocation.errors import ActorFailed, ActorGone, GatewayError
from engine.allocation.frames import Headers
from engine.allocation.parties import Kind, party_key
from engine.allocation.tunnel import HttpRequest, HttpResponse, Tunnel
from engine.errors import CallerError, InvalidName, TidestepError
from engine.layout import DEFAULT_TENANT, RunKey
from engine.ports import Platform

log = logging.getLogger("tidestep")

PREFIX = "/actors/"
OWN_HEADERS = "x-tidestep-"
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "sec-websocket-key",
        "sec-websocket-version",
    }
)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Served(msgspec.Struct, frozen=True):
    """How actors of one name are made."""

    pool: str = DEFAULT_POOL
    crash: CrashPolicy = CrashPolicy.SLEEP


class Address(msgspec.Struct, frozen=True):
    """Which actor, and what of it: `path` begins with '/'. `id` is set, or `name` and `key`."""

    path: str
    id: str = ""
    name: str = ""
    key: tuple[str, ...] = ()


def parse_address(path: str) -> Address:
    """The address in a path that begins with `PREFIX`, percent-encoded as it came.

    Raises InvalidName where it names no actor.
    """
    first, _, rest = path.removeprefix(PREFIX).partition("/")
    if first.startswith("@") and first != "@":
        return Address(f"/{rest}", id=unquote(first[1:]))
    key, _, rest = rest.partition("/")
    if first in ("", "@") or not key:
        raise InvalidName(f"{PREFIX}<name>/<key>/... or {PREFIX}@<id>/... names an actor")
    return Address(f"/{rest}", name=unquote(first), key=tuple(map(unquote, key.split(","))))


class Gateway:
    """Answers HTTP requests to actors."""

    def __init__(self, platform: Platform, tunnel: Tunnel, served: Mapping[str, Served]) -> None:
        """`served` are the names that may be reached, and how their actors are made."""
        self._platform = platform
        self._tunnel = tunnel
        self._served = served
        self._directory = Directory(platform)

    async def handle(
        self, method: str, path: str, query: str, headers: Headers, body: bytes
    ) -> HttpResponse:
        """The answer to a request; it raises nothing that Tidestep raises on purpose.

        `path` is percent-encoded, `query` without its '?'.
        """
        try:
            address = parse_address(path)
            id = self._platform.entropy.new_id()
            target = f"{address.path}?{query}" if query else address.path
            request = HttpRequest(id, method, target, passed_on(headers), body)
            return _checked(address, await self._answer(address, request))
        except TidestepError as error:
            return refusal(error)

    async def _answer(self, address: Address, request: HttpRequest) -> HttpResponse:
        began = self._platform.clock.now()
        try:
            return await self._tunnel.request(await self.actor(address), request, began)
        except ActorGone:
            if address.id:
                raise
            # its key is free now: the request is for whoever has it next
            return await self._tunnel.request(await self.actor(address), request, began)

    async def actor(self, address: Address, tenant: str = DEFAULT_TENANT) -> RunKey:
        """The actor at this address, made where it may be.

        Raises ActorNotFound, InvalidName or InvalidInput.
        """
        if address.id:
            key = party_key(Kind.ACTOR, address.id, tenant)
            state: Any = (await self._directory.actor(key)).state
            self._must_be_served(state.name)
            return key
        served = self._must_be_served(address.name)
        made = await self._directory.get_or_create(
            address.name, address.key, pool=served.pool, crash=served.crash, tenant=tenant
        )
        return made.key

    def _must_be_served(self, name: str) -> Served:
        served = self._served.get(name)
        if served is None:
            raise ActorNotFound(f"no actors of the name '{name}' are served here")
        return served


def refusal(error: TidestepError) -> HttpResponse:
    """An error of ours as an answer."""
    if isinstance(error, GatewayError):
        code, retry_after_s = error.code, error.retry_after_s
        status = error.http_status
    elif isinstance(error, CallerError):
        code, retry_after_s, status = type(error).__name__, 0, error.http_status
    else:
        log.error("a request to an actor could not be served: %s", error)
        return _refusal(error.http_status, "Unavailable", "try again later", 1)
    return _refusal(status, code, str(error), retry_after_s)


def _checked(address: Address, response: HttpResponse) -> HttpResponse:
    """The answer as a server can send it. Raises ActorFailed for one that HTTP has no words for."""
    headers = passed_on(response.headers)
    who = f"actor '{address.id or '/'.join((address.name, ','.join(address.key)))}'"
    if not 200 <= response.status <= 599:
        raise ActorFailed(f"{who} has answered with status {response.status}", 0)
    for name, value in headers:
        if not (_NAME.fullmatch(name) and _VALUE.fullmatch(value)):
            raise ActorFailed(f"{who} has answered with the header {name[:40]!r}", 0)
    body = b"" if response.status in (204, 304) else response.body
    return HttpResponse(response.status, headers, body)


def _refusal(status: int, code: str, message: str, retry_after_s: int) -> HttpResponse:
    headers = [("content-type", "application/json"), ("x-tidestep-error", code)]
    if retry_after_s:
        headers.append(("retry-after", str(retry_after_s)))
    body = msgspec.json.encode({"error": {"type": code, "message": message}})
    return HttpResponse(status, headers, body)


def passed_on(headers: Headers) -> Headers:
    """The headers that concern the other end: neither those of one connection nor our own."""
    return [
        (name.lower(), value)
        for name, value in headers
        if name.lower() not in HOP_BY_HOP and not name.lower().startswith(OWN_HEADERS)
    ]
