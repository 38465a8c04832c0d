"""Actors that fail, wait, crash and return much, as their workflow says."""

from __future__ import annotations

import os
import signal
from base64 import b64encode
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from tidestep import Context, Emit, Wait, actor

NOTE = (
    "too long to lie in the head of a run, so that each step writes it as an item of its own " * 2
)


@actor("shop.greet")
async def greet(order: dict[str, Any], *, shop: str) -> dict[str, Any]:
    return {"greeting": f"{shop} thanks {order['customer']}"}


@actor("count.on", outports=("again", "done"))
async def count_on(value: dict[str, Any]) -> Emit:
    left = value["left"] - 1
    return Emit("again" if left else "done", {"left": left, "note": NOTE})


@actor("flaky.fail_twice")
async def fail_twice(value: Any, context: Context) -> dict[str, int]:
    if context.attempt < 3:
        raise RuntimeError(f"attempt {context.attempt} fails, as it should")
    return {"attempts": context.attempt}


@actor("large.text")
async def large_text(value: dict[str, int]) -> str:
    """Random, so that packing makes it no smaller than three quarters."""
    return b64encode(Random(1).randbytes(value["bytes"])).decode()[: value["bytes"]]


@actor("large.both")
async def both(left: str, right: str) -> dict[str, str]:
    return {"left": left, "right": right}


@actor("large.measure")
async def measure(text: str) -> dict[str, int]:
    return {"length": len(text)}


@actor("crash.kill", timeout=5)
def kill(value: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@actor("ask.by_callback")
async def ask_by_callback(question: Any, context: Context) -> Any:
    """Leaves the address where the test looks for it, as a mail would."""
    if context.resumed == "signal":
        return context.signal
    letter = Path(os.environ["DESK"]) / f"{context.run_id}-{context.node}.txt"
    letter.write_text(context.callback_url)
    return Wait("answer", timedelta(hours=1))
