"""How an actor comes to a runner and how it leaves one: the moves of the actor's table.

Each is a decision as a whole: the phase, the signals, and the changes of the index that go into the
same transaction.

What must stay true
- `owner` in the actor's partition names the runner and generation that may write what the actor
  stores. It is written with the slot and deleted with it, and so fences a runner that has been
  given up but lives.
- An actor that has left its runner says so (`stops`) before it is allocated again, which is a step
  of its own: `Sleeping` that is due at once (decision D1).
- A stop that was asked for is no crash, and a drain never destroys an actor (D4, D5).
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from engine.allocation import board as boards
from engine.allocation import signals
from engine.allocation.actor_state import (
    NO_CAPACITY,
    ActorState,
    Backoff,
    Destroyed,
    GoingAway,
    Pending,
    Sleeping,
    SleepIntent,
    Starting,
    StopIntent,
)
from engine.allocation.config import CrashPolicy
from engine.allocation.parties import actor, pool, runner
from engine.allocation.rules import Clear, Effect, Scene, Step, Tell
from engine.ports import Swap

OWNER_ITEM = "owner"


class Owner(msgspec.Struct, frozen=True, array_like=True):
    """Who may write what the actor stores, and the number of his last write."""

    generation: int
    runner: str
    saves: int = 0

    def is_same(self, other: Owner) -> bool:
        """Whether both are the same stay of the actor on the same runner."""
        return (self.generation, self.runner) == (other.generation, other.runner)


encode_owner = msgspec.msgpack.Encoder().encode
decode_owner = msgspec.msgpack.Decoder(Owner).decode

Moved = Step[ActorState]


# -- to a runner ----------------------------------------------------------------------------------


def allocate(
    state: ActorState, scene: Scene, said: str = "", *, pend: bool, until: int = 0
) -> Moved:
    """Take a free slot, or wait for one until `until`, or sleep where the actor may not wait."""
    board = scene.board
    words = (said, "allocate") if said else ("allocate",)
    best = boards.candidates(board, scene.now, scene.settings.eligible_ms)
    if best and not board.pending:
        swaps = boards.take(board, best[0], scene.me, state.generation + 1)
        return started(state, scene, best[0], words, tuple(swaps))
    if pend or board.config.serverless or state.crash is not CrashPolicy.SLEEP:
        waiting = boards.Pending(scene.me, state.generation + 1, scene.now)
        after = replace(state, phase=Pending(scene.now, until), slept_at=0)
        words = (*words, "no runners available, start pending")
        return Step(after, words, (bump(state),), (boards.wait(board, waiting),))
    return Step(slept(state, scene, NO_CAPACITY), (*words, "no runners available, sleep"))


def started(
    state: ActorState, scene: Scene, where: str, said: tuple[str, ...], swaps: tuple[Swap, ...] = ()
) -> Moved:
    """The actor has a slot: have the runner take it over."""
    generation = state.generation + 1
    after = replace(
        state,
        phase=Starting(where, scene.now + scene.settings.start_ms),
        generation=generation,
        slept_at=0,
    )
    owner = Swap(scene.partition, OWNER_ITEM, encode_owner(Owner(generation, where)), None)
    start = signals.Start(
        scene.me, generation, state.name, state.key, state.created_at, state.alarm_at
    )
    effects = (Tell(runner(where), start), bump(state))
    return Step(after, (*said, "send StartActor"), effects, (*swaps, owner))


def given_up_waiting(state: ActorState, scene: Scene, error: str, said: str) -> Moved:
    """Out of the queue, and asleep. Call it where the actor still is in the queue."""
    return Step(slept(state, scene, error), (said,), (bump(state),), (out_of_queue(state, scene),))


def out_of_queue(state: ActorState, scene: Scene) -> Swap:
    phase = state.phase
    assert isinstance(phase, Pending)
    waiting = boards.Pending(scene.me, state.generation + 1, phase.since)
    return boards.leave(scene.board, waiting)


# -- asked to leave -------------------------------------------------------------------------------


def asked_to_stop(
    state: ActorState,
    scene: Scene,
    phase: SleepIntent | GoingAway | StopIntent,
    said: str,
) -> Moved:
    """The runner is told, once, to let the actor go."""
    slept_at = scene.now if isinstance(phase, SleepIntent) else state.slept_at
    after = replace(state, phase=phase, connectable_at=0, slept_at=slept_at)
    order = stop_order(state, scene, forever=isinstance(phase, StopIntent))
    return Step(after, (said, "send StopActor"), (order,))


def stop_order(state: ActorState, scene: Scene, *, forever: bool = False) -> Tell:
    return Tell(runner(state.runner), signals.Stop(scene.me, state.generation, forever))


# -- gone from it ---------------------------------------------------------------------------------


def left(state: ActorState, scene: Scene, error: str, said: tuple[str, ...] = ()) -> Moved:
    """The actor is on its runner no more: its slot is given back, and it says so.

    `error` is why, where that was a crash or the runner's failure; empty for a stop in peace and
    for a drain.
    """
    swaps, effects = release(state, scene, state.runner, state.generation)
    owner = scene.owner or encode_owner(Owner(state.generation, state.runner))
    swaps = (*swaps, Swap(scene.partition, OWNER_ITEM, None, owner))
    said = (*said, "deallocate", "publish Stopped")
    after = replace(state, stops=state.stops + 1, connectable_at=0, error=error or state.error)
    if isinstance(state.phase, StopIntent):
        return ended(after, scene, said, effects, swaps)
    if isinstance(state.phase, SleepIntent | GoingAway):
        moves = isinstance(state.phase, GoingAway) and state.crash is not CrashPolicy.SLEEP
        again = state.phase.will_wake or moves
        return Step(slept(after, scene, again=again), said, effects, swaps)
    if not error:
        again = isinstance(state.phase, Starting) or state.crash is not CrashPolicy.SLEEP
        return Step(slept(after, scene, again=again), said, effects, swaps)
    after = _crashed(after, scene)
    if state.crash is CrashPolicy.DESTROY:
        return ended(after, scene, said, effects, swaps)
    if state.crash is CrashPolicy.RESTART:
        after = replace(after, phase=Backoff(max(scene.now, after.not_before)))
        return Step(after, (*said, "back off"), effects, swaps)
    return Step(slept(after, scene), said, effects, swaps)


def release(
    state: ActorState, scene: Scene, where: str, generation: int
) -> tuple[tuple[Swap, ...], tuple[Effect, ...]]:
    """The slot goes to whoever waits longest; where nobody does, the pool is told."""
    released = boards.release(
        scene.board, where, scene.me, generation, scene.now, scene.settings.eligible_ms
    )
    if released.next is None:
        return released.swaps, (bump(state),)
    heir = released.next
    return released.swaps, (Tell(actor(heir.actor), signals.Allocate(where, heir.generation)),)


def slept(state: ActorState, scene: Scene, error: str = "", *, again: bool = False) -> ActorState:
    """Asleep until its alarm, or only until the next step where it is wanted `again`."""
    due = scene.now if again else state.alarm_at
    return replace(
        state, phase=Sleeping(due), slept_at=state.slept_at or scene.now, error=state.error or error
    )


def ended(
    state: ActorState,
    scene: Scene,
    said: tuple[str, ...] = (),
    effects: tuple[Effect, ...] = (),
    swaps: tuple[Swap, ...] = (),
) -> Moved:
    """For good: what it stored goes, and its key is free."""
    after = replace(state, phase=Destroyed(), destroyed_at=scene.now, alarm_at=0)
    return Step(after, (*said, "destroyed"), (*effects, Clear()), swaps)


def bump(state: ActorState) -> Tell:
    return Tell(pool(state.pool), signals.Bump())


def _crashed(state: ActorState, scene: Scene) -> ActorState:
    """One more crash; from the second in a row on, the next allocation waits."""
    settings = scene.settings
    recent = scene.now - state.crashed_at < settings.backoff_reset_ms
    crashes = state.crashes + 1 if recent else 1
    pause = 0
    if crashes > 1:
        doublings = min(crashes - 2, settings.backoff_doublings)
        pause = settings.backoff_ms * 2**doublings + round(
            scene.chance * settings.backoff_jitter_ms
        )
    return replace(
        state, crashes=crashes, crashed_at=scene.now, not_before=scene.now + pause if pause else 0
    )
