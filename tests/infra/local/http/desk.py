"""The server's application over a run that waits, in memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.applications import Starlette

from engine.callback_http import CallbackApi
from engine.callbacks import sign
from engine.keys import KeyRing
from engine.memory import MemoryBlobs, MemoryJournal
from engine.ports import Limits, Platform
from infra.local.http.application import application
from infra.system import EnvironmentSecrets, SystemClock, SystemEntropy
from tests.engine.waiting import ADDRESS, write_waiting_run

LIMIT = 1000


@dataclass
class Desk:
    app: Starlette
    api: CallbackApi
    path: str
    """Of the callback that answers the run."""


async def open_desk() -> Desk:
    clock = SystemClock()
    journal = MemoryJournal(clock)
    entropy = SystemEntropy()
    await write_waiting_run(journal)
    platform = Platform(
        journal,
        MemoryBlobs(),
        clock,
        entropy,
        EnvironmentSecrets({}),
        limits=Limits(signal_bytes=LIMIT),
    )
    keys = KeyRing(journal, clock, entropy)
    api = CallbackApi(platform, keys)
    return Desk(application(api), api, f"/callbacks/{sign(ADDRESS, await keys.signing())}")


async def stopped_within(task: asyncio.Task[None], seconds: float) -> None:
    """Wait for the end of a task that was asked to stop."""
    async with asyncio.timeout(seconds):
        await task
