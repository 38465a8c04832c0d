"""Wake an actor and wait until it can be reached, under one absolute deadline (decision D8).

What must stay true
- Nothing is missed: the actor's head is looked at, not listened to. A stop that came in between
  shows as another number of `stops`.
- Everybody who finds the actor in the same state sends the same wake, under the same id: however
  many requests come at once, it is woken once.
- A wake that was sent stands, whatever becomes of whoever sent it.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from engine.allocation.actor_state import (
    ActorState,
    Backoff,
    Destroyed,
    Pending,
    Running,
    Sleeping,
)
from engine.allocation.directory import Directory
from engine.allocation.errors import ActorBackingOff, ActorGone, ActorKeepsStopping, ActorNotReady
from engine.allocation.head import ServiceHead
from engine.allocation.mailing import Mailer
from engine.allocation.parties import runner
from engine.allocation.ports import Watch
from engine.allocation.signals import Wake
from engine.allocation.viewing import why_in_public
from engine.layout import RunKey
from engine.ports import Platform

PAUSE_S = 0.15
"""Before the first attempt to reach an actor again; it doubles with each."""


class Place(msgspec.Struct, frozen=True):
    """Where an actor is, as one look has found it."""

    runner: RunKey
    connection: str
    generation: int
    stops: int


class Reaching:
    """Finds, wakes and watches actors of one platform."""

    def __init__(self, platform: Platform) -> None:
        self._allocation = platform.allocation_to("reach actors")
        self._platform = platform
        self._directory = Directory(platform)
        self._mailer = Mailer(platform.journal, platform.clock, platform.entropy)

    async def place(self, key: RunKey, deadline: int, *, left: Place | None = None) -> Place:
        """Where the actor runs, woken if need be, by `deadline` (ms since 1970).

        `left` is where it was found before and has not been reached: there, and on the connection
        of then, it is not looked for again. Raises ActorNotFound, ActorGone, ActorBackingOff,
        ActorKeepsStopping or ActorNotReady.
        """
        with self._allocation.news.watching(key) as watch:
            return await self._place(key, deadline, left, watch)

    async def _place(self, key: RunKey, deadline: int, left: Place | None, watch: Watch) -> Place:
        settings = self._allocation.settings
        woken_at_rev, woken_at_stops, wakes = 0, -1, 0
        pause_ms = settings.poll_ms
        while True:
            watch.clear()
            head = await self._directory.actor(key)
            state = head.state
            assert isinstance(state, ActorState)
            place = await self._found(key, state, left)
            if place is not None:
                return place
            now = self._platform.clock.now()
            self._must_be_worth_waiting(key, state, now, deadline)
            if self._wants_wake(state, now) and head.rev != woken_at_rev:
                if state.stops != woken_at_stops:
                    wakes += 1
                    if wakes > settings.wakes:
                        raise ActorKeepsStopping(
                            f"actor '{key.run}' has stopped {wakes - 1} times before it could be "
                            "reached"
                        )
                woken_at_rev, woken_at_stops = head.rev, state.stops
                await self._mailer.signal(key, Wake(), f"wake:{head.rev}")
                pause_ms = settings.poll_ms
            if now >= deadline:
                raise self._too_late(key, head)
            await watch.wait(min(pause_ms, deadline - now) / 1000)
            pause_ms = min(2 * pause_ms, settings.poll_most_ms)

    async def has_left(self, key: RunKey, place: Place) -> bool:
        """Whether the actor is not where it was found any more; one that is about to go is."""
        head = await self._directory.head(key)
        if head is None or not isinstance(head.state, ActorState):
            return True
        return (head.state.generation, head.state.stops) != (place.generation, place.stops)

    async def settle(self, key: RunKey, place: Place, attempt: int, deadline: int) -> None:
        """Wait a little for the actor to have left: until then it cannot be found elsewhere."""
        pause_s = min(PAUSE_S * 2**attempt, (deadline - self._platform.clock.now()) / 1000)
        with self._allocation.news.watching(key) as watch:
            if not await self.has_left(key, place):
                await watch.wait(pause_s)

    async def reconnected(self, place: Place) -> Place:
        """The same place, by the connection that its runner has now."""
        connection = await self._directory.connection(place.runner)
        return place if connection is None else replace(place, connection=connection.id)

    async def _found(self, key: RunKey, state: ActorState, left: Place | None) -> Place | None:
        if not isinstance(state.phase, Running):
            return None
        where = runner(state.runner).key(key.tenant)
        connection = await self._directory.connection(where)
        if connection is None:
            return None
        place = Place(where, connection.id, state.generation, state.stops)
        # a runner that has come back has another connection
        return None if place == left else place

    def _wants_wake(self, state: ActorState, now: int) -> bool:
        if isinstance(state.phase, Pending):  # or it loses its place in the queue while we wait
            return 0 < state.phase.until < now + self._allocation.settings.pending_ms // 2
        return state.wants_waking

    def _must_be_worth_waiting(
        self, key: RunKey, state: ActorState, now: int, deadline: int
    ) -> None:
        phase = state.phase
        if isinstance(phase, Destroyed):
            raise ActorGone(f"actor '{key.run}' has been destroyed")
        until = phase.due if isinstance(phase, Backoff) else 0
        if isinstance(phase, Sleeping) and state.not_before > now:
            until = state.not_before
        if until > deadline:
            pause_s = -(-(until - now) // 1000)
            raise ActorBackingOff(
                f"actor '{key.run}' has failed {state.crashes} times in a row and is started again "
                f"in {pause_s} s",
                pause_s,
            )

    def _too_late(self, key: RunKey, head: ServiceHead) -> ActorNotReady:
        why = why_in_public(head)
        return ActorNotReady(f"actor '{key.run}' is not ready yet: {why}")
