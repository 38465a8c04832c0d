"""Break off what is of no use any more."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from engine.allocation.tunnel import HttpResponse
from engine.callback_http import error_answer
from infra.local.actors.scopes import answer_of

T = TypeVar("T")


class BrokenOff(Exception):
    """What it was broken off for has come first."""


async def unless(over: Coroutine[Any, Any, object], work: Coroutine[Any, Any, T]) -> T:
    """What `work` comes to. Raises BrokenOff where `over` ends first; `work` is cancelled then."""
    working, waiting = asyncio.create_task(work), asyncio.create_task(over)
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise BrokenOff
    finally:
        working.cancel()
        waiting.cancel()
        await asyncio.gather(working, waiting, return_exceptions=True)


def server_stops() -> HttpResponse:
    """The answer to whoever waits for an actor when the server has stopped its runners."""
    answer = answer_of(error_answer(503, "Unavailable", "the server is being stopped"))
    more = [("x-tidestep-error", "Unavailable"), ("retry-after", "1")]
    return HttpResponse(answer.status, [*answer.headers, *more], answer.body)
