"""The answer: reading and parsing its body, and what an error may quote of it.

What must stay true:

- No more than a limit is held in memory, however small the answer was before decompression.
- An error quotes the beginning of a body without what the request said in secret: servers echo the
  query and headers, in one spelling or another.
"""

from __future__ import annotations

import base64
import re
import zlib
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict
from urllib.parse import quote, quote_plus

import msgspec

from engine.errors import TidestepError, TooLarge
from engine.json_values import decode_json, encode_json
from engine.library.http.errors import HttpError, HttpRejected, HttpTransportError
from engine.library.http.headers import PUBLIC_HEADERS
from engine.library.http.urls import place_of

if TYPE_CHECKING:
    import httpx

_EXCERPT_CHARACTERS = 200
_ERROR_BYTES = 64 << 10
"""Read of a body that only an error shows: enough that no secret is cut, and missed, in the part
that is shown."""
_JSON_TYPE = re.compile(r"(application|text)/([\w.+-]+\+)?json")
_TEXT_TYPE = re.compile(
    r"text/.*|(application|image)/([\w.+-]+\+)?"
    r"(xml|yaml|x-yaml|javascript|x-www-form-urlencoded|x-ndjson)"
)


class HttpResponse(TypedDict):
    """What the actor sends out.

    `body` is parsed where the content type says JSON (and the body is JSON), text where it says
    text, and null where nothing came; other content is in `body_base64` instead. `url` is where
    the answer came from after redirects, without its query.
    """

    status: int
    headers: dict[str, str]
    body: Any
    body_base64: NotRequired[str]
    url: str
    elapsed_ms: int


async def read_body(response: httpx.Response, limit: int) -> bytes:
    """The body, decompressed here so that no small answer can become a huge one.

    Raises TooLarge, HttpTransportError for a damaged body, HttpRejected for an encoding that was
    not asked for.
    """
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("gzip", "x-gzip", "identity", ""):
        raise HttpRejected(f"{place_of(response.url)}: the body is in an encoding other than gzip")
    unzip = zlib.decompressobj(wbits=31) if encoding.endswith("gzip") else None
    received = bytearray()
    async for chunk in response.aiter_raw():
        if unzip is None:
            received += chunk
        else:
            try:
                received += unzip.decompress(chunk, limit - len(received) + 1)
            except zlib.error:
                raise HttpTransportError(f"{place_of(response.url)}: damaged gzip") from None
        if len(received) > limit:
            problem = f"the response has more than {limit:,} bytes (max_bytes)"
            raise TooLarge(f"{place_of(response.url)}: {problem}")
        if unzip is not None and unzip.eof:
            break  # or what follows would pile up in the decompressor
    if unzip is not None and received and not unzip.eof:
        raise HttpTransportError(f"{place_of(response.url)}: the gzip data ends too early")
    return bytes(received)


def parsed_body(response: httpx.Response, received: bytes) -> dict[str, Any]:
    """The body as part of an HttpResponse."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if _JSON_TYPE.fullmatch(kind):
        try:
            return {"body": decode_json(received)}
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return {"body": _text(response, received) if received else None}
    if not received:
        return {"body": None}
    if _TEXT_TYPE.fullmatch(kind):
        return {"body": _text(response, received)}
    if not kind:
        try:
            return {"body": received.decode()}
        except UnicodeDecodeError:
            pass
    return {"body": None, "body_base64": base64.b64encode(received).decode("ascii")}


def _text(response: httpx.Response, received: bytes) -> str:
    try:
        return received.decode(response.charset_encoding or "utf-8", errors="replace")
    except (LookupError, UnicodeError):
        return received.decode("utf-8", errors="replace")


async def unexpected_status(response: httpx.Response, hidden: list[str]) -> TidestepError:
    """The error for a status that is no success, with the beginning of the body if it is text."""
    import httpx

    from engine.expressions import redact

    status, excerpt = response.status_code, ""
    try:
        body = parsed_body(response, await read_body(response, _ERROR_BYTES))["body"]
    except (TidestepError, httpx.TransportError):
        body = None  # the status says more than a broken body
    if body is not None:
        text = body if isinstance(body, str) else encode_json(body).decode()
        excerpt = " ".join(str(redact(text, hidden)).split())
        if len(excerpt) > _EXCERPT_CHARACTERS:
            excerpt = excerpt[: _EXCERPT_CHARACTERS - 1] + "…"
    problem = f"{place_of(response.url)} answered {status}{': ' if excerpt else ''}{excerpt}"
    retryable = status >= 500 or status in (408, 429)
    return HttpError(problem) if retryable else HttpRejected(problem)


def hidden_values(url: httpx.URL, headers: dict[str, str]) -> list[str]:
    """What an answer must not echo into an error, in the spellings that servers echo."""
    values = {url.query.decode("ascii")}
    for key, value in url.params.multi_items():
        values.add(value or key)
    for name, value in headers.items():
        if name.lower() not in PUBLIC_HEADERS:
            values.add(value)
            values.update(part for part in value.split() if len(part) >= 8)
    return [form for value in values for form in (value, quote(value, safe=""), quote_plus(value))]
