"""Who there is: actors by id and by key, runners by their key, pools by name; made and looked up.

What must stay true
- A key belongs to one actor at a time: it is reserved in the transaction that makes the actor, and
  freed by the actor's end (whoever finds a key whose actor has ended may take it over).
- What is made is whole, or not there at all; its first message follows the write (rule 15).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
from msgspec.structs import replace

from engine.allocation.actor_state import ActorState, Created, Destroyed
from engine.allocation.board import (
    CONFIG_ITEM,
    ENTRY_PREFIX,
    Entry,
    board_partition,
    encode_config,
    encode_ping,
    ping_item,
)
from engine.allocation.config import CrashPolicy, PoolConfig, checked_pool
from engine.allocation.head import FORMAT, ServiceHead, decode_service, service_record
from engine.allocation.keyvalue import INPUT_ITEM
from engine.allocation.mailing import Mailer
from engine.allocation.parties import Kind, party_key
from engine.allocation.pool_state import PoolState, Steady, Unmanaged
from engine.allocation.runner_state import Connected, Gone, RunnerState
from engine.allocation.settings import DEFAULTS, AllocationSettings
from engine.allocation.signals import Configure, StopRunner
from engine.errors import CallerError, InvalidInput
from engine.json_values import encode_json
from engine.layout import DEFAULT_TENANT, RunKey, run_key
from engine.ports import Commit, Item, ItemConflict, Journal, Platform, RevisionConflict, Swap
from engine.timing import API_LOOK_MS

KEY_BYTES = 256
"""A runner's head may hold as many keys as the runner has slots."""
INPUT_BYTES = 96 << 10
SLOTS = 1000
PING_LASTS_MS = 3_600_000
DEFAULT_POOL = "default"


class ActorNotFound(CallerError):
    """There is no actor of this id or key, or it has been destroyed."""

    exit_code = 4
    http_status = 404


class ActorExists(CallerError):
    """The key belongs to another actor."""

    exit_code = 5
    http_status = 409


class PoolNotFound(CallerError):
    """Nobody has configured or used a pool of this name."""

    exit_code = 4
    http_status = 404


class Made(msgspec.Struct, frozen=True):
    """`created` is False where the actor was there already."""

    key: RunKey
    created: bool


class Registered(msgspec.Struct, frozen=True):
    """A runner that has connected: its connection's epoch, the number of its last stored event, and
    whether it is new."""

    key: RunKey
    epoch: int
    events: int
    created: bool


class Connection(msgspec.Struct, frozen=True, array_like=True):
    """The runner's socket, as its partition names it: who reaches it, sends there."""

    id: str
    epoch: int


SOCKET_ITEM = "socket"
_encode = msgspec.msgpack.Encoder().encode
_decode_connection = msgspec.msgpack.Decoder(Connection).decode


class Directory:
    """Makes and finds the parties of one platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._journal = platform.journal
        self._mailer = Mailer(platform.journal, platform.clock, platform.entropy)
        self._known_pools: set[tuple[str, str]] = set()

    @property
    def settings(self) -> AllocationSettings:
        allocation = self._platform.allocation
        return DEFAULTS if allocation is None else allocation.settings

    # -- actors -----------------------------------------------------------------------------------

    async def create(
        self,
        name: str,
        key: Sequence[str] = (),
        *,
        pool: str = DEFAULT_POOL,
        input: Any = None,
        crash: CrashPolicy = CrashPolicy.SLEEP,
        tenant: str = DEFAULT_TENANT,
    ) -> Made:
        """Make an actor; with a `key`, the one actor of this name that has it.

        Raises ActorExists where the key is taken, InvalidName or InvalidInput.
        """
        made = await self.get_or_create(
            name, key, pool=pool, input=input, crash=crash, tenant=tenant
        )
        if not made.created:
            raise ActorExists(f"the key {list(key)} of '{name}' belongs to actor '{made.key.run}'")
        return made

    async def get_or_create(
        self,
        name: str,
        key: Sequence[str] = (),
        *,
        pool: str = DEFAULT_POOL,
        input: Any = None,
        crash: CrashPolicy = CrashPolicy.SLEEP,
        tenant: str = DEFAULT_TENANT,
    ) -> Made:
        """The actor that has this key, made where there is none; without a key, a new one.

        Raises InvalidName or InvalidInput.
        """
        run_key(name, tenant)
        reserved = reservation(tenant, name, key) if key else None
        taken: bytes | None = None
        if reserved is not None:
            taken, owner = await self._holder(reserved, tenant)
            if owner is not None:
                return Made(owner, False)
        await self._ensure_pool(tenant, pool)
        actor = party_key(Kind.ACTOR, f"a{self._platform.entropy.new_id()}", tenant)
        now = self._platform.clock.now()
        state = ActorState(name, tuple(key), pool, crash, now, Created(now))
        if input is not None:
            await self._journal.put([Item(actor.partition, INPUT_ITEM, _checked_input(input))])
        swaps: tuple[Swap, ...] = ()
        if reserved is not None:
            swaps = (Swap(*reserved, actor.run.encode(), taken),)
        try:
            await self._make(actor, state, swaps)
        except RevisionConflict:  # our own write, which seemed to have failed
            return Made(actor, True)
        except ItemConflict as conflict:
            if conflict.current == actor.run.encode():
                return Made(actor, True)
            await self._journal.remove(actor.partition, [INPUT_ITEM])
            return await self.get_or_create(
                name, key, pool=pool, input=input, crash=crash, tenant=tenant
            )
        return Made(actor, True)

    async def find(self, name: str, key: Sequence[str], tenant: str = DEFAULT_TENANT) -> RunKey:
        """The actor that has this key. Raises ActorNotFound or InvalidName."""
        _, owner = await self._holder(reservation(tenant, name, key), tenant)
        if owner is None:
            raise ActorNotFound(f"no actor '{name}' has the key {list(key)}")
        return owner

    async def actor(self, key: RunKey) -> ServiceHead:
        """Its head, also of one that was destroyed. Raises ActorNotFound."""
        head = await self.head(key)
        if head is None:
            raise ActorNotFound(f"there is no actor '{key.run}'")
        return head

    async def head(self, key: RunKey) -> ServiceHead | None:
        """Raises NewerFormat or Corrupt."""
        body = await self._journal.head(key)
        return None if body is None else decode_service(body)

    async def _holder(
        self, reserved: tuple[str, str], tenant: str
    ) -> tuple[bytes | None, RunKey | None]:
        """What is stored under the reservation, and the living actor that it names."""
        partition, name = reserved
        taken = (await self._journal.items(partition, [name])).get(name)
        if taken is None:
            return None, None
        actor = party_key(Kind.ACTOR, taken.decode(), tenant)
        head = await self.head(actor)
        if head is None or isinstance(head.state.phase, Destroyed):
            return taken, None
        return taken, actor

    # -- runners ----------------------------------------------------------------------------------

    async def register(
        self,
        pool: str,
        key: str,
        *,
        slots: int,
        session: str,
        version: int,
        connection: str,
        request: str,
        tenant: str,
    ) -> Registered:
        """The runner of this key and session with its connection: the one that is known and not
        gone, or a new one. One of another session is stopped: its process is dead, or to be.

        Raises InvalidName or InvalidInput.
        """
        run_key(pool, tenant)
        run_key(key, tenant)
        if not 1 <= slots <= SLOTS:
            raise InvalidInput(f"a runner has 1 to {SLOTS:,} slots, not {slots:,}")
        await self._ensure_pool(tenant, pool)
        partition, item = board_partition(tenant, pool), runner_key_item(key)
        while True:
            taken = (await self._journal.items(partition, [item])).get(item)
            if taken is not None:
                runner = party_key(Kind.RUNNER, taken.decode(), tenant)
                known = await self._reopened(runner, pool, session, connection)
                if known is not None:
                    return known
                await self._mailer.signal(runner, StopRunner(), f"replaced:{session}")
            now = self._platform.clock.now()
            state = RunnerState(
                pool,
                key,
                version,
                slots,
                now,
                Connected(now),
                connection,
                epoch=1,
                request=request,
                session=session,
            )
            with suppress(ItemConflict):  # another process of this key was faster: look at it
                return await self._make_runner(tenant, state, taken)

    async def _reopened(
        self, runner: RunKey, pool: str, session: str, connection: str
    ) -> Registered | None:
        """The runner on its new connection; None where it is gone, or another process's."""
        head = await self.head(runner)
        if head is None or not _lives(head, session):
            return None
        await self.ping(runner.tenant, pool, runner.run)  # it must not be lost meanwhile
        epoch = await self._open(runner, connection)
        assert isinstance(head.state, RunnerState)
        return Registered(runner, epoch, head.state.events, False)

    async def _make_runner(
        self, tenant: str, state: RunnerState, replaced: bytes | None
    ) -> Registered:
        """A new runner in its pool's index. Raises ItemConflict where `replaced` is not what its
        key stands for any more."""
        runner = party_key(Kind.RUNNER, f"n{self._platform.entropy.new_id()}", tenant)
        await self.ping(tenant, state.pool, runner.run)
        partition = board_partition(tenant, state.pool)
        entry = Entry(state.slots, 0, state.version, True, 1)
        socket = Connection(state.connection, state.epoch)
        swaps = (
            Swap(partition, runner_key_item(state.key), runner.run.encode(), replaced),
            Swap(partition, f"{ENTRY_PREFIX}{runner.run}", _encode(entry), None),
            Swap(runner.partition, SOCKET_ITEM, _encode(socket), None),
        )
        with suppress(RevisionConflict):  # our own write, which seemed to have failed
            await self._make(runner, state, swaps)
        return Registered(runner, state.epoch, 0, True)

    async def ping(self, tenant: str, pool: str, runner: str) -> None:
        """The runner has been heard of."""
        now = self._platform.clock.now()
        partition = board_partition(tenant, pool)
        item = Item(partition, ping_item(runner), encode_ping(now), now + PING_LASTS_MS)
        await self._journal.put([item])

    async def connection(self, runner: RunKey) -> Connection | None:
        """Where the runner was reached last."""
        found = await self._journal.items(runner.partition, [SOCKET_ITEM])
        return _decode_connection(found[SOCKET_ITEM]) if SOCKET_ITEM in found else None

    async def _open(self, runner: RunKey, connection: str) -> int:
        """The epoch of a new connection, which is higher than that of any before it."""
        while True:
            found = await self._journal.items(runner.partition, [SOCKET_ITEM])
            stored = found.get(SOCKET_ITEM)
            before = Connection("", 0) if stored is None else _decode_connection(stored)
            if before.id == connection:
                return before.epoch
            after = Connection(connection, before.epoch + 1)
            try:
                await self._journal.swap(
                    Item(runner.partition, SOCKET_ITEM, _encode(after)), stored
                )
            except ItemConflict:
                continue
            return after.epoch

    # -- pools ------------------------------------------------------------------------------------

    async def configure(
        self, pool: str, config: PoolConfig, tenant: str = DEFAULT_TENANT
    ) -> RunKey:
        """Make the pool, or change how it works. Raises InvalidPool or InvalidName."""
        key = party_key(Kind.POOL, pool, tenant)
        config = checked_pool(config, self.settings.drain_ms)
        head = await self.head(key)
        if head is None:
            try:
                await self._make_pool(key, config)
                return key
            except (RevisionConflict, ItemConflict):
                head = await self.head(key)
        if head is not None and isinstance(head.state, PoolState) and head.state.config == config:
            return key
        id = f"configure:{self._platform.entropy.new_id()}"
        await self._mailer.signal(key, Configure(config), id)
        return key

    async def _ensure_pool(self, tenant: str, pool: str) -> None:
        """There is a pool of this name, unmanaged unless somebody has configured it."""
        if (tenant, pool) in self._known_pools:
            return
        key = party_key(Kind.POOL, pool, tenant)
        if await self.head(key) is None:
            with suppress(RevisionConflict, ItemConflict):  # somebody else has just made it
                await self._make_pool(key, PoolConfig())
        self._known_pools.add((tenant, pool))

    async def _make_pool(self, key: RunKey, config: PoolConfig) -> None:
        now = self._platform.clock.now()
        phase = Steady(now) if config.serverless else Unmanaged()
        swap = Swap(board_partition(key.tenant, key.run), CONFIG_ITEM, encode_config(config), None)
        await self._make(key, PoolState(config, now, phase), (swap,))

    # -- all of them ------------------------------------------------------------------------------

    async def _make(
        self, key: RunKey, state: ActorState | RunnerState | PoolState, swaps: Sequence[Swap]
    ) -> None:
        """Raises RevisionConflict or ItemConflict, with nothing made."""
        now = self._platform.clock.now()
        head = ServiceHead(FORMAT, 1, state.created_at, state)
        sends = []
        if state.due:
            # no delivery stands behind this commit: a message that it does not send is found soon
            head = replace(head, timer=1, timer_look_at=max(state.due, now) + API_LOOK_MS)
            sends = [self._mailer.look(key, 1, max(0, state.due - now))]
        await self._journal.commit(
            Commit(service_record(key, head), None, sends=sends, swaps=swaps)
        )


def _lives(head: ServiceHead, session: str) -> bool:
    """Whether a runner is there that this session of it may go on as."""
    state = head.state
    assert isinstance(state, RunnerState)
    return not isinstance(state.phase, Gone) and state.session == session


async def forget_runner(journal: Journal, runner: RunKey, state: RunnerState) -> None:
    """Delete what leads to a runner that is gone; once more is harmless.

    Its key is left to expire, unless another session has taken it: deleted without a condition, it
    could be that of the session which is just taking it.
    """
    partition, body = board_partition(runner.tenant, state.pool), runner.run.encode()
    key = Item(partition, runner_key_item(state.key), body, state.gone_at + PING_LASTS_MS)
    with suppress(ItemConflict):
        await journal.swap(key, body)
    await journal.remove(partition, [ping_item(runner.run)])
    await journal.remove(runner.partition, [SOCKET_ITEM])


def runner_key_item(key: str) -> str:
    """What names the runner of this key, in the board's partition."""
    return f"runner-key/{key}"


def reservation(tenant: str, name: str, key: Sequence[str]) -> tuple[str, str]:
    """Partition and name of the item that reserves a key. Raises InvalidName or InvalidInput."""
    run_key(name, tenant)
    parts = list(key)
    text = msgspec.json.encode(parts)
    if not parts or not all(parts):
        raise InvalidInput("an actor's key is one or more texts, none of them empty")
    if len(text) > KEY_BYTES:
        raise InvalidInput(f"an actor's key has {len(text):,} bytes; at most {KEY_BYTES:,}")
    digest = hashlib.blake2b(text, digest_size=20).hexdigest()
    return f"{tenant}/actor-keys/{name}", digest


def _checked_input(input: Any) -> bytes:
    text = encode_json(input, "the actor's input")
    if len(text) > INPUT_BYTES:
        raise InvalidInput(
            f"the actor's input has {len(text):,} bytes of JSON; at most {INPUT_BYTES:,}"
        )
    return text
