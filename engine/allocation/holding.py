"""What the holder of a request, or of a runner's connection, reports: whoever holds it."""

from __future__ import annotations

from engine.allocation.mailing import Mailer
from engine.allocation.parties import pool as pool_party
from engine.allocation.signals import Disconnected, RequestEnded
from engine.layout import RunKey

ERROR_CHARACTERS = 1000


async def report_end(mailer: Mailer, tenant: str, pool: str, request: str, error: str = "") -> None:
    """The request is over; `error` says what was wrong with it, empty where it just ended.

    Once more is harmless. That it began its runner says itself, in its Hello. Raises PlatformError.
    """
    ended = RequestEnded(request, error[:ERROR_CHARACTERS])
    await mailer.signal(pool_party(pool).key(tenant), ended, f"ended:{request}")


async def report_gone(mailer: Mailer, runner: RunKey, connection: str) -> None:
    """The connection of the runner is closed: it leaves the index, and may come back on another.

    Whoever notices says so, and the first is heard. Raises PlatformError.
    """
    await mailer.signal(runner, Disconnected(connection), f"gone:{connection}")
