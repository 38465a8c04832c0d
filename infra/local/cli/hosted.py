"""`tidestep runner`: host stateful actors for a server, until it or somebody here says stop."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass

from engine.allocation.frames import STOPPED_REASON
from engine.stateful.loading import load_stateful
from infra.local.cli.exits import OK
from infra.local.cli.interrupts import Interrupts
from infra.local.cli.logs import logging_to
from infra.local.cli.options import TOKEN_VARIABLE
from infra.local.cli.output import say, say_error
from infra.local.cli.wording import count
from infra.runner.process import run_runner

CONNECTION_VARIABLE = "TIDESTEP_CONNECTION"
"""The request that a server has started this process for, where one did."""
KEY_VARIABLE = "TIDESTEP_RUNNER_KEY"
LOOK_S = 1.0
EVICTED = 6


@dataclass(frozen=True, slots=True)
class Hosted:
    """Which actors, and for whom."""

    paths: tuple[str, ...]
    endpoint: str
    pool: str
    slots: int
    version: int


async def host(how: Hosted, *, verbose: bool) -> int:
    """The exit code. Raises Misconfigured or InvalidActor."""
    actors = load_stateful(how.paths)
    connection = os.environ.get(CONNECTION_VARIABLE, "")

    def asked_to_stop() -> None:
        if not connection:
            say("giving the actors back; Ctrl-C again stops at once")

    with (
        redirect_stdout(sys.stderr),  # what actors print
        logging_to(say, verbose=verbose),
        Interrupts(asked_to_stop) as interrupts,
    ):
        if not connection:
            names = ", ".join(f"'{name}'" for name in actors)
            slots = count(how.slots, "slot")
            say(f"hosting {names} for pool '{how.pool}' of {how.endpoint}, {slots}; Ctrl-C stops")
        hosting = asyncio.create_task(
            run_runner(
                list(actors.values()),
                how.endpoint,
                how.pool,
                os.environ.get(KEY_VARIABLE, ""),
                how.slots,
                interrupts.stop,
                version=how.version,
                connection=connection,
                token=os.environ.get(TOKEN_VARIABLE, "").strip(),
            )
        )
        if connection:
            await _until_orphaned(hosting)
        evicted = "" if hosting.cancelled() else await hosting
    if evicted and evicted != STOPPED_REASON and interrupts.caught is None:
        say_error(f"the server has ended this runner: {evicted}")
        return EVICTED
    return OK


async def _until_orphaned(hosting: asyncio.Task[str]) -> None:
    """Until it ends, or its server is gone: one that was killed cannot end what it has started."""
    parent = os.getppid()
    while not hosting.done() and os.getppid() == parent:
        await asyncio.wait({hosting}, timeout=LOOK_S)
    if not hosting.done():
        hosting.cancel()
        await asyncio.wait({hosting})
