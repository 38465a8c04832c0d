"""What expressions may name, and where the values come from when they are rendered.

Both sides are plain frozen values, so that a plan can ask an expression for its `Names`, load just
those, and hand over a `Scope`. This module knows nothing of Jinja2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

# A JSON value: None, bool, int, finite float, str, list of such, or dict from str to such.
Json: TypeAlias = Any

# What may follow `nodes.<id>`: the latest output, the latest result, every result.
NODE_VIEWS = ("output", "last", "all")

ALLOWED_NAMES = (
    "input, message, messages.<port>, nodes.<id>.output, nodes.<id>.last, nodes.<id>.all, "
    "env.<NAME>, secrets.<NAME>"
)


@dataclass(frozen=True, slots=True)
class Names:
    """What a value's expressions name, whether or not a rendering gets to read it.

    `nodes` are the ids whose latest result is needed (`.output`, `.last`); `all_of` the ids for
    which `.all` is named, and in `nodes` only if their latest result is named as well.
    """

    input: bool = False
    message: bool = False
    nodes: frozenset[str] = frozenset()
    all_of: frozenset[str] = frozenset()
    env: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()
    ports: frozenset[str] = frozenset()

    def __or__(self, other: Names) -> Names:
        return Names(*(getattr(self, f.name) | getattr(other, f.name) for f in fields(Names)))


@dataclass(frozen=True, slots=True)
class Scope:
    """The values that one rendering can see. Whatever a mapping here lacks is a missing path.

    `nodes` maps a node's id to a mapping with any of `output` (JSON), `last` (a dict of output,
    error, port, attempt, at) and `all` (a list of such dicts). Values are plain JSON and are
    handed on as they are, not copied: expressions cannot change them, and receivers must not.
    """

    input: Json = None
    message: Json = None
    messages: Mapping[str, Json] = field(default_factory=dict)
    nodes: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
