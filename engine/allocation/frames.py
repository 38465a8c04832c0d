"""What travels on a runner's WebSocket, in both directions: JSON text, one frame a message.

What must stay true
- Events are numbered from 1 per runner, commands too. The runner keeps what it has sent until
  `EventsStored` says so, and sends it again after a reconnect; the runner's run keeps commands and
  sends them again likewise. Both sides ignore what they have seen, by number.
- A frame is at most `FRAME_BYTES` long: API Gateway closes the connection at 128 KB. Bodies of
  requests and responses that are longer travel in several frames, the rest is bounded by limits.
- A newer peer may add fields and frames; unknown fields are ignored, unknown frames are refused by
  `decode` with `UnknownFrame`, and the receiver goes on.

Times are milliseconds since 1970 unless they say otherwise.
"""

from __future__ import annotations

from typing import Any

import msgspec

from engine.errors import CallerError

PROTOCOL = 1
FRAME_BYTES = 120 << 10
CHUNK_BYTES = 64 << 10
"""Of a body in one frame, before it is encoded as base64."""

Headers = list[tuple[str, str]]
"""In the order in which they came; names in lower case."""


class UnknownFrame(CallerError):
    """A frame that cannot be decoded: not JSON, of a newer protocol, or mutilated."""


class Frame(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """The base of all frames; the tag is the class's name."""


# -- what a runner reports ------------------------------------------------------------------------


class Running(msgspec.Struct, frozen=True, tag=True):
    """The actor has been taken over; requests may come."""


class Stopped(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """The actor is gone from this runner. `error` says why where it crashed, else it is empty."""

    error: str = ""


class Sleep(msgspec.Struct, frozen=True, tag=True):
    """The actor wants to sleep."""


class Stop(msgspec.Struct, frozen=True, tag=True):
    """The actor wants to end for good: its state is deleted."""


class Alarm(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """The actor is to be woken at `at`; 0 takes the alarm back."""

    at: int = 0


Report = Running | Stopped | Sleep | Stop | Alarm


class Event(msgspec.Struct, frozen=True):
    """One report, numbered within its runner."""

    index: int
    actor: str
    generation: int
    report: Report


# -- from the runner ------------------------------------------------------------------------------


class Hello(Frame, frozen=True):
    """The first frame of every connection. `key` is the runner's own name for itself, `session` one
    life of its process: who connects again with both, before it is lost, is the same runner; with
    another session, it takes the place of one that has died or is to be evicted."""

    pool: str
    key: str
    slots: int
    session: str = ""
    version: int = 0
    protocol: int = PROTOCOL
    connection: str = ""
    """The pool's held request that started this runner, where one did."""
    token: str = ""


class Events(Frame, frozen=True):
    """Reports in order. `commands` is the number of the last command that has come."""

    events: tuple[Event, ...]
    commands: int = 0


class Ping(Frame, frozen=True):
    """The runner lives. `silent_ms` is how long its last answered ping lies back."""

    silent_ms: int = 0


class Stopping(Frame, frozen=True):
    """The runner is going to end: give it no more actors, and take its actors away."""


class Load(Frame, frozen=True):
    """Asks for what a starting actor needs, answered by `Loaded`."""

    id: str
    actor: str
    generation: int


class Save(Frame, frozen=True):
    """Writes all of it or nothing, answered by `Saved`.

    `state` replaces the actor's state where it is set; `puts` are keys with JSON values. `sequence`
    rises within an actor's generation, from 1: one that comes again, or after a later one, changes
    nothing.
    """

    id: str
    actor: str
    generation: int
    state: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    puts: dict[str, msgspec.Raw] = {}
    deletes: tuple[str, ...] = ()
    sequence: int = 0


class Fetch(Frame, frozen=True):
    """Reads keys, answered by `Fetched`: those of `keys`, or up to `limit` that begin with
    `prefix` and come after `after`, in order."""

    id: str
    actor: str
    generation: int
    keys: tuple[str, ...] = ()
    prefix: str | None = None
    after: str = ""
    limit: int = 100


class ResponseStart(Frame, frozen=True):
    """The answer to a `RequestStart`; `more` says that chunks follow."""

    request: str
    status: int
    headers: Headers = []
    body: bytes = b""
    more: bool = False


class ResponseChunk(Frame, frozen=True):
    """`index` counts from 1."""

    request: str
    index: int
    body: bytes
    more: bool = False


class Refused(Frame, frozen=True):
    """The request was not handled, because of `code`: `not_here` and `stopping` are worth trying
    again once the actor runs elsewhere, `failed` is not."""

    request: str
    code: str
    message: str = ""


# -- to the runner --------------------------------------------------------------------------------


class StartActor(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """Take this actor over. `alarm_at` is the alarm that is set, 0 for none."""

    actor: str
    generation: int
    name: str
    key: tuple[str, ...] = ()
    created_at: int = 0
    alarm_at: int = 0


class StopActor(msgspec.Struct, frozen=True, tag=True):
    """Let its requests end, save, and report `Stopped`; `forever` where it will not wake again."""

    actor: str
    generation: int
    forever: bool = False


class Command(msgspec.Struct, frozen=True):
    """One order, numbered within its runner."""

    index: int
    order: StartActor | StopActor


class Welcome(Frame, frozen=True):
    """The answer to `Hello`. A runner that is given another id than before has been lost in
    between: it drops its actors, and begins again with event 1."""

    runner: str
    events: int
    """The number of the last event that is stored."""
    ping_ms: int
    lost_ms: int
    """A runner without a connection for so long stops its actors: they are given to others."""
    stop_ms: int
    """How long a stopping actor may take."""


class Commands(Frame, frozen=True):
    commands: tuple[Command, ...]


class EventsStored(Frame, frozen=True):
    """Events up to this number need not be sent again."""

    index: int


class Pong(Frame, frozen=True):
    """The answer to `Ping`."""


STOPPED_REASON = "the runner has been stopped"
"""Of an eviction that is no trouble: the runner was drained."""


class Evicted(Frame, frozen=True):
    """The connection is closed for good: do not connect again."""

    reason: str


class Loaded(Frame, frozen=True):
    """`state` is unset for an actor that has never saved one; `error` refuses."""

    id: str
    state: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    input: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: str = ""


class Saved(Frame, frozen=True):
    """`error` refuses, and nothing was written: the actor has been moved, or a bound is broken."""

    id: str
    error: str = ""


class Fetched(Frame, frozen=True):
    id: str
    entries: dict[str, msgspec.Raw] = {}
    """In order."""
    more: bool = False
    error: str = ""


class RequestStart(Frame, frozen=True):
    """An HTTP request to an actor; `more` says that chunks follow. `deadline` is when nobody waits
    for the answer any more."""

    request: str
    actor: str
    generation: int
    method: str
    path: str
    """With its query, below the actor's own address; begins with '/'."""
    headers: Headers = []
    body: bytes = b""
    more: bool = False
    deadline: int = 0


class RequestChunk(Frame, frozen=True):
    """`index` counts from 1."""

    request: str
    index: int
    body: bytes
    more: bool = False


class RequestAbort(Frame, frozen=True):
    """Nobody waits for the answer any more."""

    request: str


# -- WebSockets of users, both ways ---------------------------------------------------------------


class SocketOpen(Frame, frozen=True):
    """To the runner: somebody has opened a WebSocket to the actor."""

    socket: str
    actor: str
    generation: int
    path: str
    headers: Headers = []


class SocketOpened(Frame, frozen=True):
    """From the runner: the actor takes the WebSocket."""

    socket: str


class SocketMessage(Frame, frozen=True):
    """One message, `text` or `data`; `index` counts from 1 in each direction. 0 is of a server that
    does not know the order either: it is taken as it comes."""

    socket: str
    index: int
    text: str | None = None
    data: bytes | None = None


class SocketClose(Frame, frozen=True):
    """The WebSocket is closed, or to be closed. `code` is a WebSocket's."""

    socket: str
    code: int = 1000
    reason: str = ""


FromRunner = (
    Hello
    | Events
    | Ping
    | Stopping
    | Load
    | Save
    | Fetch
    | ResponseStart
    | ResponseChunk
    | Refused
    | SocketOpened
    | SocketMessage
    | SocketClose
)
ToRunner = (
    Welcome
    | Commands
    | EventsStored
    | Pong
    | Evicted
    | Loaded
    | Saved
    | Fetched
    | RequestStart
    | RequestChunk
    | RequestAbort
    | SocketOpen
    | SocketMessage
    | SocketClose
)

_encoder = msgspec.json.Encoder()
_from_runner: msgspec.json.Decoder[Any] = msgspec.json.Decoder(FromRunner)
_to_runner: msgspec.json.Decoder[Any] = msgspec.json.Decoder(ToRunner)


def encode(frame: Frame) -> str:
    return _encoder.encode(frame).decode()


def from_runner(text: str | bytes) -> FromRunner:
    """Raises UnknownFrame."""
    return _decode(_from_runner, text)  # type: ignore[no-any-return]


def to_runner(text: str | bytes) -> ToRunner:
    """Raises UnknownFrame."""
    return _decode(_to_runner, text)  # type: ignore[no-any-return]


def _decode(decoder: msgspec.json.Decoder[Any], text: str | bytes) -> Any:
    try:
        return decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise UnknownFrame(f"a frame cannot be read: {error}") from error
