"""How long allocation waits for what, from the environment: TIDESTEP_ALLOCATION_START_SECONDS is
`start_ms`, and TIDESTEP_ALLOCATION_TRIES is `tries`.

What must stay true: a setting that is not understood stops the process; and so do times that would
have runners come and go although they live. docs/actors.md lists them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

from engine.allocation.settings import DEFAULTS, AllocationSettings
from engine.errors import Misconfigured

PREFIX = "TIDESTEP_ALLOCATION_"
_MS = "_ms"
MOST_SECONDS = 86_400
MOST = 100
"""Of what is counted."""


def _variable(field: str) -> str:
    if field.endswith(_MS):
        return f"{PREFIX}{field.removesuffix(_MS).upper()}_SECONDS"
    return PREFIX + field.upper()


NAMES = {_variable(field.name): field.name for field in fields(AllocationSettings)}
"""Variable -> setting."""


def settings_from(
    environment: Mapping[str, str], defaults: AllocationSettings = DEFAULTS
) -> AllocationSettings:
    """The settings that the environment makes, the others as in `defaults`.

    Raises Misconfigured, which names everything that is wrong.
    """
    given: dict[str, int] = {}
    problems: list[str] = []
    for name, text in sorted(environment.items()):
        if not name.startswith(PREFIX):
            continue
        value, problem = _value(name, text)
        if problem:
            problems.append(problem)
        else:
            given[NAMES[name]] = value
    settings = replace(defaults, **given)
    problems += [] if problems else _unfit(settings)
    if problems:
        raise Misconfigured("\n".join(problems))
    return settings


def _value(name: str, text: str) -> tuple[int, str]:
    """The value of one variable, or what is wrong with it."""
    if name not in NAMES:
        return 0, f"there is no setting {name}; known are {', '.join(NAMES)}"
    if NAMES[name].endswith(_MS):
        try:
            seconds = float(text)
        except ValueError:
            seconds = -1
        if not 0.001 <= seconds <= MOST_SECONDS:
            what = f"a number of seconds, from 0.001 to {MOST_SECONDS:,}"
            return 0, f"{name} is {text[:40]!r}; it must be {what}"
        return round(seconds * 1000), ""
    if not (text.isascii() and text.isdecimal() and len(text) <= 3 and 0 < int(text) <= MOST):
        return 0, f"{name} is {text[:40]!r}; it must be a whole number from 1 to {MOST}"
    return int(text), ""


_ASCENDING = (
    ("ping_ms", "eligible_ms", "or runners are given no actors although they live"),
    ("eligible_ms", "lost_ms", "or runners are lost before they are left alone"),
    ("ready_ms", "request_ms", "or a request is over before its actor is"),
)
"""The first must be smaller than the second."""


def _unfit(settings: AllocationSettings) -> list[str]:
    return [
        f"{_variable(small)} ({getattr(settings, small) / 1000:g}) must be less than "
        f"{_variable(large)} ({getattr(settings, large) / 1000:g}), {reason}"
        for small, large, reason in _ASCENDING
        if getattr(settings, small) >= getattr(settings, large)
    ]
