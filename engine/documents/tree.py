"""Builds a JSON value and remembers the line of every part, whichever syntax it is written in.

The syntaxes call `begin_list`, `begin_mapping`, `key`, `scalar` and `end` in document order. It is
here that a document's size in memory is bounded: depth, and what YAML's aliases multiply. Lists
with a limit of their own stop the reading where they pass it, so that a graph that is too large
costs no more than one that is not. Nothing recurses, and an alias shares the value that it names
instead of copying it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from engine.documents.problems import Path, shown
from engine.json_values import MAX_DEPTH

MAX_ALIASED_VALUES = 100_000
_CHARACTERS_PER_VALUE = 32
"""A longer text counts as several values, or a few aliases of one would fill the memory."""


class Branch(NamedTuple):
    """The lines of a list or mapping: its own, and those of its parts."""

    line: int
    parts: dict[str, Lines] | list[Lines]


Lines: TypeAlias = "int | Branch"


def line_of(lines: Lines, path: Path) -> int:
    """The line of the deepest part of `path` that exists."""
    for key in path:
        inner = _part(lines, key)
        if inner is None:
            break
        lines = inner
    return lines if isinstance(lines, int) else lines.line


def _part(lines: Lines, key: str | int) -> Lines | None:
    if isinstance(lines, int):
        return None
    parts = lines.parts
    if isinstance(parts, dict):
        return parts.get(str(key))
    return parts[key] if isinstance(key, int) and key < len(parts) else None


class Subtree(NamedTuple):
    """A finished value; `size` counts its values and `height` its levels, aliases expanded."""

    value: Any
    lines: Lines
    size: int
    height: int


@dataclass(slots=True)
class _Open:
    value: dict[str, Any] | list[Any]
    lines: Branch
    size: int = 1
    height: int = 1
    key: str | None = None
    """Of the member that comes next; None where it is to be dropped."""
    key_line: int = 0
    most: float = math.inf
    """How many members the list may have."""


Report = Callable[[int, Path, str, str], None]
"""Takes line, path, message and fix of a problem that reading can go on after."""


@dataclass(slots=True)
class TooMuch(Exception):
    """The document is refused for its shape; nothing more of it is read."""

    line: int
    path: Path
    message: str
    fix: str


@dataclass(slots=True)
class TreeBuilder:
    """`longest` are the limits of lists that are fields of the document, by the field's name."""

    report: Report
    longest: Mapping[str, int] = field(default_factory=dict)
    root: Subtree | None = None
    _open: list[_Open] = field(default_factory=list)
    _aliased: int = 0

    def begin_list(self, line: int) -> None:
        part = _Open([], Branch(line, []))
        if len(self._open) == 1 and self._open[0].key is not None:
            part.most = self.longest.get(self._open[0].key, math.inf)
        self._begin(part, line)

    def begin_mapping(self, line: int) -> None:
        self._begin(_Open({}, Branch(line, {})), line)

    def key(self, name: str | None, line: int) -> None:
        """The key of the next value; None, for a key that was refused, drops that value."""
        top = self._open[-1]
        top.size += len(name or "") // _CHARACTERS_PER_VALUE
        top.key, top.key_line = name, line
        if name is not None and name in top.value:
            assert isinstance(top.lines.parts, dict)
            first = top.lines.parts[name]
            first_line = first if isinstance(first, int) else first.line
            self.report(
                line,
                self.path(),
                f"the key {shown(name)} is given twice; the first is on line {first_line}",
                "keep one of the two",
            )
            top.key = None

    def scalar(self, value: Any, line: int) -> Subtree:
        size = 1 + len(value) // _CHARACTERS_PER_VALUE if isinstance(value, str) else 1
        return self._add(Subtree(value, line, size, 0))

    def alias(self, subtree: Subtree, line: int) -> None:
        """Raises TooMuch where aliases of aliases make a small text a huge value."""
        self._aliased += subtree.size
        if self._aliased > MAX_ALIASED_VALUES:
            raise TooMuch(
                line,
                self.path(),
                f"the aliases up to here repeat more than {MAX_ALIASED_VALUES:,} values",
                "write the parts out, or repeat less",
            )
        if len(self._open) + subtree.height > MAX_DEPTH:
            raise self._too_deep(line)
        self._add(subtree)

    def end(self) -> Subtree:
        done = self._open.pop()
        return self._add(Subtree(done.value, done.lines, done.size, done.height))

    @property
    def in_mapping(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].value, dict)

    def path(self) -> Path:
        """Where the builder stands."""
        path: list[str | int] = []
        for part in self._open:
            if isinstance(part.value, list):
                path.append(len(part.value))
            elif part.key is not None:
                path.append(part.key)
            else:
                break
        return tuple(path)

    def _begin(self, part: _Open, line: int) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise self._too_deep(line)
        self._open.append(part)

    def _add(self, subtree: Subtree) -> Subtree:
        if not self._open:
            self.root = subtree
            return subtree
        top = self._open[-1]
        top.size += subtree.size
        top.height = max(top.height, subtree.height + 1)
        if isinstance(top.value, list):
            assert isinstance(top.lines.parts, list)
            if len(top.value) >= top.most:
                raise self._too_long(top, subtree.lines)
            top.value.append(subtree.value)
            top.lines.parts.append(subtree.lines)
        elif top.key is not None:
            assert isinstance(top.lines.parts, dict)
            top.value[top.key] = subtree.value
            lines = subtree.lines
            # A member is looked for at its key, where people see it begin.
            own = top.key_line if isinstance(lines, int) else Branch(top.key_line, lines.parts)
            top.lines.parts[top.key] = own
            top.key = None
        return subtree

    def _too_long(self, part: _Open, lines: Lines) -> TooMuch:
        line = lines if isinstance(lines, int) else lines.line
        name = self._open[0].key or ""
        message = f"there are more than {part.most:,} {name}, which is the limit"
        return TooMuch(line, (name,), message, "split the workflow into several")

    def _too_deep(self, line: int) -> TooMuch:
        path = self.path()[:8]
        return TooMuch(line, path, f"nested deeper than {MAX_DEPTH} levels", "nest less")
