"""The actors as simulated processes have them: the same code, watched, and run where it is called.

Plain functions run in threads elsewhere. Here they run at once, because threads have an order of
their own; they take virtual time before and after, in which a process can die.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from engine.actors import Registry
from engine.actors.registry import AnyActor
from engine.layout import RunKey
from engine.simulation.observing import Observer, TokenId
from engine.simulation.world.process import Process


@dataclass(frozen=True, slots=True)
class Handling:
    """Which delivery the running code handles: a delivery runs its own token's actor, or none."""

    process: Process
    key: RunKey
    token: TokenId


HANDLING: ContextVar[Handling] = ContextVar("handling")


def simulated(actors: Registry) -> Registry:
    """The registry that simulated processes are given."""
    return Registry([_simulated(each) for each in actors.values()])


def _simulated(original: AnyActor) -> AnyActor:
    actor = copy.copy(original)
    actor.function = _watched(original.function, original.is_async)
    actor.is_async = True
    return actor


def _watched(function: Callable[..., Any], is_async: bool) -> Callable[..., Any]:
    async def run(**arguments: Any) -> Any:
        handling = HANDLING.get()
        process, stage = handling.process, handling.process.stage
        await process.point("before the actor")
        stage.note(process.name, "actor of {} {} begins", handling.key.run, handling.token)
        stage.tell(lambda observer, at: _began(observer, handling, at))
        try:
            await _take_time(process)
            await process.point("in the actor, before its work")
            result = function(**arguments)
            if is_async:
                result = await result
            await process.point("in the actor, after its work")
            await _take_time(process)
        finally:
            stage.tell(lambda observer, at: _ended(observer, handling, at))
        await process.point("after the actor")
        return result

    return run


async def _take_time(process: Process) -> None:
    milliseconds = process.stage.dice.size("actor_ms")
    if milliseconds:
        await asyncio.sleep(milliseconds / 1000)


def _began(observer: Observer, handling: Handling, at: int) -> None:
    observer.actor_began(handling.key, handling.token, handling.process.name, at)


def _ended(observer: Observer, handling: Handling, at: int) -> None:
    observer.actor_ended(handling.key, handling.token, handling.process.name, at)
