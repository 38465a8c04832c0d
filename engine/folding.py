"""Fold a run's history: from its recorded entries to where the run stood before one of them.

Folding is settling again: every entry holds the facts that settling it was given, so the pure
`settle` rebuilds what was pending, queued and counted (DESIGN §5). An entry of a later epoch tells
that an operator had opened the run again in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.definition import NO_RETRY, Definition, RetryPolicy
from engine.ending import reopened
from engine.errors import Corrupt
from engine.outcomes import (
    Changed,
    Done,
    Expired,
    Failed,
    Outcome,
    Settling,
    Signalled,
    Slept,
    Waited,
)
from engine.settle import Settled, settle
from engine.snapshot import Entry, Head, Kind

FOLDED = "fold"
"""The owner of what a fold makes ready."""
_UNBOUNDED = 1 << 30
"""The run went on, whatever limit it had; its frontier's bound is not the fold's to judge."""


def fold(first: Head, definition: Definition, entries: Iterable[Entry]) -> Iterator[Settled]:
    """The state after each entry; `first` is the head that the run was started with.

    Raises Corrupt for entries that do not follow from one another.
    """
    head, now = first, first.created_at
    for entry in entries:
        now += entry.after
        while head.epoch < entry.epoch:
            head = reopened(head, definition.deadline, FOLDED, now)
        token = head.find(entry.node, entry.visit, entry.attempt)
        if token is None:
            raise Corrupt(
                f"result {head.next_number} is of a token that was not pending: node {entry.node}, "
                f"visit {entry.visit}, attempt {entry.attempt}"
            )
        outcome, policy = _outcome(entry, now)
        settling = Settling(
            token,
            outcome,
            FOLDED,
            now,
            entry.took,
            entry.chance or 0.0,
            policy,
            entry.state,
        )
        settled = settle(head, definition, settling, _UNBOUNDED)
        head = settled.head
        yield settled


def _outcome(entry: Entry, now: int) -> tuple[Outcome, RetryPolicy]:
    """How the attempt ended, and a policy that decides what was decided then."""
    if entry.kind is Kind.DONE:
        return Done(entry.port, entry.value), NO_RETRY
    if entry.kind is Kind.SLEPT:
        return Slept(now + entry.wait), NO_RETRY
    if entry.kind is Kind.WAITED:
        return Waited(entry.port, now + entry.wait if entry.wait else 0), NO_RETRY
    if entry.kind is Kind.SIGNALLED:
        return Signalled(entry.value, ""), NO_RETRY
    if entry.kind is Kind.EXPIRED:
        return Expired(), NO_RETRY
    if entry.kind is Kind.CHANGED:
        return Changed(int(entry.port), entry.value), NO_RETRY
    if entry.failure is None:
        raise Corrupt("a failed attempt's entry does not say how it failed")
    if entry.kind is Kind.RETRIED:
        return Failed(entry.failure), _recorded(entry.wait)
    return Failed(entry.failure, permanent=True), NO_RETRY


def _recorded(wait_ms: int) -> RetryPolicy:
    """Tries again after exactly `wait_ms`."""
    seconds = wait_ms / 1000
    return RetryPolicy(
        max_attempts=_UNBOUNDED,
        interval=seconds,
        backoff="fixed",
        max_interval=seconds,
        jitter=False,
    )
