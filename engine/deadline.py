"""Cut a coroutine off at its deadline, at no cost for one that never waits.

Most actors that direct a flow or compute a value return without waiting for anything. A timer is
only set up once a coroutine has shown that it waits: setting one up costs a good part of what
running such a step costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def run_within(work: Coroutine[Any, Any, T], scope: asyncio.Timeout) -> T:
    """The result of `work`, which `scope` cuts off where it waits.

    Raises TimeoutError when the scope's time is up; `scope.expired()` tells that one from a
    TimeoutError of the work's own.
    """
    try:
        waiting = work.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    async with scope:
        return await _resume(work, waiting)


@coroutine
def _resume(work: Coroutine[Any, Any, T], waiting: Any) -> Generator[Any, Any, T]:
    """Go on with `work`, which has just yielded `waiting`, as `await` would."""
    while True:
        raised: BaseException | None = None
        try:
            yield waiting
        except BaseException as error:
            raised = error
        try:
            waiting = work.send(None) if raised is None else work.throw(raised)
        except StopIteration as stop:
            result: T = stop.value
            return result
