"""Start a run, idempotently: the same id with the same content is the same run (rule 15).

The write comes before the send. A crash between them leaves a run whose `wake_at` is a minute
ahead, and a repeated start re-sends what starting owns.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import replace

from engine.dataflow import Board
from engine.definition import Definition, encode_definition
from engine.ending import limited
from engine.errors import (
    CallerError,
    FrontierFull,
    InvalidInput,
    NotJson,
    RunExists,
    TooLarge,
)
from engine.events import Event, Type
from engine.heads import named_head
from engine.json_values import encode_json
from engine.layout import DEFAULT_TENANT, FORK_ITEM, RUN_INPUT_ITEM, RunKey, run_key
from engine.loaded import Definitions
from engine.plan import owned_by
from engine.ports import Commit, Limits, Platform, RevisionConflict
from engine.records import definition_item, head_record, token_sends
from engine.snapshot import FORMAT, STARTED, Head, State, Status, Token, Value
from engine.timing import API_LOOK_MS, next_look, runnable
from engine.values import store_value


@dataclass(frozen=True, slots=True)
class Started:
    """`created` is False where a run with this id, definition and input was there already."""

    key: RunKey
    created: bool
    status: Status


class Starter:
    """Starts runs, and remembers which definitions it has stored already."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._stored: set[tuple[str, bytes]] = set()

    async def start(
        self,
        definition: Definition,
        input: Any,
        run: str | None = None,
        tenant: str = DEFAULT_TENANT,
    ) -> Started:
        """Start a run of `definition`; without `run`, under a fresh id.

        Raises InvalidInput, InvalidName, or RunExists where the id belongs to a run of another
        definition or input; TooLarge or FrontierFull for a definition beyond the limits.
        """
        platform = self._platform
        key = run_key(run if run is not None else f"r{platform.entropy.new_id()}", tenant)
        text = checked_input(definition, input, platform.limits.input_bytes)
        body, digest = encode_definition(definition)
        start_digest = _start_digest(tenant, digest, input)
        if run is not None:
            await self._must_not_be_forked(key)
        if (tenant, digest) not in self._stored:
            check_size(definition, len(body), platform.limits)
            await platform.journal.put([definition_item(tenant, digest, body)])
            self._stored.add((tenant, digest))
        name = f"{RUN_INPUT_ITEM}/{start_digest.hex()}"
        value, item = await store_value(text, key.partition, name, platform.blobs)
        now = platform.clock.now()
        head = first_head(definition, digest, start_digest, value, now)
        sends = token_sends(key, head, runnable(head, now), now, platform.entropy.new_id)
        commit = Commit(head_record(key, head), None, [item] if item else (), sends)
        try:
            await platform.journal.commit(commit)
        except RevisionConflict as conflict:
            return await self._again(key, definition, input, start_digest, conflict.current)
        if platform.events is not None:
            platform.events.publish(
                Event(Type.STARTED, key.tenant, key.run, definition.name, head.created_at)
            )
        return Started(key, True, head.status)

    async def _must_not_be_forked(self, key: RunKey) -> None:
        """A fork that is being made under this id writes its history before its head."""
        if await self._platform.journal.items(key.partition, [FORK_ITEM]):
            raise RunExists(f"run '{key.run}' is a fork of another run; choose another id")

    async def _again(
        self,
        key: RunKey,
        definition: Definition,
        input: Any,
        start_digest: bytes,
        current: bytes | None,
    ) -> Started:
        """The id is taken: by the same start, whose messages are sent again, or by another."""
        if current is None:
            raise CallerError(f"run '{key.run}' was deleted while it was being started; try again")
        head = named_head(key, current)
        if head.start_digest != start_digest and not await self._said_otherwise(
            key.tenant, definition, input, head
        ):
            raise RunExists(
                f"run '{key.run}' exists already, with another definition or input; "
                "choose another id, or leave the id out"
            )
        if not head.status.terminal:
            now = self._platform.clock.now()
            owned = owned_by(head, STARTED, now)
            sends = token_sends(key, head, owned, now, self._platform.entropy.new_id, again=True)
            await self._platform.journal.send(sends)
        return Started(key, False, head.status)

    async def _said_otherwise(
        self, tenant: str, definition: Definition, input: Any, head: Head
    ) -> bool:
        """Whether it is the same start, of a definition that another version has written down: a
        field that one of the two does not know gives it another digest. Raises NewerFormat.
        """
        if head.start_digest != _start_digest(tenant, head.definition, input):
            return False
        loaded = await Definitions(self._platform.journal).get(tenant, head.definition)
        stored = replace(loaded.definition, format=definition.format)
        return encode_definition(stored) == encode_definition(definition)


def first_head(
    definition: Definition, digest: bytes, start_digest: bytes, input: Value, now: int
) -> Head:
    """The head of a run that has just been started: pure."""
    head = Head(
        format=FORMAT,
        rev=1,
        epoch=0,
        status=Status.ACTIVE,
        workflow=definition.name,
        definition=digest,
        created_at=now,
        start_digest=start_digest,
        input=input,
    )

    def activate(node: int, visit: int, inputs: tuple[int, ...]) -> Token:
        return Token(node, visit, 1, State.READY, STARTED, now + API_LOOK_MS, inputs)

    board = Board(head, definition, activate)
    for node in definition.start:
        board.start(node)
    head = replace(head, frontier=tuple(board.frontier), visits=board.visits)
    head = limited(head, definition.deadline, now)
    return replace(head, wake_at=next_look(head))


def check_size(definition: Definition, stored: int, limits: Limits) -> None:
    """Whether there is room for a definition, `stored` bytes of it, and for its first head.

    Documents were checked before; by whom, and against which limits, is not known here. Raises
    TooLarge or FrontierFull.
    """
    edges = sum(len(to) for node in definition.nodes for to in node.successors.values())
    sizes = (
        (len(definition.nodes), limits.nodes, "nodes"),
        (edges, limits.edges, "edges"),
        (stored, limits.definition_bytes, "bytes, compressed"),
    )
    for size, limit, what in sizes:
        if size > limit:
            raise TooLarge(
                f"workflow '{definition.name}' has {size:,} {what}; the limit is {limit:,}: "
                "split it into several, and keep data out of it"
            )
    if len(definition.start) > limits.frontier:
        raise FrontierFull(
            f"workflow '{definition.name}' begins with {len(definition.start):,} nodes at once; "
            f"the limit is {limits.frontier:,}: begin with one that leads to them in turn"
        )


def checked_input(definition: Definition, input: Any, limit: int) -> bytes:
    """The input as JSON text. Raises InvalidInput, with every place where it is wrong."""
    try:
        text = encode_json(input, "the input")
    except NotJson as error:
        raise InvalidInput(str(error)) from error
    if len(text) > limit:
        raise InvalidInput(f"the input has {len(text):,} bytes of JSON; the limit is {limit:,}")
    if definition.input_schema is not None:
        from jsonschema import Draft202012Validator

        errors = sorted(
            Draft202012Validator(definition.input_schema).iter_errors(input),
            key=lambda error: error.json_path,
        )
        if errors:
            raise InvalidInput(
                "the input does not satisfy the workflow's input schema:\n"
                + "\n".join(f"  {error.json_path}: {error.message}" for error in errors)
            )
    return text


def _start_digest(tenant: str, definition: bytes, input: Any) -> bytes:
    """The same for inputs that differ in nothing but the order of their keys."""
    text = _sorted.encode(input)
    return hashlib.blake2b(b"\0".join((tenant.encode(), definition, text)), digest_size=16).digest()


_sorted = msgspec.json.Encoder(order="sorted")
