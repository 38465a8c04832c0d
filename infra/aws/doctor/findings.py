"""What a check has found, about which resource, and how it is mended."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from infra.aws.doctor.asking import Unseen

AS_THE_TEMPLATE = (
    "The template that comes with Tidestep has it right: deploy that, or undo what was changed by "
    "hand, which deploying the same template again does not."
)


class Level(StrEnum):
    """The worst first."""

    PROBLEM = "problem"
    """It breaks in production, or has."""
    WARNING = "warning"
    UNKNOWN = "unknown"
    """It could not be looked at."""
    OK = "ok"


class Resource(msgspec.Struct, frozen=True):
    """`logical` is its name in the template, `physical` its name in AWS, as CloudFormation has it:
    of a queue its URL, of a stack its ARN."""

    logical: str
    physical: str = ""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one check says of one resource."""

    check: str
    level: Level
    resource: Resource
    seen: str
    mend: str = ""
    """A sentence for a person; empty where all is well."""
    command: str = ""
    """For a shell, where one command does it or shows more."""


class About(msgspec.Struct, frozen=True):
    """Makes the findings of one check of one resource."""

    check: str
    resource: Resource

    def ok(self, seen: str) -> Finding:
        return self._finding(Level.OK, seen)

    def warning(self, seen: str, mend: str, command: str = "") -> Finding:
        return self._finding(Level.WARNING, seen, mend, command)

    def problem(self, seen: str, mend: str, command: str = "") -> Finding:
        return self._finding(Level.PROBLEM, seen, mend, command)

    def unseen(self, unseen: Unseen) -> Finding:
        """Of what could not be read: unknown, but for what is not there any more."""
        if unseen.gone:
            return self.problem(
                "it does not exist, though the stack has it: somebody has deleted it",
                "Deploy the stack again; what CloudFormation does not miss by itself has to be "
                "taken out of the stack and put in again.",
            )
        mend = f"Allow yourself the action {unseen.action}." if unseen.action else ""
        return self._finding(Level.UNKNOWN, unseen.reason, mend)

    def _finding(self, level: Level, seen: str, mend: str = "", command: str = "") -> Finding:
        return Finding(
            check=self.check,
            level=level,
            resource=self.resource,
            seen=seen,
            mend=mend,
            command=command,
        )


_ORDER = list(Level)


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first; those of one level as they came."""
    return sorted(findings, key=lambda each: _ORDER.index(each.level))


def many(number: int, one: str) -> str:
    """`1 message`, `2 messages`."""
    return f"{number} {one}" if number == 1 else f"{number} {one}s"


def span(seconds: float) -> str:
    """A length of time in words: `40 s`, `12 min`, `3 h 5 min`, `2 d 4 h`."""
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min"
    if whole < 172_800:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"
