"""When an alarm is due, and the timer that waits for it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from engine.errors import InvalidValue
from engine.ports import Clock

LATEST = 1 << 53
"""Milliseconds since 1970 that every JSON reader still counts exactly."""


def alarm_time(when: Any, now: int) -> int:
    """Milliseconds since 1970; 0 is no alarm, for None. Raises InvalidValue."""
    if when is None:
        return 0
    if isinstance(when, datetime):
        if when.tzinfo is None:
            raise InvalidValue(f"alarm at {when}: say in which time zone")
        at = when.timestamp() * 1000
    elif isinstance(when, timedelta):
        at = now + when.total_seconds() * 1000
    elif isinstance(when, int | float) and not isinstance(when, bool):
        at = now + when * 1000
    else:
        raise InvalidValue(f"alarm at {when!r}: give a datetime, a timedelta or seconds from now")
    if not math.isfinite(at) or at > LATEST:
        raise InvalidValue(f"alarm at {when!r}: that is too far away")
    return max(1, math.ceil(at))


class AlarmTimer:
    """Calls `ring` when the alarm is due, from `arm` on; and again for each one that is set later.

    `changes` counts the settings: who has seen the same number twice knows that none came between.
    """

    def __init__(self, clock: Clock, ring: Callable[[], None]) -> None:
        self.at = 0
        self.changes = 0
        self._clock = clock
        self._ring = ring
        self._armed = False
        self._timer: asyncio.TimerHandle | None = None

    def set(self, at: int) -> None:
        self.at = at
        self.changes += 1
        self._wait()

    def arm(self) -> None:
        """Ring from now on; at once, where the alarm is due."""
        self._armed = True
        self._wait()

    def disarm(self) -> None:
        self._armed = False
        self._wait()

    def _wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._armed or not self.at:
            return
        left = self.at - self._clock.now()
        if left <= 0:
            self._ring()
        else:  # the loop's clock and ours may drift apart: look again when it says so
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(left / 1000, self._wait)
