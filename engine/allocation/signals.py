"""What the three parties tell each other: durable, addressed to one run, each consumed by one step.

What must stay true
- Whatever an actor is told about a runner carries the generation that it is about: what is about
  another one is stale, whoever says it and however late (the fence).
- Every signal may come twice, and late. None says what the state *is*; each says what happened.
- A `Bump` says nothing at all: the pool looks for itself.
"""

from __future__ import annotations

import msgspec

from engine.allocation.config import PoolConfig
from engine.allocation.frames import Report
from engine.formats import OtherFormats, read


class _Signal(msgspec.Struct, frozen=True, array_like=True, tag=True):
    pass


class Timer(_Signal, frozen=True):
    """What the state waits for is due. Never stored: the step makes it."""


# -- to an actor ----------------------------------------------------------------------------------


class Wake(_Signal, frozen=True):
    """Somebody wants the actor to run. `pend` also where no runner is there that could take it."""

    pend: bool = True


class Allocate(_Signal, frozen=True):
    """A slot has come free, and is this actor's."""

    runner: str
    generation: int


class Reported(_Signal, frozen=True):
    """What the actor's runner says of it."""

    runner: str
    generation: int
    report: Report


class GoingAway(_Signal, frozen=True):
    """The runner is about to end: move."""

    runner: str
    generation: int


class Lost(_Signal, frozen=True):
    """The runner is gone, or has never taken the actor. `error` is empty where nobody is to blame
    (a drain)."""

    runner: str
    generation: int
    error: str = ""


class Sleep(_Signal, frozen=True):
    """An operator sends the actor to sleep."""


class Destroy(_Signal, frozen=True):
    """End the actor for good, and delete its state."""


ActorSignal = Timer | Wake | Allocate | Reported | GoingAway | Lost | Sleep | Destroy


# -- to a runner ----------------------------------------------------------------------------------


class Connected(_Signal, frozen=True):
    """The runner has opened a connection, which takes the place of any of a lower epoch."""

    connection: str
    epoch: int


class Disconnected(_Signal, frozen=True):
    """This connection is closed."""

    connection: str


class CheckQueue(_Signal, frozen=True):
    """Actors wait, and the runner may have free slots."""


class StopRunner(_Signal, frozen=True):
    """Take no more actors, give up those that are there, and end."""


class Start(_Signal, frozen=True):
    """Have the runner take this actor over."""

    actor: str
    generation: int
    name: str
    key: tuple[str, ...]
    created_at: int
    alarm_at: int


class Stop(_Signal, frozen=True):
    """Have the runner let this actor go."""

    actor: str
    generation: int
    forever: bool


class Happened(_Signal, frozen=True):
    """An event from the runner's connection, by its number; with it, which commands have come."""

    index: int
    actor: str
    generation: int
    report: Report
    commands: int = 0


RunnerSignal = Timer | Connected | Disconnected | CheckQueue | StopRunner | Start | Stop | Happened


# -- to a pool ------------------------------------------------------------------------------------


class Bump(_Signal, frozen=True):
    """Something has changed: look how many runners are wanted."""


class Configure(_Signal, frozen=True):
    config: PoolConfig


class RequestBegan(_Signal, frozen=True):
    """A held request has brought forth this runner."""

    request: str
    runner: str


class RequestEnded(_Signal, frozen=True):
    """A held request is over. `error` says what was wrong with it, empty where it just ended."""

    request: str
    error: str = ""


PoolSignal = Timer | Bump | Configure | RequestBegan | RequestEnded

Signal = ActorSignal | RunnerSignal | PoolSignal

FORMAT = 1
OTHER_FORMATS: OtherFormats = {}


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """A signal as it lies in an inbox."""

    format: int
    id: str
    at: int
    """When it was stored (ms since 1970)."""
    sender: str
    sequence: int
    """Rises from one signal of a sender to the next; 0 for senders from outside."""
    signal: Signal


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Envelope).decode
_encode_signal = msgspec.msgpack.Encoder().encode


def encode(envelope: Envelope) -> bytes:
    return _encode(envelope)


def encode_signal(signal: Signal) -> bytes:
    """For digests."""
    return _encode_signal(signal)


def decode(body: bytes) -> Envelope:
    """Raises NewerFormat or Corrupt."""
    return read("signal", body, _decode, FORMAT, OTHER_FORMATS)
