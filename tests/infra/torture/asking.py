"""What is asked of the engine from outside: acts, and whoever performs them until he has an answer.

An act has an answer once: it was accepted, or refused because the run has ended. Whoever is told
of trouble, or dies before he has written the answer down, performs the same act again: that must be
harmless, whatever became of it the first time.
"""

from __future__ import annotations

from typing import Any

import msgspec

from engine.definition import Definition
from engine.errors import NothingToRetry, RunEnded
from engine.layout import run_key
from engine.operating import Operator
from engine.ports import Platform
from engine.signalling import Signaller
from engine.starting import Starter


class Act(msgspec.Struct, frozen=True, tag=True):
    """`by_command`: by a command line's process, where there are such."""

    run: str
    by_command: bool = False


class Start(Act, frozen=True, kw_only=True):
    workflow: str
    input: Any


class Signal(Act, frozen=True, kw_only=True):
    id: str
    name: str
    payload: Any


class Cancel(Act, frozen=True):
    """At once."""


class Close(Act, frozen=True, kw_only=True):
    """Gracefully."""

    grace_s: float


class Retry(Act, frozen=True):
    """Of a run that the same asker has cancelled before."""


AnyAct = Start | Signal | Cancel | Close | Retry


class Answer(msgspec.Struct, frozen=True):
    act: AnyAct
    accepted: bool


class Asker:
    """Performs acts on one platform."""

    def __init__(self, platform: Platform, definitions: dict[str, Definition]) -> None:
        self._definitions = definitions
        self._starter = Starter(platform)
        self._signaller = Signaller(platform)
        self._operator = Operator(platform)

    async def perform(self, act: AnyAct) -> bool:
        """Whether it is accepted, now or when it was asked for before.

        Raises RunNotFound, and PlatformError: nothing is known then.
        """
        key = run_key(act.run)
        try:
            if isinstance(act, Start):
                await self._starter.start(self._definitions[act.workflow], act.input, act.run)
            elif isinstance(act, Signal):
                await self._signaller.signal(key, act.name, act.payload, act.id)
            elif isinstance(act, Cancel):
                await self._operator.cancel(key)
            elif isinstance(act, Close):
                await self._operator.close(key, act.grace_s)
            else:
                await self._operator.retry(key)
        except RunEnded:
            return False
        except NothingToRetry:  # asked for before, without an answer
            return True
        return True
