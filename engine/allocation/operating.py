"""What an operator does to actors and runners: find, wake, send to sleep, destroy, stop.

What must stay true
- Each is one signal, and what it leads to is the party's own to decide. Whoever finds a party in
  the same state sends the same signal, under the same id: doing it twice is doing it once.
- What cannot have an effect is refused, with the reason, and nothing is sent.
"""

from __future__ import annotations

import msgspec

from engine.allocation.actor_state import (
    ActorState,
    Destroyed,
    GoingAway,
    Pending,
    Running,
    Sleeping,
    SleepIntent,
    StopIntent,
)
from engine.allocation.board_reading import read_index
from engine.allocation.directory import ActorNotFound, Directory
from engine.allocation.head import ServiceHead
from engine.allocation.holding import report_end, report_gone
from engine.allocation.mailing import Mailer
from engine.allocation.parties import Kind, party_key, runner
from engine.allocation.pool_state import PoolState
from engine.allocation.runner_state import Gone, RunnerState
from engine.allocation.signals import (
    Configure,
    Destroy,
    Sleep,
    StopRunner,
    Wake,
)
from engine.allocation.viewing import why_not_ready
from engine.errors import InvalidName, RunNotFound
from engine.layout import DEFAULT_TENANT, RunKey
from engine.ports import Platform

MOST_POOLS = 10_000


class ActorDestroyed(ActorNotFound):
    """The actor has ended for good, or is about to."""


class Ready(msgspec.Struct, frozen=True):
    """Whether requests reach the actor now; where not, `why` says what it waits for."""

    ready: bool
    why: str = ""


def parse_actor(text: str) -> tuple[str, tuple[str, ...]]:
    """Name and key of `counter/main`, or of `room/eu,lobby`; of an id, the id and ()."""
    name, slash, key = text.partition("/")
    if slash and not (name and key):
        raise InvalidName(f"actor {text!r}: write NAME/KEY, or its id")
    return name, tuple(key.split(",")) if key else ()


class Operator:
    """Acts on the actors, runners and pools of one platform; needs no `allocation`."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._journal = platform.journal
        self._directory = Directory(platform)
        self._mailer = Mailer(platform.journal, platform.clock, platform.entropy)

    # -- actors -----------------------------------------------------------------------------------

    async def find(self, text: str, tenant: str = DEFAULT_TENANT) -> RunKey:
        """The actor of this id, or of this NAME/KEY. Raises ActorNotFound or InvalidName."""
        name, key = parse_actor(text)
        if key:
            return await self._directory.find(name, key, tenant)
        found = party_key(Kind.ACTOR, name, tenant)
        await self._directory.actor(found)
        return found

    async def wake(self, key: RunKey) -> bool:
        """Have the actor run; whether that was any news. Raises ActorNotFound or ActorDestroyed."""
        head, state = await self._living(key)
        if state.wants_waking:
            await self._mailer.signal(key, Wake(), f"wake:{head.rev}")
        return state.wants_waking

    async def readiness(self, key: RunKey) -> Ready:
        """How far waking it has come. Raises ActorNotFound or ActorDestroyed."""
        head, state = await self._living(key)
        if isinstance(state.phase, Running):
            return Ready(True)
        now = self._platform.clock.now()
        return Ready(False, await why_not_ready(self._directory, key, head, now))

    async def sleep(self, key: RunKey) -> bool:
        """Send the actor to sleep; whether that was any news. Raises ActorNotFound or
        ActorDestroyed."""
        head, state = await self._living(key)
        if isinstance(state.phase, Sleeping | SleepIntent | GoingAway):
            return False
        await self._mailer.signal(key, Sleep(), f"sleep:{head.rev}")
        return True

    async def destroy(self, key: RunKey) -> bool:
        """End the actor for good; whether that was any news. Raises ActorNotFound."""
        head = await self._directory.actor(key)
        state = _actor(head)
        doomed = isinstance(state.phase, Pending) and state.phase.doomed
        if doomed or isinstance(state.phase, Destroyed | StopIntent):
            return False
        await self._mailer.signal(key, Destroy(), f"destroy:{head.rev}")
        return True

    async def _living(self, key: RunKey) -> tuple[ServiceHead, ActorState]:
        head = await self._directory.actor(key)
        state = _actor(head)
        if isinstance(state.phase, Destroyed | StopIntent):
            raise ActorDestroyed(f"actor '{key.run}' has been destroyed")
        return head, state

    # -- runners and pools ------------------------------------------------------------------------

    async def stop_runner(self, id: str, tenant: str = DEFAULT_TENANT) -> bool:
        """Have the runner give up its actors and end; whether that was any news.

        Raises RunNotFound or InvalidName.
        """
        key = party_key(Kind.RUNNER, id, tenant)
        head = await self._directory.head(key)
        if head is None or not isinstance(head.state, RunnerState):
            raise RunNotFound(f"there is no runner '{id}'")
        if isinstance(head.state.phase, Gone):
            return False
        await self._mailer.signal(key, StopRunner(), "stop")
        return True

    async def begin_anew(self, tenant: str = DEFAULT_TENANT) -> None:
        """Say of every connection and every held request that it is over.

        For a process that alone holds them, before it opens the first: what is written down about
        them comes from one that has ended.
        """
        rows = await self._journal.runs(tenant, limit=MOST_POOLS, kind=Kind.POOL.value)
        for row in rows:
            head = await self._directory.head(row.key)
            if head is None or not isinstance(head.state, PoolState):
                continue
            board = await read_index(self._journal, tenant, row.key.run)
            for id in board.entries:
                await self._disconnected(runner(id).key(tenant))
            for held in head.state.requests:
                await report_end(self._mailer, tenant, row.key.run, held.id)
            if head.state.requests:  # nothing was wrong with them: what failed before is forgotten
                anew = f"configure:{self._platform.entropy.new_id()}"
                await self._mailer.signal(row.key, Configure(head.state.config), anew)

    async def _disconnected(self, key: RunKey) -> None:
        connection = await self._directory.connection(key)
        if connection is not None:
            await report_gone(self._mailer, key, connection.id)


def _actor(head: ServiceHead) -> ActorState:
    assert isinstance(head.state, ActorState)
    return head.state
