"""Collects the problems of one source, each with its line and place."""

from __future__ import annotations

from collections.abc import Collection

from engine.documents.problems import CLOSE, Guesses, Path, Problem, listed, shown
from engine.documents.source import Source

MAX_PROBLEMS = 1_000


class Report:
    """At most MAX_PROBLEMS: more help nobody, and a hostile document could ask for millions."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._found = list(source.problems)
        self._left_out = 0
        self._guesses = Guesses()

    @property
    def full(self) -> bool:
        """Whether further problems are only counted."""
        return len(self._found) >= MAX_PROBLEMS

    def add(self, path: Path, message: str, fix: str = "") -> None:
        if not self.full:
            self._found.append(self.source.problem(path, message, fix))
        else:
            self._left_out += 1

    def choice(self, name: str, names: Collection[str], what: str, none: str = "") -> str:
        """A fix for a name that is not among those there are; `what` says what they are."""
        if self.full:
            return ""
        if close := self.close(name, names):
            return f"did you mean {shown(close)}?"
        return f"{what}: {listed(names)}" if names else none

    def close(self, name: str, names: Collection[str], cutoff: float = CLOSE) -> str:
        """The name that was probably meant, or ""."""
        if self.full:
            return ""
        return self._guesses.close_to(name, names, cutoff)

    def problems(self) -> list[Problem]:
        """In the order of the file."""
        found = sorted(self._found, key=lambda problem: problem.line or 0)
        if self._left_out:
            more = f"{self._left_out} more problems are not shown"
            found.append(Problem(self.source.name, None, "", more))
        return found
