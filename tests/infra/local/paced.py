"""An actor that takes 10 to 30 ms and writes down that it ran, for the kill tests."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from tidestep import Context, actor


@actor("paced.add")
async def add(number: int, context: Context) -> int:
    await asyncio.sleep(0.010 + (number * 7 % 20) / 1000)
    note(context.node)
    return number + 1


def note(node: str) -> None:
    with Path(os.environ["PACED_LOG"]).open("a") as log:
        log.write(f"{node} {os.getpid()}\n")
