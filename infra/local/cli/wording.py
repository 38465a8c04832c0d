"""Times, durations and values as people read them."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any


def duration(ms: int) -> str:
    """`12 ms`, `3.4 s`, `2 min 5 s`, `3 h 4 min`, `2 d 3 h`."""
    ms = max(0, ms)
    if ms < 1000:
        return f"{ms} ms"
    if ms < 59_950:  # from there on it would be rounded to 60.0 s
        return f"{ms / 1000:.1f} s"
    seconds = round(ms / 1000)
    if seconds < 3600:
        return _two(seconds, 60, "min", 1, "s")
    if seconds < 86_400:
        return _two(seconds, 3600, "h", 60, "min")
    return _two(seconds, 86_400, "d", 3600, "h")


def wait(ms: int) -> str:
    """How long something is still away: `80 ms`, `0.2 s`, `15 s`, `4 min 30 s`."""
    ms = max(0, ms)
    if ms < 100:
        return f"{ms} ms"
    if ms < 9950:  # from there on it would be rounded to 10.0 s
        return f"{ms / 1000:.1f} s"
    seconds = round(ms / 1000)
    return f"{seconds} s" if seconds < 60 else duration(seconds * 1000)


def moment(at: int, now: int) -> str:
    """A time (ms since 1970) on the local clock, with its date where that is not today."""
    when = datetime.fromtimestamp(at / 1000).astimezone()
    today = datetime.fromtimestamp(now / 1000).astimezone().date()
    return when.strftime("%H:%M:%S" if when.date() == today else "%Y-%m-%d %H:%M:%S")


def until(due: int, now: int) -> str:
    """`until 14:05:03 (in 4 min 0 s)`."""
    return f"until {moment(due, now)} (in {wait(due - now)})"


def count(number: int, one: str, many: str = "") -> str:
    """`1 node`, `2 nodes`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def error_text(error: dict[str, str] | None) -> str:
    """A recorded error in one line: `ConnectionError: refused`."""
    return one_line(f"{error['type']}: {error['message']}") if error else ""


def one_line(text: str) -> str:
    """Text without line breaks and control characters: it comes from actors and documents."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def short_json(value: Any, limit: int = 2000) -> str:
    """A value in one line of JSON, clipped."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text):,} characters)"


def _two(seconds: int, large: int, large_name: str, small: int, small_name: str) -> str:
    whole, rest = divmod(seconds, large)
    return f"{whole} {large_name} {rest // small} {small_name}"
