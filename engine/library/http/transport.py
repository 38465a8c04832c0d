"""The connection: only to addresses that the guard let through.

What must stay true:

- No connection is made to an address that was not checked. A name is resolved once per request,
  and the connection goes to one of the addresses found, by number; TLS and the `Host` header keep
  the name. Requests after a redirect pass here too; proxies from the environment are not used.
- No connection is used twice.
- httpx logs nothing of these requests: it would log whole URLs. Nor does `reason_of` show any.
- httpx is imported with the first request, never before.
"""

from __future__ import annotations

import logging
import os
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING

from engine.library.http.guard import Address, checked_addresses
from engine.library.http.urls import host_of

if TYPE_CHECKING:
    import ssl

    import httpx

_CONNECT_S = 5.0
"""How long an address may take to connect while there is another to try."""

requesting: ContextVar[bool] = ContextVar("requesting", default=False)
"""Whether the current task is inside a request of this package."""


def _is_loggable(record: logging.LogRecord) -> bool:
    """httpx logs whole URLs; the application's own use of it may go on doing so."""
    return not requesting.get()


def guarded_transport() -> httpx.AsyncBaseTransport:
    """A transport that connects to checked addresses only."""
    import httpx

    # Without keep-alive: a kept connection is known by its address, and would be reused for
    # another name on that address without asking for that name's certificate.
    no_reuse = httpx.Limits(max_keepalive_connections=0)
    return _transport_class()(verify=client_tls(), trust_env=False, limits=no_reuse)  # type: ignore[call-arg]


@cache
def _transport_class() -> type[httpx.AsyncBaseTransport]:
    import httpx

    class GuardedTransport(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            *others, last = await checked_addresses(request.url)
            for address in others:
                try:
                    return await super().handle_async_request(_pinned(request, address, _CONNECT_S))
                except (httpx.ConnectError, httpx.ConnectTimeout):
                    continue
            return await super().handle_async_request(_pinned(request, last))

    logging.getLogger("httpx").addFilter(_is_loggable)
    return GuardedTransport


def _pinned(
    request: httpx.Request, address: Address, connect_s: float | None = None
) -> httpx.Request:
    """The request with the address in place of the name, which TLS and `Host` still go by."""
    import httpx

    extensions = {**request.extensions, "sni_hostname": host_of(request.url).rstrip(".")}
    if connect_s is not None:
        extensions["timeout"] = {**extensions["timeout"], "connect": connect_s}
    return httpx.Request(
        request.method,
        request.url.copy_with(host=str(address)),
        headers=request.headers,
        stream=request.stream,
        extensions=extensions,
    )


@cache
def client_tls() -> ssl.SSLContext:
    """Reading the certificates takes longer than many a request."""
    import httpx

    return httpx.create_ssl_context()


def reason_of(error: BaseException) -> str:
    """Why an exchange broke, in words that hold nothing of the request."""
    import ssl

    import httpx

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate is not valid: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed: {cause.reason}"
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno)
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.TimeoutException):
        return "the server was too slow"
    if isinstance(error, httpx.ProtocolError):
        return "the server broke off its answer, or it is not HTTP"
    return "the connection failed" if isinstance(error, httpx.ConnectError) else "it was lost"
