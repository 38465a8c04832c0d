"""The actors of the torture runs: each execution leaves a line in a file before it does anything.

What must stay true: a line is one `write` to a file opened for appending, so that it is whole and
stays even where the process is killed right after it. Every actor is retried, because an attempt
that several kills in a row hit fails with StepCrashed, and rightly so.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import Any

from tidestep import Context, Emit, Retry, actor

LOG_VARIABLE = "TORTURE_LOG"
AGAIN = Retry(max_attempts=1000, interval=0.05, backoff="fixed")


def note(context: Context) -> None:
    line = f"{context.idempotency_key} {context.attempt} {os.getpid()}\n"
    log = os.open(os.environ[LOG_VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(log, line.encode())
    finally:
        os.close(log)


@actor("torture.add", retry=AGAIN)
async def add(number: int, context: Context, *, by: int, seconds: float = 0.06) -> int:
    note(context)
    await asyncio.sleep(seconds)
    return number + by


@actor("torture.flaky", retry=AGAIN)
async def flaky(number: int, context: Context) -> int:
    """Fails the first time, whatever that first time's fate."""
    note(context)
    if context.attempt == 1:
        raise ConnectionError("the first attempt always fails")
    return number + 1


@actor("torture.join", retry=AGAIN)
def join(left: int, right: int, rested: int, context: Context) -> int:
    """A plain function, which runs in a thread."""
    note(context)
    time.sleep(0.01)
    return left + right + rested


@actor("torture.charge", at_most_once=True, retry=AGAIN)
async def charge(number: int, context: Context, *, seconds: float) -> int:
    note(context)
    await asyncio.sleep(seconds)
    return number + 1000


@actor("torture.unsure", retry=AGAIN)
async def unsure(failure: Any, context: Context) -> str:
    note(context)
    return str(failure["error"]["type"])


@actor("torture.tick", state=int, outports=("out", "again"), retry=AGAIN)
async def tick(message: Any, context: Context, *, times: int, seconds: float = 0.02) -> int | Emit:
    """Counts its own visits in its state, and goes round until there are `times` of them."""
    note(context)
    await asyncio.sleep(seconds)
    context.state = (context.state or 0) + 1
    return context.state if context.state == times else Emit("again", context.state)


@actor("torture.send", state=int, outports=("out", "again"), retry=AGAIN)
async def send(message: Any, context: Context, *, to: str, times: int) -> int | Emit:
    """As `tick`, and every visit signals another run twice."""
    note(context)
    context.state = (context.state or 0) + 1
    for number in (2 * context.state - 1, 2 * context.state):
        context.send(to, "part", {"id": f"{context.run_id}#{number}"})
    await asyncio.sleep(0.01)
    return context.state if context.state == times else Emit("again", context.state)


@actor("torture.gather", state=list[str], outports=("out", "more"), retry=AGAIN)
async def gather(part: Any, context: Context, *, expect: int) -> list[str] | Emit:
    """Keeps the ids of the parts in its state, in the order in which they come."""
    note(context)
    context.state = [*(context.state or []), part["id"]]
    return context.state if len(context.state) == expect else Emit("more", len(context.state))


@actor("torture.tally", state=list[int], outports=("out", "more"), retry=AGAIN)
async def tally(number: int, context: Context, *, expect: int) -> int | Emit:
    note(context)
    context.state = [*(context.state or []), number]
    return sum(context.state) if len(context.state) == expect else Emit("more", None)


@actor("torture.bomb", retry=AGAIN)
async def bomb(number: int, context: Context) -> int:
    """Kills its process every time its first attempt is executed."""
    note(context)
    if context.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@actor("torture.stall", retry=AGAIN)
async def stall(number: int, context: Context, *, seconds: float) -> int:
    """Takes longer at its first attempt than a delivery may be held."""
    note(context)
    await asyncio.sleep(seconds if context.attempt == 1 else 0.01)
    return number
