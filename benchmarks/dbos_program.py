"""A chain of asynchronous steps that do nothing, on DBOS over SQLite: prints steps per second.

It runs in an environment of its own, which has DBOS and not this project:

    python dbos_program.py DIRECTORY SECONDS [JOURNAL_MODE]
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import sys
import time
from contextlib import closing
from typing import Any


def main() -> None:
    from dbos import DBOS  # type: ignore[import-not-found, unused-ignore]

    logging.disable(logging.CRITICAL)
    directory, seconds, *mode = sys.argv[1:]
    if mode:  # a file keeps its mode, so setting it beforehand needs nothing of DBOS
        with closing(sqlite3.connect(f"{directory}/dbos.sqlite")) as connection:
            connection.execute(f"PRAGMA journal_mode = {mode[0]}")
    DBOS(
        config={
            "name": "chain",
            "system_database_url": f"sqlite:///{directory}/dbos.sqlite",
            "run_admin_server": False,
        }
    )

    async def pass_on(message: Any) -> Any:
        return message

    step = DBOS.step()(pass_on)

    async def chain(seconds: float) -> float:
        steps, began = 0, time.perf_counter()
        while (passed := time.perf_counter() - began) < seconds:
            await step("x" * 62)
            steps += 1
        return steps / passed

    workflow = DBOS.workflow()(chain)
    DBOS.launch()

    async def measure() -> float:
        await workflow(0.2)  # what is opened and compiled once
        rate: float = await workflow(float(seconds))
        return rate

    print(asyncio.run(measure()))
    DBOS.destroy()


if __name__ == "__main__":
    main()
