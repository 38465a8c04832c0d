"""A service run's whole state: the party's own, what it owes others, and the last few steps.

What must stay true
- It is one item, whose size follows from what goes on, never from what has been: of the history
  only the newest steps stay (DESIGN §4 rule 21).
- Fields are only ever added at the end, with defaults. A change that newer bytes could not survive
  in older code raises `FORMAT`.
"""

from __future__ import annotations

import msgspec

from engine.allocation.actor_state import ActorState, Destroyed
from engine.allocation.pool_state import PoolState
from engine.allocation.rules import Effect
from engine.allocation.runner_state import Gone, RunnerState
from engine.formats import OtherFormats, read
from engine.layout import RunKey
from engine.ports import HeadRecord
from engine.snapshot import Status

FORMAT = 1
OTHER_FORMATS: OtherFormats = {}
REMEMBERED_STEPS = 8

PartyState = ActorState | RunnerState | PoolState


class Debt(msgspec.Struct, frozen=True, array_like=True):
    """What a step has asked for and may not have got yet (rule 7).

    `id` is `<step>.<place>`, `sequence` rises with both.
    """

    id: str
    sequence: int
    effect: Effect


class Past(msgspec.Struct, frozen=True, array_like=True):
    """One of the newest steps, for whoever asks what has happened."""

    at: int
    signal: str
    phase: str
    """What it led to."""
    said: tuple[str, ...]


class ServiceHead(msgspec.Struct, frozen=True, array_like=True):
    """`timer` is the number of the timer that is set: a message for an older one means nothing."""

    format: int
    rev: int
    created_at: int
    state: PartyState
    steps: int = 0
    owed: tuple[Debt, ...] = ()
    owed_look_at: int = 0
    timer: int = 0
    timer_owner: str = ""
    """The sid whose processing set the timer: who sends its message again (rule 6)."""
    timer_look_at: int = 0
    """When a sweep looks after the timer; 0 while none is set."""
    look_at: int = 0
    """When a sweep looks into the inbox, because more signals lay there; 0 for never."""
    past: tuple[Past, ...] = ()

    @property
    def wake_at(self) -> int:
        """When a sweep must look at this run (ms since 1970); 0 for never (rule 9)."""
        owed = self.owed_look_at if self.owed else 0
        return min((at for at in (owed, self.timer_look_at, self.look_at) if at), default=0)

    @property
    def phase(self) -> str:
        return type(self.state.phase).__name__


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ServiceHead).decode


def encode_service(head: ServiceHead) -> bytes:
    return _encode(head)


def decode_service(body: bytes) -> ServiceHead:
    """Raises NewerFormat or Corrupt."""
    return read("service", body, _decode, FORMAT, OTHER_FORMATS)


def service_record(key: RunKey, head: ServiceHead) -> HeadRecord:
    """What a journal takes. The status changes once in its life: an index follows it."""
    over = isinstance(head.state.phase, Destroyed | Gone)
    return HeadRecord(
        key=key,
        rev=head.rev,
        status=Status.COMPLETED if over else Status.ACTIVE,
        workflow=head.state.name if isinstance(head.state, ActorState) else key.kind,
        created_at=head.created_at,
        wake_at=head.wake_at,
        body=encode_service(head),
    )
