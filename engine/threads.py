"""Plain functions run in a daemon thread of their own.

Not in a pool: an attempt that is cut off leaves its thread running, because a thread cannot be
stopped, and it must not keep a place that another attempt waits for while its own time runs. A
daemon, because neither the loop nor the interpreter should wait for one that does not return, which
a killed process would not do either. How many there are is the worker's concurrency to bound.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Any, TypeVar

T = TypeVar("T")


async def run_in_thread(function: Callable[..., T], **arguments: Any) -> T:
    """The function's result, or its exception. Cancelling stops the waiting, not the thread."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[T] = loop.create_future()
    context = copy_context()

    def settle(result: T | None, error: BaseException | None) -> None:
        if ended.done():  # nobody waits any more
            return
        if error is None:
            ended.set_result(result)  # type: ignore[arg-type]
        else:
            ended.set_exception(error)

    def work() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = context.run(function, **arguments)
        except StopIteration as stop:  # which a future cannot carry
            error = RuntimeError(f"the actor raised StopIteration: {stop}")
        except BaseException as raised:
            error = raised
        with suppress(RuntimeError):  # the loop has been closed: nobody is there to be told
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, name="tidestep actor", daemon=True).start()
    return await ended
