"""What the engine asks of the world outside: small protocols, each with its contract.

To the engine a step's end is one call, `Journal.commit`. A backend that has transactions makes it
one; `engine.ordered.OrderedJournal` makes it an ordered series of requests to a `Store` and a
`Queue`, in the only order in which a crash between two of them loses nothing (DESIGN §4 rule 5).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from engine.errors import Misconfigured
from engine.events import Event
from engine.layout import RUN_KIND, RunKey, WaitAddress
from engine.settle import FRONTIER_LIMIT
from engine.snapshot import Status

if TYPE_CHECKING:
    from engine.allocation.ports import Allocation


class RevisionConflict(Exception):
    """The head's stored revision is not the expected one. Not an error: the caller settles again.

    `current` is the head that won, or None where the head does not exist.
    """

    def __init__(self, current: bytes | None) -> None:
        super().__init__("the head has another revision")
        self.current = current


class ItemConflict(Exception):
    """Something else is stored under the item's name than was expected. Not an error either.

    `current` is what is stored, or None where nothing is.
    """

    def __init__(self, current: bytes | None) -> None:
        super().__init__("the item has another content")
        self.current = current


class HeadRecord(msgspec.Struct, frozen=True):
    """A head as a store sees it: bytes, and the few attributes that conditions and indexes read."""

    key: RunKey
    rev: int
    status: Status
    workflow: str
    created_at: int
    wake_at: int
    """Milliseconds since 1970; 0 keeps the run out of the `wake_at` index."""
    body: bytes


class Item(msgspec.Struct, frozen=True):
    """One immutable piece of a partition."""

    partition: str
    name: str
    body: bytes
    expires_at: int = 0
    """Milliseconds since 1970 from which on a store may delete it by itself; 0: never. Until it has
    been deleted it is read like any other: whoever must not see it looks at the time in its body.
    """


class Swap(msgspec.Struct, frozen=True):
    """One item that changes with a head, in any partition, or not at all.

    `body` replaces `expected`. A `body` of None deletes the item, an `expected` of None says that
    nothing may be stored. Where the two are the same, nothing is written, no `expires_at` either:
    then the commit only makes sure of what is stored.
    """

    partition: str
    name: str
    body: bytes | None
    expected: bytes | None
    expires_at: int = 0
    """As an item's."""

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        return self.body != self.expected


MAX_SWAPS = 90
"""In one commit: DynamoDB's transactions have at most 100 items, the head among them."""
MAX_ALSO = 20
"""Items that are written or deleted together with a swapped one."""


class Send(msgspec.Struct, frozen=True):
    """One message to put on the queue, no earlier than `delay_ms` from now.

    The delay is 0 to 900,000 ms; a queue that counts whole seconds rounds it up. `body` is the
    text of an `engine.messages.Message`, possibly of a newer format than ours.
    """

    body: str
    group: str
    delay_ms: int = 0


class Delivery(msgspec.Struct, frozen=True):
    """One receipt of one message. `receives` counts deliveries of it, this one included.

    `receipt` is what acknowledging needs; None where the caller acknowledges (a Lambda's batch).
    """

    body: str
    receipt: Any = None
    receives: int = 1


class Commit(msgspec.Struct, frozen=True):
    """The end of a step: what to write, what to send, what to acknowledge.

    The head replaces revision `expected` (None: no head may exist). `items` must be readable once
    the head is, `drops` (names in the run's partition) are no longer referred to by it. `swaps` are
    written in one transaction with the head: at most `MAX_SWAPS`, each of an item that nothing else
    in the commit names.
    """

    head: HeadRecord
    expected: int | None
    items: Sequence[Item] = ()
    sends: Sequence[Send] = ()
    drops: Sequence[str] = ()
    acknowledgement: Delivery | None = None
    swaps: Sequence[Swap] = ()


class RunRow(msgspec.Struct, frozen=True):
    """One line of a listing."""

    key: RunKey
    status: Status
    workflow: str
    created_at: int


class Reader(Protocol):
    """Reads that every backend answers."""

    async def head(self, key: RunKey) -> bytes | None:
        """The head, strongly consistent: the result of every commit that has returned."""
        ...

    async def items(self, partition: str, names: Collection[str]) -> Mapping[str, bytes]:
        """Those of the named items that exist, strongly consistent."""
        ...

    def scan(self, partition: str, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        """Items whose name begins with `prefix`, in the order of their names.

        Neither this nor `items` hides what has expired and is still there.
        """
        ...

    async def due(self, shard: int, now: int, limit: int) -> Sequence[RunKey]:
        """Runs of this shard whose `wake_at` has passed, earliest first; may be stale."""
        ...

    async def runs(
        self, tenant: str, *, limit: int, status: Status | None = None, kind: str = RUN_KIND
    ) -> Sequence[RunRow]:
        """The newest runs of this kind first; may be stale."""
        ...


class Journal(Reader, Protocol):
    """The engine's one way to change anything."""

    async def commit(self, commit: Commit) -> None:
        """Items, then the head with the swaps, then the sends, then the acknowledgement.

        When it returns, all of it has happened. When it raises RevisionConflict, the head, the
        swaps, the sends and the acknowledgement have not; nor when it raises ItemConflict, which
        says that the head was as expected and one of the swaps' items was not, and what is stored
        there. When it raises anything else, any prefix may have happened; the delivery comes again
        and repairs it (rule 6).
        """
        ...

    async def put(self, items: Sequence[Item]) -> None:
        """Write immutable items that no head refers to yet."""
        ...

    async def swap(
        self,
        item: Item,
        expected: bytes | None,
        also: Sequence[Item] = (),
        drops: Sequence[str] = (),
    ) -> None:
        """Write `item` where `expected` is stored (None: where nothing is), and `also` with it.

        One transaction: all of it is written, or nothing and ItemConflict is raised. `also` are
        items of the same partition, and `drops` the names of some that are deleted, `MAX_ALSO`
        together; all are different ones. A write that timed out and applied is reported as the
        conflict that its repetition meets: the caller knows its own bytes.
        """
        ...

    async def put_once(self, item: Item, also: Sequence[Item], sends: Sequence[Send]) -> None:
        """Write `item` and `also`, as `swap` does, where there is no item of this name; then send.

        Sent is in either case: whoever has written it before may have died then.
        """
        ...

    async def remove(self, partition: str, names: Sequence[str]) -> None:
        """Delete items; they are gone when this returns. Missing ones are no error."""
        ...

    async def expire(self, limit: int) -> int:
        """Delete up to `limit` items whose time has passed, and say how many.

        0 where the store does so by itself.
        """
        ...

    async def backlog(self) -> int:
        """About how many messages wait to be received now, delayed and taken ones not counted."""
        ...

    async def send(self, sends: Sequence[Send], acknowledgement: Delivery | None = None) -> None:
        """Send, then acknowledge: relays, deferrals, and deliveries with nothing left to do."""
        ...


class Store(Reader, Protocol):
    """Storage for `OrderedJournal`: each call is atomic for itself."""

    async def put_items(self, items: Sequence[Item]) -> None:
        """Write items; writing the same item again is harmless."""
        ...

    async def put_head(
        self, head: HeadRecord, expected: int | None, swaps: Sequence[Swap] = ()
    ) -> None:
        """Compare and swap, of the head and the swaps' items together.

        Raises RevisionConflict with the winner, or else ItemConflict with what is stored.
        """
        ...

    async def swap_item(
        self,
        item: Item,
        expected: bytes | None,
        also: Sequence[Item] = (),
        drops: Sequence[str] = (),
    ) -> None:
        """`Journal.swap`. Raises ItemConflict with what is stored."""
        ...

    async def delete_items(self, partition: str, names: Sequence[str]) -> None:
        """Delete what nothing refers to any more; missing items are no error."""
        ...

    async def expire(self, limit: int) -> int:
        """`Journal.expire`."""
        ...


class Queue(Protocol):
    """At-least-once delivery, in any order."""

    async def send(self, sends: Sequence[Send]) -> None:
        """All of them are on the queue when this returns; where it raises, any may be."""
        ...

    async def acknowledge(self, delivery: Delivery) -> None:
        """The message will, as a rule, not be delivered again."""
        ...

    async def backlog(self) -> int:
        """`Journal.backlog`."""
        ...


class Source(Protocol):
    """Where a long-running worker gets its deliveries."""

    async def receive(self, limit: int, wait_s: float) -> Sequence[Delivery]:
        """Up to `limit` deliveries, waiting for the first at most `wait_s` seconds."""
        ...

    async def release(self, delivery: Delivery, delay_s: int) -> None:
        """Give a delivery back unacknowledged: it comes again after about `delay_s` seconds."""
        ...


class Blobs(Protocol):
    """Values too large for the store. Written once under a name, never changed."""

    async def put(self, name: str, body: bytes) -> None: ...

    async def get(self, name: str) -> bytes | None: ...


class Clock(Protocol):
    def now(self) -> int:
        """Milliseconds since 1970."""
        ...


class Entropy(Protocol):
    def new_id(self) -> str:
        """A name that nobody else makes: eleven characters, letters, digits, '-' and '_'."""
        ...

    def chance(self) -> float:
        """A number in [0, 1)."""
        ...

    def new_key(self) -> bytes:
        """32 bytes that nobody can guess, for signing."""
        ...


class Events(Protocol):
    """Where derived events go; best effort, never awaited, never an authority (DESIGN §5)."""

    def publish(self, event: Event) -> None: ...


class Callbacks(Protocol):
    """The addresses at which waits can be answered."""

    async def urls(self) -> Callable[[WaitAddress], str]:
        """What signs an address. Raises Misconfigured where there is no public one."""
        ...


class Secrets(Protocol):
    def get(self, name: str) -> str | None:
        """The secret of this name, if the operator has set one."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use up. Sizes are bytes of JSON text, unless they say otherwise.

    Each is a whole number above 0; `infra.limits` reads them from the environment, and
    docs/limits.md says what happens beyond each.
    """

    input_bytes: int = 1 << 20
    output_bytes: int = 4 << 20
    """Of one actor's result, and of a run's output."""
    state_bytes: int = 256 << 10
    """Of one node's actor."""
    frontier: int = FRONTIER_LIMIT
    all_results: int = 1000
    """How many results `nodes.<id>.all` pages through."""
    signal_bytes: int = 256 << 10
    """Of one signal's payload."""
    signals: int = 1000
    """Signals that one run has not yet consumed: the size of its inbox."""
    deaths: int = 2
    """Processes that may die on one attempt before it fails with `StepCrashed`."""
    injections: int = 3
    """How often the consumer of dead letters sends one attempt's message again."""
    nodes: int = 20_000
    edges: int = 50_000
    definition_bytes: int = 300 << 10
    """Of a compiled workflow as it is stored, which is compressed."""
    backlog: int = 1_000
    """Messages waiting on the queue from which on a sweep leaves runs alone that could run."""
    steps_per_minute: int = 60_000
    """Of one run; a minute's worth may come at once."""
    owed: int = 64
    """Signals that a run may owe others before it rests until they are paid. Branches that end at
    the same moment may go beyond it."""
    sends: int = 16
    """Signals that one attempt may send."""


@dataclass(frozen=True, slots=True)
class Platform:
    """The ports of one process, put together by its composition root."""

    journal: Journal
    blobs: Blobs
    clock: Clock
    entropy: Entropy
    secrets: Secrets
    events: Events | None = None
    """Nobody listens where it is None, and nothing is derived."""
    exclusive: bool = False
    """Whether one process at a time receives messages: then nobody runs what another has claimed.
    """
    callbacks: Callbacks | None = None
    """Where waits can be answered over HTTP; None where nobody serves it."""
    allocation: Allocation | None = None
    """How runners are reached and started; None where this process steps no actors."""
    env: Mapping[str, str] = field(default_factory=dict)
    """The environment variables that the operator lists for expressions."""
    limits: Limits = field(default_factory=Limits)

    def allocation_to(self, purpose: str) -> Allocation:
        """Raises Misconfigured where there is none: the process cannot do `purpose`."""
        if self.allocation is None:
            raise Misconfigured(f"this process cannot {purpose}: it has no `allocation`")
        return self.allocation
