"""HTTP requests and answers as API Gateway's HTTP API has them in events, payload format 2.0.

What must stay true
- The path is handed on percent-encoded, as `engine.allocation.gateway` reads it. API Gateway
  decodes it, stand-ins and function URLs do not: what is encoded stays, the rest is encoded. A '/'
  or ',' in an actor's key cannot be told from ours there.
- Headers that came more than once are one, joined by commas; cookies are apart, both ways.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from engine.allocation.frames import Headers
from engine.allocation.tunnel import HttpResponse
from infra.aws.event_body import body_of

_LITERAL = "/:@!$&'()*+,;=~%"
_BARE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_TEXT = re.compile(r"text/|application/(json|javascript|xml)|[^;]*\+(json|xml)")


class HttpEvent(msgspec.Struct, frozen=True):
    method: str
    path: str
    query: str
    headers: Headers
    body: bytes


def request_of(event: Mapping[str, Any]) -> HttpEvent:
    """The request of an event."""
    context = event["requestContext"]
    path: str = event["rawPath"]
    stage = context.get("stage", "$default")
    if stage != "$default":
        path = path.removeprefix(f"/{stage}")
    cookies = event.get("cookies") or ()
    headers = [
        (name, value)
        for name, value in (event.get("headers") or {}).items()
        if not (cookies and name.lower() == "cookie")
    ]
    if cookies:
        headers.append(("cookie", "; ".join(cookies)))
    query = event.get("rawQueryString") or ""
    return HttpEvent(context["http"]["method"], encoded(path), query, headers, body_of(event))


def answer_of(response: HttpResponse) -> dict[str, Any]:
    """What the function returns."""
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for name, value in response.headers:
        if name == "set-cookie":
            cookies.append(value)
        else:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    answer: dict[str, Any] = {"statusCode": response.status, "headers": headers}
    if cookies:
        answer["cookies"] = cookies
    encoding = headers.get("content-encoding", "identity")
    if encoding == "identity" and _TEXT.match(headers.get("content-type", "")):
        try:
            return answer | {"body": response.body.decode(), "isBase64Encoded": False}
        except UnicodeDecodeError:
            pass  # it says that it is text, and is not
    return answer | {"body": b64encode(response.body).decode(), "isBase64Encoded": True}


def encoded(path: str) -> str:
    """The path with whatever cannot stand in a URL encoded."""
    return quote(_BARE_PERCENT.sub("%25", path), safe=_LITERAL)
