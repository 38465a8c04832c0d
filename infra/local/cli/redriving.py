"""`tidestep redrive`: retry many runs at once, or say which ones that would be.

A dry run is the real one on a journal that does not write: it cannot come to another answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

from engine.operating import Operator
from engine.ports import Commit, Journal, Platform
from engine.snapshot import Status
from infra.local.cli.options import Place
from infra.local.cli.output import print_json, print_text, say
from infra.local.cli.places import visited
from infra.local.cli.wording import count

_ENDED = {Status.FAILED: "failed", Status.CANCELLED: "was cancelled"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs: the newest `limit` of this status, narrowed by the others."""

    status: Status
    workflow: str | None
    error: str | None
    limit: int


class _Unwritten:
    """A journal to read from, whose commits leave everything as it is; nothing else is written."""

    _READS = frozenset({"head", "items", "scan", "runs"})

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def commit(self, commit: Commit) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name in self._READS:
            return getattr(self._journal, name)
        raise AttributeError(f"a dry run does not {name}")


async def redrive(wanted: Wanted, place: Place, *, dry_run: bool, as_json: bool) -> None:
    async with visited(place) as platform:
        operator = Operator(_unwritten(platform) if dry_run else platform)
        found = await operator.redrive(wanted.status, wanted.limit, wanted.workflow, wanted.error)
    if as_json:
        what = "would_retry" if dry_run else "retried"
        print_json({what: list(found.retried), "refused": found.refused})
        return
    runs = count(len(found.retried), "run")
    print_text(f"{runs} would be retried" if dry_run else f"{runs} retried")
    for run in found.retried:
        say(f"  {run}")
    for run, reason in found.refused.items():
        say(f"left alone: {run}: {reason}")
    if not found.retried and not found.refused:
        say(f"no such run in {place} {_ENDED[wanted.status]}")
    elif found.retried and not dry_run:
        say("a worker goes on with them")


def _unwritten(platform: Platform) -> Platform:
    return replace(platform, journal=cast(Journal, _Unwritten(platform.journal)), events=None)
