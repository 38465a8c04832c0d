"""Read the body of a request: no more of it than it may have, and for no longer than allowed."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from engine.errors import PayloadTooLarge

BODY_TIMEOUT_S = 20.0


async def read_body(request: Request, limit: int, too_large: PayloadTooLarge) -> bytes:
    """Raises `too_large` as soon as it is, TimeoutError, and ClientDisconnect."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise too_large
    body = bytearray()
    async with asyncio.timeout(BODY_TIMEOUT_S):
        async for part in request.stream():
            body += part
            if len(body) > limit:
                raise too_large
    return bytes(body)
