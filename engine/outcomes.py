"""How an attempt, or a wait, can end: the values that `settle` takes.

An outcome is plain data, and whoever holds it may settle it on any newer head.
"""

from __future__ import annotations

import msgspec

from engine.definition import NO_RETRY, RetryPolicy
from engine.snapshot import Failure, Token, Value


class Done(msgspec.Struct, frozen=True):
    """The actor returned: `value` goes out of `port`."""

    port: str
    value: Value


class Failed(msgspec.Struct, frozen=True):
    """The attempt failed. `kinds` are the names of the error's class and its bases."""

    failure: Failure
    kinds: tuple[str, ...] = ()
    permanent: bool = False


class Slept(msgspec.Struct, frozen=True):
    """The actor asked to be run again at `until` (ms since 1970)."""

    until: int


class Waited(msgspec.Struct, frozen=True):
    """The actor asked to be run again when a signal of this name comes, or at `until` (ms since
    1970; 0: however long it takes)."""

    name: str
    until: int = 0


class Signalled(msgspec.Struct, frozen=True):
    """The signal that a wait was for has come: no attempt, but its end is recorded like one.

    `item` is the inbox item that this consumes.
    """

    value: Value
    item: str


class Expired(msgspec.Struct, frozen=True):
    """A wait's time is up."""


class Changed(msgspec.Struct, frozen=True):
    """An operator who forked the run gives the token another message on one port.

    `position` is that of the connected inport.
    """

    position: int
    value: Value


class Effect(msgspec.Struct, frozen=True):
    """A signal for another run, which takes effect if the attempt's result does."""

    receiver: str
    name: str
    value: Value


Outcome = Done | Failed | Slept | Waited | Signalled | Expired | Changed


class Settling(msgspec.Struct, frozen=True):
    """What came of one attempt, and the facts from outside that settling it needs.

    `now` is milliseconds since 1970, `took` milliseconds, `chance` in [0, 1). `sid` is the message
    whose processing this is. `state` is the actor's new state where it changed.
    """

    token: Token
    outcome: Outcome
    sid: str
    now: int
    took: int = 0
    chance: float = 0.0
    policy: RetryPolicy = NO_RETRY
    state: Value | None = None
    effects: tuple[Effect, ...] = ()
    look_at: int = 0
    """When to look after what this makes ready (ms since 1970); 0 for the usual coarse time."""
