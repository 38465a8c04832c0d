"""The state of one runner: a process that hosts actors. Times are ms since 1970, 0 for never."""

from __future__ import annotations

import msgspec

from engine.allocation.frames import Command

STOPPED = "stopped"
"""Why a runner is gone that was told to stop."""


class _Phase(msgspec.Struct, frozen=True, array_like=True, tag=True):
    pass


class Connected(_Phase, frozen=True):
    """It takes actors. `due` is when it is lost, unless it has been heard of until then."""

    due: int


class Away(_Phase, frozen=True):
    """Its connection is closed: it takes no actors, keeps those that it has, and may come back."""

    due: int


class Draining(_Phase, frozen=True):
    """It takes no actors, gives up those that it has, and is closed at `due`."""

    due: int


class Gone(_Phase, frozen=True):
    """It has ended, or is lost. Who connects with its key is a new runner."""


Phase = Connected | Away | Draining | Gone
PHASES: tuple[type[Phase], ...] = (Connected, Away, Draining, Gone)


class RunnerState(msgspec.Struct, frozen=True, array_like=True, tag="runner"):
    """`events` and `commands` are the numbers of the last event that has come in and of the last
    command that has gone out; `unheard` are the commands that the runner may not have."""

    pool: str
    key: str
    version: int
    slots: int
    created_at: int
    phase: Phase
    connection: str = ""
    """Its open connection; empty while there is none."""
    epoch: int = 0
    """Rises from one connection to the next."""
    events: int = 0
    commands: int = 0
    unheard: tuple[Command, ...] = ()
    request: str = ""
    """The pool's held request that brought it forth, if one did."""
    gone_at: int = 0
    why_gone: str = ""
    session: str = ""
    """The life of its process: who comes with another one has none of its actors."""

    @property
    def due(self) -> int:
        """When its timer is due."""
        return getattr(self.phase, "due", 0)
