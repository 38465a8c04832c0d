"""One thing that is wrong with a document: where it is, what it is, what to do about it.

Messages are read by people who have not read this package. They name what was written, say what
is the matter with it in words of the document, and end in a fix wherever one is known. What was
written is shown clipped: a document is not trusted, and may hold megabytes in one string.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""Keys and indexes from the top of a document to a place in it."""

CLOSE = 0.6
"""How much alike two names are at least, for one to be taken for the other."""

_SHOWN_CHARACTERS = 60
_MAX_GUESSED_CHARACTERS = 100

_KINDS: dict[type, str] = {
    type(None): "empty (null)",
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a mapping",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """`line` counts from 1 and is None where the document is not a file. `place` is for people."""

    file: str
    line: int | None
    place: str
    message: str
    fix: str = ""

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        parts = [where, self.place, self.message] if self.place else [where, self.message]
        text = ": ".join(parts) + (f"; fix: {self.fix}" if self.fix else "")
        return " ".join(text.split())


def shown(value: Any) -> str:
    """A key, name or scalar as it was written, in quotes, clipped."""
    if isinstance(value, str):
        text = " ".join(value.split())
        return f"'{text[:_SHOWN_CHARACTERS]}...'" if len(text) > _SHOWN_CHARACTERS else f"'{text}'"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)[:_SHOWN_CHARACTERS]
    return kind_of(value)


def kind_of(value: Any) -> str:
    """The type of a JSON value, in words."""
    return _KINDS.get(type(value), "a value that JSON does not have")


def listed(names: Collection[str], limit: int = 12) -> str:
    """Names for a message: quoted, separated by commas, the surplus left out."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(shown(name) for name in islice(names, limit)) + more


def place_of(path: Path, document: Any) -> str:
    """A path as people read it: `node 'charge', config.amount`; "" for the document itself."""
    match path:
        case ("nodes", int(index), *rest):
            head = f"nodes[{index}]"
            node = _member(document, "nodes", index)
            if isinstance(node, dict) and isinstance(node.get("id"), str):
                head = f"node {shown(node['id'])}"
        case ("edges", int(index), *rest):
            head = f"edges[{index}]"
            edge = _member(document, "edges", index)
            ends = [edge.get("from"), edge.get("to")] if isinstance(edge, dict) else []
            if ends and all(isinstance(end, str) for end in ends):
                head = f"edge {shown(ends[0])} -> {shown(ends[1])}"
        case _:
            head, rest = "", list(path)
    return ", ".join(part for part in (head, path_text(rest)) if part)


def path_text(path: Iterable[str | int]) -> str:
    """`config.items[0].price`"""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        elif key.replace("-", "_").replace("$", "_").isidentifier():
            text += f".{key[:_SHOWN_CHARACTERS]}"
        else:
            text += f"[{shown(key)}]"
    return text.removeprefix(".")


class Guesses:
    """Answers to "did you mean?", within a budget: comparing is slow, documents can be large."""

    def __init__(self, comparisons: int = 20_000) -> None:
        self._left = comparisons

    def close_to(self, name: str, candidates: Collection[str], cutoff: float = CLOSE) -> str:
        """The candidate most like `name`, or "" if none is, or the budget is spent."""
        cost = len(candidates) * (1 + len(name) // 20)
        if cost > self._left or len(name) > _MAX_GUESSED_CHARACTERS:
            return ""
        self._left -= cost
        names = [each for each in candidates if len(each) <= _MAX_GUESSED_CHARACTERS]
        same = [each for each in names if each.lower() == name.lower()]
        close = same or difflib.get_close_matches(name, names, 1, cutoff)
        return close[0] if close else ""


def _member(document: Any, field: str, index: int) -> Any:
    members = document.get(field) if isinstance(document, dict) else None
    return members[index] if isinstance(members, list) and index < len(members) else None
