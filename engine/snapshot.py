"""A run's whole state: the head, its tail of newest results, and the pages older ones move to.

What must stay true
- The head's size follows what is *pending*, never what has happened. Results beyond `PAGE_ENTRIES`
  move to an immutable page, written before the commit that drops them from the tail.
- Results are numbered from 1 without gaps (0 stands for the run's input), so a reference to a value
  is one integer, and the page that holds result n follows from n alone.
- Fields are only ever added at the end, with defaults: older bytes decode in newer code. A change
  that newer bytes could not survive in older code raises `FORMAT`, of heads and pages together, as
  `engine.formats` says (DESIGN §4 rule 20). A head keeps the format that it was read in.
- Times are milliseconds. What an entry says of times and of other results is a distance: from the
  entry before it, or back from its own number. Distances stay as short on the wire at the ten
  thousandth step as at the tenth; absolute numbers do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum, StrEnum

import msgspec

from engine.formats import OtherFormats, read, reread

FORMAT = 1
OTHER_FORMATS: OtherFormats = {}
"""Of heads."""
OTHER_PAGE_FORMATS: OtherFormats = {}
PAGE_ENTRIES = 6
RUN_INPUT = 0
"""The reference that stands for the run's input."""
ABSENT = -1
"""The reference that stands for no message: an optional port that stayed empty."""
RUN_LEVEL = -1
"""The node of the token that stands for the run as a whole."""
STARTED = "start"
"""The owner of tokens that starting the run made ready."""


class Status(StrEnum):
    """See DESIGN §5. `error` waits for a retry; `paused` waits for time or a signal."""

    ACTIVE = "active"
    PAUSED = "paused"
    ERROR = "error"
    CLOSING = "closing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        return self in _TERMINAL


_TERMINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})


class State(IntEnum):
    """What a pending token waits for."""

    READY = 0
    RETRYING = 1
    SLEEPING = 2
    WAITING = 3
    STOPPED = 4
    """Its last attempt failed the run; an operator's retry starts from it."""


class Kind(IntEnum):
    """How an attempt ended."""

    DONE = 0
    FAILED = 1
    """For good: out of the error port, continued past, or the end of the run."""
    RETRIED = 2
    SLEPT = 3
    WAITED = 4
    """It waits for a signal."""
    SIGNALLED = 5
    """The wait is over: the entry's value is the signal's payload."""
    EXPIRED = 6
    """The wait is over: no signal came in time."""
    CHANGED = 7
    """A fork gave the token another message on one port; the entry's value is that message."""


class Resumed(IntEnum):
    """What an attempt that is not the first of its visit goes on from; a retry of an attempt that a
    sleep or a signal had resumed still goes on from those."""

    NOT = 0
    RETRY = 1
    SLEPT = 2
    SIGNAL = 3
    TIMEOUT = 4


class Payload(msgspec.Struct, frozen=True, array_like=True):
    """The envelope of a value that does not lie bare in the head.

    `ref` names an item of the run's partition, or a blob where `blob` is set. `size` is the length
    of the JSON text in bytes. `codec` is "" for plain JSON or "z" for zlib; `key` names an
    encryption key, and nothing sets it yet.
    """

    ref: str = ""
    size: int = 0
    digest: bytes = b""
    codec: str = ""
    blob: bool = False
    key: str = ""


Value = bytes | Payload
"""JSON text as it is, or the envelope that says where it lies."""


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """An error as it is recorded: the class's name and what it said."""

    type: str
    message: str


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """How one token settled. Its number is its place: the page's or the tail's first plus index.

    It holds what a fork needs to fold it again with `settle`: the token, its owner, the inputs it
    consumed, what came out, and the clock and chance that settling it was given.
    """

    node: int
    visit: int
    attempt: int
    epoch: int
    kind: Kind
    port: str
    """The port that the message went out of; of a wait's entries, the name that it waits for; of
    CHANGED, the position of the inport."""
    owner: str
    inputs: tuple[int, ...]
    """For each connected inport, how many results back its message lies; or RUN_INPUT, ABSENT."""
    after: int
    """Milliseconds since the entry before it settled; for the first, since the run's creation."""
    took: int
    """Milliseconds that the attempt ran."""
    value: Value = b""
    failure: Failure | None = None
    previous: int = 0
    """How many results back the same node's one before lies, for nodes that something names; 0 for
    none."""
    wait: int = 0
    """For RETRIED, SLEPT and WAITED: milliseconds from this settle until the next attempt is due;
    0 for a wait without a time-out."""
    chance: float | None = None
    """The random number that drew the retry's jitter."""
    state: Value | None = None
    """The actor's state from here on, where this attempt changed it."""


class Token(msgspec.Struct, frozen=True, array_like=True):
    """One pending activation of one node; its epoch is the head's."""

    node: int
    visit: int
    attempt: int
    state: State
    owner: str
    """The sid whose processing made it ready: who re-sends it (DESIGN §4 rule 6)."""
    look_at: int
    """When a sweep looks after it (ms since 1970); fixed when it became ready (rule 9). 0 for a
    wait that only a signal ends: there is nothing to look after."""
    inputs: tuple[int, ...] = ()
    """A reference for each connected inport. Empty: the run's start, whose message is its input."""
    due: int = 0
    """Not before (ms since 1970); 0 for at once."""
    failures: int = 0
    looks: int = 0
    """How often a sweep has re-sent it; each doubles the wait before the next."""
    resumed: Resumed = Resumed.NOT


class Lineage(msgspec.Struct, frozen=True, array_like=True):
    """Where a fork comes from: the first of its line, the run and the step that it was forked at.

    The run's own times go on from its parent's; `at` is when it was forked (ms since 1970).
    """

    root: str
    parent: str
    step: int
    at: int


class Owed(msgspec.Struct, frozen=True, array_like=True):
    """A signal that this run must still send to another (DESIGN §4 rule 7).

    `id` is `<number of the result that it comes from>.<place>`, `sequence` rises with both.
    """

    id: str
    receiver: str
    sequence: int
    name: str
    value: Value


class Wait(msgspec.Struct, frozen=True, array_like=True):
    """A visit that waits for a signal, or has waited (DESIGN §4 rule 14); gone once it settles."""

    node: int
    visit: int
    name: str
    ordinal: int
    """1 for the visit's first wait, 2 for its second."""
    signal: int = 0
    """The number of the result that holds the signal's payload; 0 while none has come."""


class Head(msgspec.Struct, frozen=True, array_like=True):
    """Everything the next step needs, in one item of about a kilobyte."""

    format: int
    rev: int
    epoch: int
    status: Status
    workflow: str
    definition: bytes
    created_at: int
    start_digest: bytes
    """Over definition, input and tenant: what a repeated start must agree with (rule 15)."""
    input: Value
    first: int = 1
    """The number of the first entry in `tail`."""
    tail: tuple[Entry, ...] = ()
    last_at: int = 0
    """When the newest entry settled, in milliseconds since the run's creation."""
    frontier: tuple[Token, ...] = ()
    ports: dict[int, tuple[tuple[int, ...], ...]] = {}
    """Node -> messages queued on each of its connected inports, oldest first, as references."""
    visits: tuple[int, ...] = ()
    """Activations so far of each node that can be activated more than once, by `Node.slot`."""
    latest: dict[int, int] = {}
    """Named node -> the number of its latest result."""
    states: dict[int, Value] = {}
    """Node -> its actor's state, which this head's save makes visible."""
    steps: int = 0
    """Settled attempts in this epoch, against the definition's `max_steps`."""
    failures: int = 0
    """Failed attempts in the run's whole life."""
    ended_at: int = 0
    output: Value = b""
    failure: Failure | None = None
    failed_node: int = -1
    held: bool = False
    wake_at: int = 0
    """When somebody must look at this run again (ms since 1970); 0 for never (rule 9)."""
    lineage: Lineage | None = None
    waits: tuple[Wait, ...] = ()
    owed: tuple[Owed, ...] = ()
    owed_look_at: int = 0
    """When a sweep pays what is still owed (ms since 1970)."""
    consumed: tuple[str, ...] = ()
    """Names of inbox items that were consumed and whose removal is not yet confirmed."""
    limit: Token | None = None
    """What ends the run when it is due: its deadline, or the grace of a graceful cancel. Its
    node is `RUN_LEVEL`."""

    @property
    def next_number(self) -> int:
        return self.first + len(self.tail)

    def find(self, node: int, visit: int, attempt: int) -> Token | None:
        """The pending token of this name, if it is still pending."""
        for token in self.frontier:
            if token.node == node and token.visit == visit and token.attempt == attempt:
                return token
        return None

    def wait(self, node: int, visit: int) -> Wait | None:
        """The wait of this visit, if it waits or has waited."""
        for wait in self.waits:
            if wait.node == node and wait.visit == visit:
                return wait
        return None

    def entry(self, number: int) -> Entry | None:
        """Result `number` where the tail still has it."""
        index = number - self.first
        return self.tail[index] if 0 <= index < len(self.tail) else None


class Page(msgspec.Struct, frozen=True, array_like=True):
    """`PAGE_ENTRIES` consecutive entries, the first of them numbered `first`."""

    format: int
    first: int
    entries: tuple[Entry, ...]
    last_at: int
    """When the last of them settled, in milliseconds since the run's creation."""


def status_of(frontier: Sequence[Token]) -> Status:
    """Active if any token can run, else error if any retries, else paused if any waits."""
    status = Status.PAUSED
    for token in frontier:
        if token.state is State.READY:
            return Status.ACTIVE
        if token.state is State.RETRYING:
            status = Status.ERROR
    return status if frontier else Status.ACTIVE


def settled_at(entries: tuple[Entry, ...], last_at: int) -> list[int]:
    """When each of these consecutive entries settled, where the last of them did at `last_at`."""
    at = last_at
    times = []
    for entry in reversed(entries):
        times.append(at)
        at -= entry.after
    return times[::-1]


def back(number: int, distances: tuple[int, ...]) -> tuple[int, ...]:
    """References as distances from `number`, or such distances as references again."""
    return tuple([number - each if each > 0 else each for each in distances])


_encode = msgspec.msgpack.Encoder().encode
_decode_head = msgspec.msgpack.Decoder(Head).decode
_decode_page = msgspec.msgpack.Decoder(Page).decode


def encode_head(head: Head) -> bytes:
    return _encode(head)


def encode_page(page: Page) -> bytes:
    return _encode(page)


def decode_head(body: bytes) -> Head:
    """Raises NewerFormat or Corrupt."""
    try:  # as `read` does, without the call: each step comes here
        head = _decode_head(body)
        if head.format == FORMAT:
            return head
    except ValueError:
        pass  # of another format, or damaged
    return reread("head", body, _decode_head, FORMAT, OTHER_FORMATS)


def decode_page(body: bytes) -> Page:
    """Raises NewerFormat or Corrupt."""
    return read("page", body, _decode_page, FORMAT, OTHER_PAGE_FORMATS)


def page_first(number: int) -> int:
    """The number that begins the page which holds result `number`."""
    return number - (number - 1) % PAGE_ENTRIES
