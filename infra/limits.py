"""The limits of a process, from its environment: `TIDESTEP_LIMIT_INPUT_BYTES` is `input_bytes`.

    TIDESTEP_LIMITS  several in one, for a stack's parameter: {"input_bytes": 65536, "signals": 100}

What must stay true: a setting that is not understood stops the process, for a limit that is
silently not in force is none; and no setting promises more than the platform can store. The values
by default are those of `engine.ports.Limits`; docs/limits.md describes each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

import msgspec

from engine.errors import Misconfigured
from engine.ports import Limits

PREFIX = "TIDESTEP_LIMIT_"
TOGETHER = "TIDESTEP_LIMITS"

MOST: Mapping[str, int] = {
    "definition_bytes": 384 << 10,
    "frontier": 500,
    "owed": 250,
    "sends": 16,
    "deaths": 5,
}
"""What can be set at most. DynamoDB refuses items above 400 KB, names and keys included: a
definition is one, and a full frontier and all that is owed lie in another, the head. Each death is
a receipt of the same message, and the template's queue gives it up after ten. Values have no such
bound: what does not fit into an item becomes a blob."""
_DIGITS = 15

NAMES = {PREFIX + field.name.upper(): field.name for field in fields(Limits)}
"""Variable -> limit."""


def limits_from(environment: Mapping[str, str]) -> Limits:
    """The limits that the environment sets, the others as they are by default.

    Raises Misconfigured, which names everything that is wrong.
    """
    each = {name: text for name, text in environment.items() if name.startswith(PREFIX)}
    together = _together(environment.get(TOGETHER, ""))
    given = each | together
    problems = [
        problem for name, text in sorted(given.items()) if (problem := _problem(name, text))
    ] + [f"{name} and {TOGETHER} both set it" for name in sorted(each.keys() & together.keys())]
    if problems:
        raise Misconfigured("\n".join(problems))
    return Limits(**{NAMES[name]: int(text) for name, text in given.items()})


def _together(text: str) -> dict[str, str]:
    """Variable -> text. Raises Misconfigured."""
    try:
        given = msgspec.json.decode(text.strip() or "{}", type=dict[str, int])
    except msgspec.MsgspecError as error:
        raise Misconfigured(
            f'{TOGETHER} must be a JSON object of whole numbers, like {{"signals": 100}}: {error}'
        ) from error
    return {PREFIX + name.upper(): str(value) for name, value in given.items()}


def _problem(name: str, text: str) -> str:
    """What is wrong with one variable, in words; empty where nothing is."""
    if name not in NAMES:
        return f"there is no setting {name}; known are {', '.join(NAMES)}"
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS and int(text) > 0):
        return f"{name} is {text[:40]!r}; it must be a whole number above 0"
    most = MOST.get(NAMES[name])
    if most is not None and int(text) > most:
        return f"{name} is {int(text):,}; it can be {most:,} at most"
    return ""
