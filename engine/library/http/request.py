"""The actor: what the config asks for becomes a request, is sent, and its answer a message.

What must stay true:

- A client lives for one call. A shared one would carry cookies from one tenant to the next, and
  would have to outlive event loops.
- Headers that may be secret are not sent on when a redirect leaves the origin.
- httpx is imported with the first request, never before.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote

import msgspec

from engine.actors.actor import actor
from engine.actors.context import Context
from engine.errors import InvalidValue
from engine.json_values import encode_json
from engine.library.http.errors import HttpRejected, HttpTransportError
from engine.library.http.headers import PUBLIC_HEADERS, checked_headers
from engine.library.http.response import (
    HttpResponse,
    hidden_values,
    parsed_body,
    read_body,
    unexpected_status,
)
from engine.library.http.transport import guarded_transport, reason_of, requesting
from engine.library.http.urls import check_url, checked_url, keeps_origin, place_of

if TYPE_CHECKING:
    import httpx

MAX_REDIRECTS = 5
Scalar = str | int | float | bool | None
Seconds = Annotated[float, msgspec.Meta(gt=0)]
Bytes = Annotated[int, msgspec.Meta(gt=0, le=16 << 20)]
_NO_JSON: Any = object()  # null is a JSON body


@actor("http.request")
async def http_request(
    message: Any,
    context: Context,
    *,
    url: str,
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET",
    headers: dict[str, str] | None = None,
    query: dict[str, Scalar | list[Scalar]] | None = None,
    json: Any = _NO_JSON,
    body: str | None = None,
    timeout: Seconds = 30,  # noqa: ASYNC109 - a config key
    follow_redirects: bool = False,
    max_bytes: Bytes = 1 << 20,
    expect: int | str | list[int | str] = "200-399",
) -> HttpResponse:
    """Make an HTTP request and send out the answer: status, headers, body.

    The message is not used: expressions in the config say what of it goes where. `query` is added
    to the query of `url`, lists repeat a key, nulls are left out. POST and PATCH carry the
    context's `Idempotency-Key` unless `headers` has one. `timeout` is seconds for the whole
    exchange. `expect` lists the statuses that are a success: 404, "200-299", [200, 404]. Headers
    of the config that may hold secrets are not sent on when a redirect leaves the origin.

    Raises HttpError (408, 429, 5xx) and HttpTransportError, which are retried; HttpRejected for
    other unexpected statuses; Refused for a target that is not allowed; TooLarge for a response
    above `max_bytes`; InvalidValue and PermanentFailure for a config that makes no request.
    """
    import httpx

    expected = _statuses(expect)
    target = checked_url(url)
    if query:
        given = {key: value for key, value in query.items() if value is not None}
        target = target.copy_merge_params(given)
    given_headers = checked_headers(headers or {})
    sent = {"Accept-Encoding": "gzip", "User-Agent": "tidestep", "Connection": "close"}
    if method in ("POST", "PATCH"):
        sent["Idempotency-Key"] = quote(context.idempotency_key, safe="/:@=+._-")
    content, kind = _content(json, body)
    if content is not None:
        sent["Content-Type"] = kind
    loop = asyncio.get_running_loop()
    began = loop.time()
    place = place_of(target)
    quiet = requesting.set(True)
    try:
        async with (
            asyncio.timeout(timeout),
            httpx.AsyncClient(
                transport=guarded_transport(), headers=sent, timeout=timeout, trust_env=False
            ) as client,
        ):
            request = client.build_request(method, target, headers=given_headers, content=content)
            response = await _send(client, request, given_headers, follow_redirects)
            try:
                place = place_of(response.url)
                if response.status_code not in expected:
                    raise await unexpected_status(response, hidden_values(target, given_headers))
                received = b"" if method == "HEAD" else await read_body(response, max_bytes)
            finally:
                await response.aclose()
    except TimeoutError:
        problem = f"{place}: no complete answer within {timeout:g} seconds"
        raise HttpTransportError(problem) from None
    except httpx.TransportError as error:
        raise HttpTransportError(f"{place_of(error.request.url)}: {reason_of(error)}") from error
    finally:
        requesting.reset(quiet)
    return {
        "status": response.status_code,
        "headers": dict(response.headers.items()),
        **parsed_body(response, received),  # type: ignore[typeddict-item]
        "url": str(response.url.copy_with(query=None, fragment=None)),
        "elapsed_ms": round((loop.time() - began) * 1000),
    }


def _statuses(expect: int | str | list[int | str]) -> set[int]:
    found: set[int] = set()
    for part in expect if isinstance(expect, list) else [expect]:
        match = re.fullmatch(r"([1-5]\d\d)(?:-([1-5]\d\d))?", str(part))
        if match is None:
            raise InvalidValue(f"config.expect: {part!r} is neither a status nor a range '200-299'")
        found.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return found


def _content(json: Any, body: str | None) -> tuple[bytes | None, str]:
    """What is sent, and its type."""
    if json is _NO_JSON:
        return None if body is None else body.encode(), "text/plain; charset=utf-8"
    if body is not None:
        raise InvalidValue("config has both 'json' and 'body'")
    return encode_json(json, "config.json"), "application/json"


async def _send(
    client: httpx.AsyncClient,
    request: httpx.Request,
    given_headers: Iterable[str],
    follow_redirects: bool,
) -> httpx.Response:
    """The response, its body unread: the first, or the first that is no redirect."""
    for _ in range(MAX_REDIRECTS + 1):
        response = await client.send(request, stream=True)
        following = response.next_request
        if following is None or not follow_redirects:
            return response
        await response.aclose()
        check_url(following.url)
        if not keeps_origin(request.url, following.url):
            for name in given_headers:
                if name.lower() not in PUBLIC_HEADERS:
                    following.headers.pop(name, None)
        request = following
    raise HttpRejected(f"{place_of(request.url)}: more than {MAX_REDIRECTS} redirects")
