"""The value of a path that leads nowhere, and the walk that may end in one.

A missing value may be asked whether it is defined, may be given a `default`, and may be looked
into further, which is missing too. Anything else raises, with a message that names the whole path
and what was there instead. Looking up is the only way into data: keys of mappings and positions of
lists and strings, never a Python attribute.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from jinja2 import StrictUndefined

from engine.errors import ExpressionError
from engine.expressions.scope import Json

# What a value without a name of its own is called in a path.
UNNAMED = "(...)"

_MAX_KEYS_SHOWN = 8
# Longer keys are left out rather than cut: a cut one could show part of a secret that redaction
# no longer recognises.
_MAX_KEY_CHARACTERS_SHOWN = 40

_NAME = re.compile(r"[^\W\d]\w*")

_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "a mapping",
}


class Missing(StrictUndefined):
    """`label` names the value the walk began at, `keys` the steps, `failed_at` the one refused.

    `holder` is the value that lacked it. The message is put together only if it is needed:
    `default()` usually throws it away.
    """

    __slots__ = ("failed_at", "holder", "keys", "label")

    def __init__(self, label: str, keys: Sequence[Json], failed_at: int, holder: Json) -> None:
        # Jinja2 expects one of its own errors here; all it does is raise it with the message.
        super().__init__(exc=ExpressionError)  # type: ignore[arg-type]
        self.label = label
        self.keys = tuple(keys)
        self.failed_at = failed_at
        self.holder = holder

    @property
    def _undefined_message(self) -> str:
        if not self.keys:
            return self.label
        whole = path_text(self.label, self.keys)
        place = path_text(self.label, self.keys[: self.failed_at])
        return f"{whole} is missing: {_reason(place, self)}"

    def further(self, keys: Sequence[Json]) -> Missing:
        """The same absence, looked into by more keys."""
        if not self.keys:
            return self
        return Missing(self.label, (*self.keys, *keys), self.failed_at, self.holder)

    def fail(self) -> NoReturn:
        raise ExpressionError(self._undefined_message)


def absent(reason: str) -> Missing:
    """A missing value that no path led to, such as the first element of an empty list."""
    return Missing(reason, (), 0, None)


def require(*values: Json) -> None:
    """Raises ExpressionError if any of the values is missing."""
    for value in values:
        if type(value) is Missing:
            value.fail()


def follow(label: str, value: Json, keys: Sequence[Json]) -> Json:
    """Look up `keys` one inside the other, beginning at `value`; Missing if one is not there."""
    for index, key in enumerate(keys):
        kind = type(value)
        if type(key) is str and (kind is dict or isinstance(value, Mapping)):
            try:
                value = value[key]
            except KeyError:
                return Missing(label, keys, index, value)
        elif type(key) is int and (kind is list or kind is str):
            try:
                value = value[key]
            except IndexError:
                return Missing(label, keys, index, value)
        else:
            require(key)
            if kind is Missing:
                return value.further(keys[index:])
            return Missing(label, keys, index, value)
    return value


def kind_of(value: Any) -> str:
    """The value's JSON type with its article, for messages; never the value itself."""
    return _KINDS.get(type(value), "a mapping" if isinstance(value, Mapping) else "no JSON value")


def path_text(label: str, keys: Sequence[Json]) -> str:
    return label + "".join(map(_step_text, keys))


def _step_text(key: Json) -> str:
    if isinstance(key, str) and len(key) <= _MAX_KEY_CHARACTERS_SHOWN:
        return f".{key}" if _NAME.fullmatch(key) else f"['{key}']"
    if isinstance(key, int) and key.bit_length() <= 64:
        return f"[{key}]"
    return "[...]"


def _reason(place: str, missing: Missing) -> str:
    key, holder = missing.keys[missing.failed_at], missing.holder
    if place == "messages":
        return f"nothing has arrived on port '{key}'"
    if place == "nodes":
        return f"node '{key}' has no result"
    shown = f"'{key}'" if isinstance(key, str) and len(key) <= _MAX_KEY_CHARACTERS_SHOWN else "it"
    if isinstance(holder, Mapping):
        if not isinstance(key, str):
            return f"{place} is a mapping, and its keys are strings"
        if place == "secrets":
            return f"there is no secret {shown}; the operator sets TIDESTEP_SECRET_{key}"
        if place == "env":
            return f"the operator has not listed {shown} in TIDESTEP_EXPOSE_ENV, or it is not set"
        return f"{place} has no {shown if shown != 'it' else 'such key'}{_keys_text(holder)}"
    if isinstance(holder, list | str) and type(key) is int:
        return f"{place} has {len(holder)} elements"
    return f"{place} is {kind_of(holder)}" + (f" and has no {shown}" if shown != "it" else "")


def _keys_text(mapping: Mapping[str, Json]) -> str:
    keys = [key for key in mapping if len(key) <= _MAX_KEY_CHARACTERS_SHOWN]
    if not keys:
        return ", it is empty" if not mapping else ""
    more = ", ..." if len(mapping) > _MAX_KEYS_SHOWN else ""
    return "; it has " + ", ".join(f"'{key}'" for key in keys[:_MAX_KEYS_SHOWN]) + more
