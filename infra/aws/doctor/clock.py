"""How far this machine's clock is from AWS's: messages and heads carry times of both."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from infra.aws.doctor.findings import About, Finding, Resource, span

WARN_MS = 2_000
PROBLEM_MS = 60_000


class ClockReading(msgspec.Struct, frozen=True):
    """One answer of AWS's. All times are milliseconds since 1970."""

    asked_at: int
    answered_at: int
    """Both by this machine's clock."""
    date: int
    """By AWS's, in whole seconds: it was this second when AWS answered."""

    @property
    def ahead_ms(self) -> int:
        """How far this machine is ahead of AWS at least; below 0 where it is behind."""
        if (ahead := self.asked_at - (self.date + 1000)) > 0:
            return ahead
        return min(0, self.answered_at - self.date)


def reading(asked_at: int, answered_at: int, response: Mapping[str, Any]) -> ClockReading | None:
    """What a response of botocore's says of the clock, if anything."""
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        date = parsedate_to_datetime(headers["date"])
    except (KeyError, TypeError, ValueError):
        return None
    return ClockReading(asked_at, answered_at, int(date.timestamp()) * 1000)


def judge_clock(reading: ClockReading | None) -> list[Finding]:
    about = About("clock", Resource("this machine"))
    if reading is None:
        return []
    off = f"its clock is {told(reading)} AWS's"
    mend = (
        "Have the clock of this machine set by NTP before it works on runs or starts any: "
        "what it writes down carries its time."
    )
    if abs(reading.ahead_ms) > PROBLEM_MS:
        return [about.problem(off, mend)]
    if abs(reading.ahead_ms) > WARN_MS:
        return [about.warning(off, mend)]
    return [about.ok("its clock goes as AWS's does")]


def told(reading: ClockReading) -> str:
    """`12 s ahead of`, `3 min behind`."""
    where = "ahead of" if reading.ahead_ms > 0 else "behind"
    return f"{span(abs(reading.ahead_ms) / 1000)} {where}"
