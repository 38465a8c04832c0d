"""What happens on a WebSocket, as API Gateway's WebSocket API has it in events.

What must stay true: what an event is follows from its type, never from its route: which route a
message takes is for whoever writes it to say.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from engine.allocation.frames import Headers
from engine.allocation.gateway import PREFIX
from infra.aws.http_events import encoded

ACTOR = "actor"
"""The parameter of a user's address that names the actor, and a path below it."""


class SocketEvent(msgspec.Struct, frozen=True):
    kind: str
    """CONNECT, MESSAGE or DISCONNECT."""
    connection: str
    message: str | bytes = ""
    path: str = ""
    """Of CONNECT: the actor's address as the gateway reads it, empty where none is named."""
    query: str = ""
    headers: Headers = []
    code: int = 1000
    reason: str = ""


def socket_event(event: Mapping[str, Any]) -> SocketEvent:
    """What the event says."""
    context = event["requestContext"]
    kind, connection = context["eventType"], context["connectionId"]
    if kind == "MESSAGE":
        body: str = event.get("body") or ""
        message = b64decode(body) if event.get("isBase64Encoded") else body
        return SocketEvent(kind, connection, message)
    if kind == "DISCONNECT":
        code = context.get("disconnectStatusCode") or 1000
        return SocketEvent(
            kind, connection, code=code, reason=context.get("disconnectReason") or ""
        )
    asked: Mapping[str, list[str]] = event.get("multiValueQueryStringParameters") or {}
    actor = next(iter(asked.get(ACTOR, ())), "").lstrip("/")
    rest = [(name, value) for name, values in asked.items() if name != ACTOR for value in values]
    return SocketEvent(
        kind,
        connection,
        path=encoded(PREFIX + actor) if actor else "",
        query=urlencode(rest),
        headers=_headers(event),
    )


def _headers(event: Mapping[str, Any]) -> Headers:
    given: Mapping[str, list[str]] = event.get("multiValueHeaders") or {}
    return [
        (name.lower(), value)
        for name, values in given.items()
        if not name.lower().startswith("sec-websocket-")
        for value in values
    ]
