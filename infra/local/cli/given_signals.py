"""Signals from the command line: `NAME`, `NAME=JSON`, `NAME@SECONDS`, `NAME=JSON@SECONDS`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable

from engine.errors import InvalidInput
from engine.simulation.trials.outside import GivenSignal


def read_signals(texts: Iterable[str]) -> tuple[GivenSignal, ...]:
    """Raises InvalidInput."""
    return tuple(_signal(text) for text in texts)


def _signal(text: str) -> GivenSignal:
    name, equals, rest = text.partition("=")
    if not equals:
        name, at, seconds = text.partition("@")
        payload = "null"
    elif _is_json(rest):  # an '@' inside belongs to the value
        payload, at, seconds = rest, "", ""
    else:
        payload, at, seconds = rest.rpartition("@")
        payload = payload if at else rest
    if not name:
        raise InvalidInput(f"--signal {text!r}: write it as NAME, NAME=JSON or NAME=JSON@SECONDS")
    if not _is_json(payload):
        raise InvalidInput(f"--signal {text!r}: {payload!r} is not JSON; text needs its quotes")
    return GivenSignal(name, json.loads(payload), _seconds(text, seconds) if at else None)


def _seconds(text: str, given: str) -> float:
    try:
        seconds = float(given)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < 1e9:
        raise InvalidInput(f"--signal {text!r}: {given!r} is not a number of seconds")
    return seconds


def _is_json(text: str) -> bool:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return not (isinstance(value, float) and not math.isfinite(value))
