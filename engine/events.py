"""What people watch: events derived from the change of a head, never stored for their own sake.

Pushed events are best effort; a run's history by number is the authority (DESIGN §5, §8).
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from functools import partial

import msgspec

from engine.definition import Definition
from engine.layout import RunKey
from engine.settle import Settled
from engine.snapshot import Entry, Failure, Head, Kind, Status, Token


class Type(StrEnum):
    STARTED = "Started"
    NODE_EXECUTING = "NodeExecuting"
    ACTOR_COMPLETED = "ActorCompleted"
    ACTOR_FAILED = "ActorFailed"
    RETRYING = "Retrying"
    SLEEPING = "Sleeping"
    WAITING = "Waiting"
    SIGNALLED = "Signalled"
    TIMED_OUT = "TimedOut"
    MESSAGE_SENT = "MessageSent"
    COMPLETED = "Completed"
    FAILED = "Failed"
    CANCELLING = "Cancelling"
    CANCELLED = "Cancelled"
    RETRIED = "Retried"
    FORKED = "Forked"


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """`at` and `due` are milliseconds since 1970, `took_ms` the attempt's or the run's duration."""

    type: Type
    tenant: str
    run: str
    workflow: str
    at: int
    number: int = 0
    """Of the result in the run's history, for events that come from one."""
    node: str = ""
    visit: int = 0
    attempt: int = 0
    port: str = ""
    to_node: str = ""
    to_port: str = ""
    took_ms: int = 0
    due: int = 0
    error: str = ""
    parent: str = ""
    """The run that this one was forked from."""


_SETTLED = {
    Kind.DONE: Type.ACTOR_COMPLETED,
    Kind.FAILED: Type.ACTOR_FAILED,
    Kind.RETRIED: Type.RETRYING,
    Kind.SLEPT: Type.SLEEPING,
    Kind.WAITED: Type.WAITING,
    Kind.SIGNALLED: Type.SIGNALLED,
    Kind.EXPIRED: Type.TIMED_OUT,
}
_ENDED = {
    Status.COMPLETED: Type.COMPLETED,
    Status.FAILED: Type.FAILED,
    Status.CANCELLED: Type.CANCELLED,
}


def executing(key: RunKey, definition: Definition, token: Token, now: int) -> Event:
    return _about(key, definition)(
        type=Type.NODE_EXECUTING,
        at=now,
        node=definition.nodes[token.node].id,
        visit=token.visit,
        attempt=token.attempt,
    )


def settled_events(
    key: RunKey, definition: Definition, settled: Settled, entry: Entry
) -> Iterator[Event]:
    """What one commit meant, in order."""
    head = settled.head
    node = definition.nodes[entry.node]
    event = partial(
        _about(key, definition), at=head.created_at + head.last_at, number=settled.number
    )
    yield event(
        type=_SETTLED[entry.kind],
        node=node.id,
        visit=entry.visit,
        attempt=entry.attempt,
        port=entry.port,
        took_ms=entry.took,
        due=head.created_at + head.last_at + entry.wait if entry.wait else 0,
        error=_text(entry.failure),
    )
    ports = node.successors if entry.kind in (Kind.DONE, Kind.FAILED) else {}
    for target, position in ports.get(entry.port, ()):
        receiver = definition.nodes[target]
        yield event(
            type=Type.MESSAGE_SENT,
            node=node.id,
            visit=entry.visit,
            port=entry.port,
            to_node=receiver.id,
            to_port=receiver.inports[position],
        )
    if head.status.terminal:
        yield ended_event(key, definition, head)


def ended_event(key: RunKey, definition: Definition, head: Head) -> Event:
    """What the end of a run, whose head is terminal, meant."""
    began = head.created_at if head.lineage is None else head.lineage.at
    return _about(key, definition)(
        type=_ENDED[head.status],
        at=head.ended_at,
        took_ms=head.ended_at - began,
        error=_text(head.failure),
    )


def _about(key: RunKey, definition: Definition) -> partial[Event]:
    return partial(Event, tenant=key.tenant, run=key.run, workflow=definition.name)


def _text(failure: Failure | None) -> str:
    return "" if failure is None else f"{failure.type}: {failure.message}"
