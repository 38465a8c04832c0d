"""Runs as people and programs look at them: a summary from the head, and the history by number.

Reading changes nothing and needs no actor. A summary costs one read (and the output's where that is
large); the history is read page by page.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec

from engine.definition import Definition
from engine.heads import read_head
from engine.layout import RunKey
from engine.loaded import Definitions
from engine.paging import read_pages
from engine.ports import Platform
from engine.snapshot import (
    Entry,
    Head,
    Kind,
    State,
    Status,
    Token,
    Value,
    back,
    settled_at,
)
from engine.values import Values


class PendingView(msgspec.Struct, frozen=True, omit_defaults=True):
    """A token that has not settled. `due` is ms since 1970; of a wait, when it times out, if ever.

    `signal` is the name of the signal that a wait is for.
    """

    node: str
    visit: int
    attempt: int
    state: str
    due: int = 0
    signal: str = ""


class ForkedFrom(msgspec.Struct, frozen=True):
    """Where a fork comes from: before which step of which run, and the first run of its line."""

    run: str
    step: int
    root: str


class RunView(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run as its head tells it. Times are ms since 1970.

    `created_at` is when it was started or, if it is a fork, forked; `ends_by` is when its deadline,
    or the grace of its cancel, ends it.
    """

    run: str
    tenant: str
    workflow: str
    status: Status
    created_at: int
    steps: int
    results: int
    definition: str
    epoch: int = 0
    ended_at: int = 0
    failures: int = 0
    output: Any = msgspec.UNSET
    error: dict[str, str] | None = None
    pending: tuple[PendingView, ...] = ()
    ends_by: int = 0
    forked_from: ForkedFrom | None = None


class ResultView(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of the history. `at` and `due` are ms since 1970, `took_ms` the attempt's.

    `port` is the outport that a message went out of, `signal` what a wait was for.
    """

    number: int
    node: str
    visit: int
    attempt: int
    outcome: str
    at: int
    took_ms: int
    port: str = ""
    due: int = 0
    error: dict[str, str] | None = None
    inputs: tuple[int, ...] = ()
    signal: str = ""

    @property
    def has_value(self) -> bool:
        """Whether it holds a value: a message, a signal's payload, or what a fork has changed."""
        return bool(self.port) or self.outcome in _WITH_VALUE


_WAITS = (Kind.WAITED, Kind.SIGNALLED, Kind.EXPIRED)
_PORTS = (Kind.DONE, Kind.FAILED)
_WITH_VALUE = frozenset({Kind.SIGNALLED.name.lower(), Kind.CHANGED.name.lower()})


class RunReader:
    """Reads runs of one platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._definitions = Definitions(platform.journal)

    async def head(self, key: RunKey) -> Head:
        """Raises RunNotFound, NewerFormat or Corrupt."""
        return await read_head(self._platform.journal, key)

    async def definition(self, key: RunKey, head: Head) -> Definition:
        return (await self._definitions.get(key.tenant, head.definition)).definition

    async def view(self, key: RunKey) -> RunView:
        """The run's status, and its output or error where it has ended."""
        head = await self.head(key)
        definition = await self.definition(key, head)
        view = run_view(key, head, definition)
        if head.status is Status.COMPLETED:
            output = await self._decode(key, head, head.output)
            view = msgspec.structs.replace(view, output=output)
        return view

    async def input(self, key: RunKey) -> Any:
        """What the run was started with."""
        head = await self.head(key)
        return await self._decode(key, head, head.input)

    async def history(self, key: RunKey) -> AsyncIterator[ResultView]:
        """Every result so far, in order."""
        head = await self.head(key)
        definition = await self.definition(key, head)
        async for page in read_pages(self._platform.journal, key, head):
            for view in result_views(head, definition, page.first, page.entries, page.last_at):
                yield view
        for view in result_views(head, definition, head.first, head.tail, head.last_at):
            yield view

    async def node_of(self, key: RunKey, number: int) -> str:
        """The node whose step has this number, which must exist."""
        head = await self.head(key)
        definition = await self.definition(key, head)
        values = Values(self._platform.journal, self._platform.blobs, key, head, definition)
        return definition.nodes[(await values.entries([number]))[number].node].id

    async def _decode(self, key: RunKey, head: Head, value: Value) -> Any:
        definition = await self.definition(key, head)
        values = Values(self._platform.journal, self._platform.blobs, key, head, definition)
        return (await values.decode({0: value}))[0]


def run_view(key: RunKey, head: Head, definition: Definition) -> RunView:
    error = None
    if head.failure is not None:
        error = {"type": head.failure.type, "message": head.failure.message}
        if head.failed_node >= 0:
            error["node"] = definition.nodes[head.failed_node].id
    lineage = head.lineage
    return RunView(
        run=key.run,
        tenant=key.tenant,
        workflow=head.workflow,
        status=head.status,
        created_at=head.created_at if lineage is None else lineage.at,
        steps=head.steps,
        results=head.next_number - 1,
        definition=head.definition.hex(),
        epoch=head.epoch,
        ended_at=head.ended_at,
        failures=head.failures,
        error=error,
        pending=tuple(_pending_view(head, definition, token) for token in head.frontier),
        ends_by=0 if head.limit is None else head.limit.due,
        forked_from=None
        if lineage is None
        else ForkedFrom(lineage.parent, lineage.step, lineage.root),
    )


def _pending_view(head: Head, definition: Definition, token: Token) -> PendingView:
    wait = head.wait(token.node, token.visit) if token.state is State.WAITING else None
    return PendingView(
        definition.nodes[token.node].id,
        token.visit,
        token.attempt,
        State(token.state).name.lower(),
        token.due,
        "" if wait is None else wait.name,
    )


def result_views(
    head: Head, definition: Definition, first: int, entries: tuple[Entry, ...], last_at: int
) -> Iterator[ResultView]:
    """Consecutive entries, the first numbered `first`, the last settled at `last_at`."""
    for number, (entry, at) in enumerate(
        zip(entries, settled_at(entries, last_at), strict=True), first
    ):
        failure = entry.failure
        yield ResultView(
            number=number,
            node=definition.nodes[entry.node].id,
            visit=entry.visit,
            attempt=entry.attempt,
            outcome=Kind(entry.kind).name.lower(),
            at=head.created_at + at,
            took_ms=entry.took,
            port=entry.port if entry.kind in _PORTS else "",
            due=head.created_at + at + entry.wait if entry.wait else 0,
            error={"type": failure.type, "message": failure.message} if failure else None,
            inputs=back(number, entry.inputs),
            signal=entry.port if entry.kind in _WAITS else "",
        )
