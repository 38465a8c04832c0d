"""What an operator does to runs: cancel them, retry them, and retry many of them at once.

Each is idempotent or says why it cannot be done, and changes nothing then. The save comes before
the sends, with looks a minute ahead, so that a death in between loses nothing (DESIGN §4 rule 9).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable

import msgspec
from msgspec.structs import replace

from engine.ending import cancel, close, reopened
from engine.errors import CallerError, NothingToRetry, PlatformError, RunEnded
from engine.events import Event, Type
from engine.heads import read_head
from engine.layout import DEFAULT_TENANT, RunKey
from engine.loaded import Definitions
from engine.ports import Commit, Platform, RevisionConflict, RunRow
from engine.records import at_once, head_record, token_sends
from engine.snapshot import Head, Status
from engine.timing import runnable

log = logging.getLogger("tidestep")

GRACE_S = 60.0
"""How long a graceful cancel waits for what may be running."""
LISTED = 100
"""Runs that a redrive asks for at first."""
RETRIED = "retry"
"""The owner of tokens that an operator's retry made ready."""


class Redriven(msgspec.Struct, frozen=True):
    """What a redrive found: run ids, and why the others were left alone, by run id."""

    retried: tuple[str, ...]
    refused: dict[str, str]


class Operator:
    """Operates the runs of one platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._definitions = Definitions(platform.journal)

    async def cancel(self, key: RunKey) -> Head:
        """End the run at once; what is running may go on, but is not recorded any more.

        Cancelling a cancelled run changes nothing. Raises RunNotFound, or RunEnded for a run that
        has ended otherwise.
        """
        return await self._save(key, lambda head, now: _unless_ended(key, head, cancel(head, now)))

    async def close(self, key: RunKey, grace_s: float = GRACE_S) -> Head:
        """Begin nothing new, record what is still running for `grace_s` seconds, then end the run.

        Raises as `cancel` does. Closing a run that is closing changes nothing.
        """

        def change(head: Head, now: int) -> Head:
            if head.status is Status.CLOSING:
                return head
            return _unless_ended(key, head, close(head, now, round(grace_s * 1000)))

        return await self._save(key, change)

    async def retry(self, key: RunKey) -> Head:
        """Go on with a failed or cancelled run from where it ended, in a new epoch.

        Raises RunNotFound, or NothingToRetry for a run that is going on, has completed, or has
        nothing left that could run.
        """
        head = await read_head(self._platform.journal, key)
        deadline = (await self._definitions.get(key.tenant, head.definition)).definition.deadline
        return await self._save(key, lambda head, now: _retried(key, head, deadline, now))

    async def redrive(
        self,
        status: Status = Status.FAILED,
        limit: int = 1000,
        workflow: str | None = None,
        error: str | None = None,
        tenant: str = DEFAULT_TENANT,
    ) -> Redriven:
        """Retry up to `limit` of the newest runs of this status.

        Of one `workflow` where it is given, and of those that failed with the error class `error`;
        others do not count.
        """
        retried: list[str] = []
        refused: dict[str, str] = {}
        async for row in self._rows(tenant, status):
            if len(retried) + len(refused) >= limit:
                break
            if workflow is not None and row.workflow != workflow:
                continue
            try:
                head = await read_head(self._platform.journal, row.key)
                if error is not None and _error_of(head) != error:
                    continue
                await self.retry(row.key)
            except (CallerError, PlatformError) as reason:  # it must not hide the others
                refused[row.key.run] = str(reason)
            else:
                retried.append(row.key.run)
        return Redriven(tuple(retried), refused)

    async def _rows(self, tenant: str, status: Status) -> AsyncIterator[RunRow]:
        """All runs of this status, the newest first."""
        seen: set[RunKey] = set()
        asked = LISTED
        while True:
            rows = await self._platform.journal.runs(tenant, limit=asked, status=status)
            for row in rows:
                if row.key not in seen:
                    seen.add(row.key)
                    yield row
            if len(rows) < asked:
                return
            asked *= 2

    async def _save(self, key: RunKey, change: Callable[[Head, int], Head]) -> Head:
        """Apply `change` to the head until it holds, and send what belongs on the queue then."""
        platform = self._platform
        while True:
            head, now = await read_head(self._platform.journal, key), platform.clock.now()
            after = change(head, now)
            if after is head:
                return head
            after = replace(after, rev=head.rev + 1)
            sends = token_sends(
                key, after, at_once(runnable(after, now)), now, platform.entropy.new_id
            )
            record = head_record(key, after)
            try:
                await platform.journal.commit(Commit(record, head.rev, (), sends))
            except RevisionConflict as conflict:
                if conflict.current != record.body:
                    continue
                await platform.journal.send(sends)  # our own save, which seemed to have failed
            self._publish(key, after, now)
            return after

    def _publish(self, key: RunKey, head: Head, now: int) -> None:
        if self._platform.events is not None:
            what = _EVENTS.get(head.status, Type.RETRIED)
            took = head.ended_at - head.created_at if head.ended_at else 0
            event = Event(what, key.tenant, key.run, head.workflow, now, took_ms=took)
            self._platform.events.publish(event)


_EVENTS = {Status.CANCELLED: Type.CANCELLED, Status.CLOSING: Type.CANCELLING}


def _unless_ended(key: RunKey, head: Head, after: Head) -> Head:
    if head.status is Status.CANCELLED:
        return head
    if head.status.terminal:
        raise RunEnded(f"run '{key.run}' has ended already ({head.status})")
    return after


def _retried(key: RunKey, head: Head, deadline_s: float | None, now: int) -> Head:
    if head.status is Status.CLOSING:
        raise NothingToRetry(
            f"run '{key.run}' is being cancelled: wait until it has ended, then retry it"
        )
    if not head.status.terminal:
        raise NothingToRetry(f"run '{key.run}' has not ended ({head.status}): it goes on by itself")
    if head.status is Status.COMPLETED:
        raise NothingToRetry(f"run '{key.run}' has completed; fork it to run a part of it again")
    if not head.frontier:
        end = "was cancelled" if head.failure is None else f"failed ({head.failure.type})"
        raise NothingToRetry(
            f"run '{key.run}' {end} when nothing of it was left to run: fork it from a step"
        )
    return reopened(head, deadline_s, RETRIED, now)


def _error_of(head: Head) -> str:
    return "" if head.failure is None else head.failure.type
