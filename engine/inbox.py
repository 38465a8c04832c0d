"""A run's inbox: the signals that have come and that no wait has consumed yet (DESIGN §4 rule 14).

A signal is an item of the run's partition until a wait consumes it. Which one a wait takes follows
from the inbox and the head alone, so that whoever looks, and however often, decides the same.

What must stay true
- A signal to a wait is for that wait only, and dies with it; one by name is for the next wait of
  that name.
- The oldest goes first, and among those of one sender the one that was sent first, whatever the
  clocks of those who stored them said.
- What `Head.consumed` lists is gone, though it may still lie there.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from engine.errors import Corrupt, NewerFormat
from engine.formats import OtherFormats, read
from engine.layout import INBOX_PREFIX, RunKey
from engine.outcomes import Expired, Signalled
from engine.ports import Reader
from engine.snapshot import Head, State, Token, Value, Wait

FORMAT = 1
OTHER_FORMATS: OtherFormats = {}
BY_NAME = -1
"""`Signal.node` of a signal that any wait of its name may take."""


SETTLED_MS = 60_000
"""After this, whoever has sent an answer knows whether a wait took it."""


class Signal(msgspec.Struct, frozen=True, array_like=True):
    """One signal as it lies in the inbox."""

    format: int
    id: str
    at: int
    """When it was stored (ms since 1970)."""
    value: Value
    name: str = ""
    node: int = BY_NAME
    visit: int = 0
    ordinal: int = 0
    sender: str = ""
    sequence: int = 0
    """Rises from one signal of a sender to the next."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Signal).decode


def encode_signal(signal: Signal) -> bytes:
    return _encode(signal)


def decode_signal(body: bytes) -> Signal:
    """Raises NewerFormat or Corrupt."""
    return read("signal", body, _decode, FORMAT, OTHER_FORMATS)


async def read_inbox(reader: Reader, key: RunKey, head: Head) -> list[tuple[str, Signal]]:
    """What lies in the inbox and is not consumed, oldest first, with the items' names.

    Raises NewerFormat or Corrupt, which name the run.
    """
    try:
        return [
            (name, decode_signal(body))
            async for name, body in reader.scan(key.partition, INBOX_PREFIX)
            if name not in head.consumed
        ]
    except (NewerFormat, Corrupt) as error:
        raise type(error)(f"run '{key.run}': {error}") from error


def for_wait(signal: Signal, wait: Wait) -> bool:
    """Whether this wait may take the signal."""
    if signal.node == BY_NAME:
        return signal.name == wait.name
    return (signal.node, signal.visit, signal.ordinal) == (wait.node, wait.visit, wait.ordinal)


def chosen(signals: Iterable[tuple[str, Signal]], wait: Wait) -> tuple[str, Signal] | None:
    """What this wait takes, of signals oldest first."""
    ours = [(name, signal) for name, signal in signals if for_wait(signal, wait)]
    if not ours:
        return None
    sender = ours[0][1].sender
    if not sender:
        return ours[0]
    return min(
        (each for each in ours if each[1].sender == sender), key=lambda each: each[1].sequence
    )


def outcome_of(
    head: Head, token: Token, signals: Iterable[tuple[str, Signal]], now: int
) -> Signalled | Expired | None:
    """How the wait of this token ends now; None while it does not. A signal beats the time-out."""
    wait = head.wait(token.node, token.visit)
    if wait is None:
        raise Corrupt(f"node {token.node} waits, and the head does not say what for")
    taken = chosen(signals, wait)
    if taken is not None:
        name, signal = taken
        return Signalled(signal.value, name)
    return Expired() if token.due and token.due <= now else None


def dead_signals(head: Head, signals: Iterable[tuple[str, Signal]], now: int) -> list[Signal]:
    """Answers that no wait can take any more, and that nobody looks at who has just sent them."""
    return [
        signal
        for _, signal in signals
        if signal.node != BY_NAME and signal.at < now - SETTLED_MS and not _awaited(head, signal)
    ]


def _awaited(head: Head, signal: Signal) -> bool:
    wait = head.wait(signal.node, signal.visit)
    for token in head.frontier:
        if (token.node, token.visit) == (signal.node, signal.visit):
            if wait is None or signal.ordinal > wait.ordinal:
                return True
            return token.state is State.WAITING and signal.ordinal == wait.ordinal
    return False
