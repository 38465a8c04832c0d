"""Fork a run: a new run that goes on from before one of its steps, perhaps with another message.

The fork is a run of its own: its history up to the step, and whatever that refers to, is copied
into its partition, so that neither needs the other (DESIGN §5). The original is only read. What was
pending beside the chosen step is pending in the fork too; signals and debts are not copied.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from engine.definition import Definition
from engine.ending import limited, reopened
from engine.errors import (
    CallerError,
    Corrupt,
    InvalidInput,
    NotJson,
    RunExists,
    StepNotFound,
)
from engine.events import Event, Type
from engine.folding import fold
from engine.heads import named_head, read_head
from engine.json_values import decode_json, encode_json
from engine.layout import FORK_ITEM, RunKey, page_item, payload_item, run_key
from engine.loaded import Definitions, LoadedDefinition
from engine.outcomes import Changed, Settling
from engine.paging import read_pages
from engine.ports import Commit, Item, ItemConflict, Platform, RevisionConflict
from engine.records import at_once, head_record, token_sends
from engine.settle import settle
from engine.snapshot import (
    STARTED,
    Entry,
    Head,
    Lineage,
    Page,
    State,
    Token,
    Value,
    encode_page,
    status_of,
)
from engine.starting import Started, checked_input, first_head
from engine.timing import next_look, runnable, touched
from engine.values import store_value

COPY_BATCH = 50
UNCHANGED = msgspec.UNSET


class Forker:
    """Forks runs of one platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._definitions = Definitions(platform.journal)

    async def fork(
        self,
        key: RunKey,
        step: int | str,
        run: str | None = None,
        message: Any = UNCHANGED,
        input: Any = UNCHANGED,
    ) -> Started:
        """A new run that begins before `step`: a result's number, or a node's id for its latest.

        `message` is what the step gets instead of what it got: a value, or for a node with several
        inports a mapping from port to value. `input` replaces the run's input, for expressions
        that are still to be rendered. The same fork under the same id is the same run.

        Raises RunNotFound, StepNotFound, InvalidInput, InvalidName, or RunExists.
        """
        platform = self._platform
        head = await read_head(self._platform.journal, key)
        loaded = await self._definitions.get(key.tenant, head.definition)
        entries = [entry async for entry in self._entries(key, head)]
        number = _numbered(key, loaded, entries, step)
        fork = run_key(run if run is not None else f"r{platform.entropy.new_id()}", key.tenant)
        digest = _digest(key, number, message, input)
        existing = await platform.journal.head(fork)
        if existing is not None:  # its pages must not be written over
            return _again(fork, existing, digest)
        try:  # nor those of another fork that is being made under this id
            await platform.journal.swap(Item(fork.partition, FORK_ITEM, digest), None)
        except ItemConflict as conflict:
            if conflict.current != digest:
                raise _taken(fork) from None
        try:
            after, pages = await self._copied(
                key, fork, head, loaded, entries[:number], digest, message, input
            )
        except CallerError:
            await platform.journal.remove(fork.partition, [FORK_ITEM])
            raise
        now = platform.clock.now()
        root = head.lineage.root if head.lineage is not None else key.run
        after = _begun(after, loaded.definition, Lineage(root, key.run, number, now), now)
        return await self._create(fork, after, pages, digest, now)

    async def _copied(
        self,
        key: RunKey,
        fork: RunKey,
        head: Head,
        loaded: LoadedDefinition,
        entries: Sequence[Entry],
        digest: bytes,
        message: Any,
        input: Any,
    ) -> tuple[Head, list[Page]]:
        """Where the fork begins, before the last of `entries`: its head, and its pages."""
        copier = _Copier(self._platform, key, fork)
        kept = [await copier.entry(entry) for entry in entries[:-1]]
        await copier.flush()
        stored = await self._input(fork, copier, head, loaded.definition, input)
        first = first_head(loaded.definition, head.definition, digest, stored, head.created_at)
        first = replace(first, format=head.format)  # which the entries that are copied may need
        before, pages = _folded(first, loaded.definition, kept)
        now, chosen = self._platform.clock.now(), entries[-1]
        while before.epoch < chosen.epoch:  # an operator's retry led to the step
            before = reopened(before, loaded.definition.deadline, STARTED, now)
        if UNCHANGED not in (message, input) and not _token_of(before, chosen).inputs:
            raise InvalidInput("the step begins the run: its message is the run's input; give one")
        after, page = await self._changed(fork, before, loaded, chosen, message, now)
        return after, pages if page is None else [*pages, page]

    async def _create(
        self, key: RunKey, head: Head, pages: Sequence[Page], digest: bytes, now: int
    ) -> Started:
        platform = self._platform
        items = [Item(key.partition, page_item(p.first), encode_page(p)) for p in pages]
        sends = token_sends(key, head, at_once(runnable(head, now)), now, platform.entropy.new_id)
        try:
            await platform.journal.commit(Commit(head_record(key, head), None, items, sends))
        except RevisionConflict as conflict:
            return _again(key, conflict.current, digest)
        if platform.events is not None:
            parent = head.lineage.parent if head.lineage is not None else ""
            event = Event(Type.FORKED, key.tenant, key.run, head.workflow, now, parent=parent)
            platform.events.publish(event)
        return Started(key, True, head.status)

    async def _changed(
        self,
        key: RunKey,
        head: Head,
        loaded: LoadedDefinition,
        chosen: Entry,
        message: Any,
        now: int,
    ) -> tuple[Head, Page | None]:
        """The head with the chosen step ready to run, on other messages where they are given."""
        token = _token_of(head, chosen)
        if token.state is not State.WAITING:
            ready = replace(token, state=State.READY, due=0, failures=0)
            head = replace(head, frontier=_with(head.frontier, token, ready))
            token = ready
        page: Page | None = None
        for position, value in _messages(loaded.definition, token, message).items():
            if position is None:
                text = checked_input(loaded.definition, value, self._platform.limits.input_bytes)
            else:
                text = _json(value, "the step's message")
            name = payload_item("fork", self._platform.entropy.new_id())
            stored, item = await store_value(text, key.partition, name, self._platform.blobs)
            if item is not None:
                await self._platform.journal.put([item])
            if position is None:
                head = replace(head, input=stored)
                continue
            settling = Settling(token, Changed(position, stored), STARTED, now)
            settled = settle(head, loaded.definition, settling)
            head, page = settled.head, settled.page or page
            changed = head.find(token.node, token.visit, token.attempt + 1)
            assert changed is not None
            token = changed
        return head, page

    async def _input(
        self, fork: RunKey, copier: _Copier, head: Head, definition: Definition, input: Any
    ) -> Value:
        if input is UNCHANGED:
            value = await copier.value(head.input)
            await copier.flush()
            return value
        text = checked_input(definition, input, self._platform.limits.input_bytes)
        name = payload_item("fork", self._platform.entropy.new_id())
        value, item = await store_value(text, fork.partition, name, self._platform.blobs)
        if item is not None:
            await self._platform.journal.put([item])
        return value

    async def _entries(self, key: RunKey, head: Head) -> AsyncIterator[Entry]:
        async for page in read_pages(self._platform.journal, key, head):
            for entry in page.entries:
                yield entry
        for entry in head.tail:
            yield entry


class _Copier:
    """Copies what entries refer to from one run's partition to another's."""

    def __init__(self, platform: Platform, source: RunKey, target: RunKey) -> None:
        self._platform = platform
        self._source = source.partition
        self._target = target.partition
        self._names: list[str] = []

    async def entry(self, entry: Entry) -> Entry:
        value = await self.value(entry.value)
        state = None if entry.state is None else await self.value(entry.state)
        return replace(entry, value=value, state=state)

    async def value(self, value: Value) -> Value:
        if isinstance(value, bytes):
            return value
        if not value.blob:
            self._names.append(value.ref)
            if len(self._names) >= COPY_BATCH:
                await self.flush()
            return value
        body = await self._platform.blobs.get(value.ref)
        if body is None:
            raise Corrupt(f"the blob {value.ref!r}, which the history refers to, is missing")
        ref = f"{self._target}/{value.ref.removeprefix(f'{self._source}/')}"
        await self._platform.blobs.put(ref, body)
        return replace(value, ref=ref)

    async def flush(self) -> None:
        names, self._names = self._names, []
        found = await self._platform.journal.items(self._source, names) if names else {}
        missing = [name for name in names if name not in found]
        if missing:
            raise Corrupt(f"{missing[0]!r}, which the history refers to, is missing")
        if found:
            items = [Item(self._target, name, body) for name, body in found.items()]
            await self._platform.journal.put(items)


def _numbered(
    key: RunKey, loaded: LoadedDefinition, entries: Sequence[Entry], step: int | str
) -> int:
    if isinstance(step, int):
        if 1 <= step <= len(entries):
            return step
        steps = f"steps 1 to {len(entries)}" if entries else "not taken a step yet"
        raise StepNotFound(f"run '{key.run}' has {steps}, and no step {step}")
    node = loaded.numbers.get(step)
    if node is None:
        known = ", ".join(loaded.numbers)
        raise StepNotFound(f"run '{key.run}' has no node '{step}'; it has {known}")
    visits = {
        entry.visit: number  # the last to be named is the first of its visit
        for number, entry in reversed(list(enumerate(entries, 1)))
        if entry.node == node
    }
    if not visits:
        raise StepNotFound(f"node '{step}' of run '{key.run}' has not taken a step yet")
    return visits[max(visits)]


def _folded(
    first: Head, definition: Definition, entries: Sequence[Entry]
) -> tuple[Head, list[Page]]:
    head, pages = first, []
    for settled in fold(first, definition, entries):
        head = settled.head
        pages += [settled.page] if settled.page is not None else []
    return head, pages


def _token_of(head: Head, chosen: Entry) -> Token:
    token = head.find(chosen.node, chosen.visit, chosen.attempt)
    if token is None:
        raise Corrupt(f"step of node {chosen.node} was not pending where the fork begins")
    return token


def _messages(definition: Definition, token: Token, message: Any) -> Mapping[int | None, Any]:
    """The new messages by the position of their inport; None stands for the run's input."""
    if message is UNCHANGED:
        return {}
    if not token.inputs:
        return {None: message}
    ports = definition.nodes[token.node].inports
    if len(ports) == 1:
        return {0: message}
    if not isinstance(message, Mapping) or not set(message) <= set(ports):
        raise InvalidInput(
            f"node '{definition.nodes[token.node].id}' takes several messages: give a mapping "
            f"from any of {', '.join(ports)} to a value"
        )
    return {ports.index(port): value for port, value in message.items()}


def _again(key: RunKey, current: bytes | None, digest: bytes) -> Started:
    """The id is taken: by the same fork, or by another run. Raises RunExists."""
    existing = None if current is None else named_head(key, current)
    if existing is None or existing.start_digest != digest:
        raise _taken(key)
    return Started(key, False, existing.status)


def _taken(key: RunKey) -> RunExists:
    return RunExists(f"run '{key.run}' exists already, and is not this fork; choose another id")


def _begun(head: Head, definition: Definition, lineage: Lineage, now: int) -> Head:
    """The head of a run that begins here."""
    frontier = tuple(
        touched(replace(token, owner=STARTED, looks=0), now) for token in head.frontier
    )
    if any(token.state is State.STOPPED for token in frontier):  # it failed in a run that closed
        head = reopened(replace(head, frontier=frontier), definition.deadline, STARTED, now)
        frontier = head.frontier
    head = replace(
        head,
        rev=1,
        status=status_of(frontier),
        frontier=frontier,
        steps=0,
        ended_at=0,
        failure=None,
        failed_node=-1,
        consumed=(),
        lineage=lineage,
    )
    head = limited(head, definition.deadline, now)
    return replace(head, wake_at=next_look(head))


def _with(frontier: Sequence[Token], old: Token, new: Token) -> tuple[Token, ...]:
    return tuple(new if token is old else token for token in frontier)


def _json(value: Any, what: str) -> bytes:
    try:
        return encode_json(value, what)
    except NotJson as error:
        raise InvalidInput(str(error)) from error


def _digest(key: RunKey, number: int, message: Any, input: Any) -> bytes:
    changes = [
        None if value is UNCHANGED else [decode_json(_json(value, what))]
        for value, what in ((message, "the step's message"), (input, "the input"))
    ]
    text = msgspec.json.encode([key.tenant, key.run, number, changes], order="sorted")
    return hashlib.blake2b(text, digest_size=16).digest()
