"""The runner's transition table.

A runner that is to end leaves the index at once, tells its actors, and is closed when its grace is
over; whatever it still has then is lost to it in the same step (decisions D2, D7). A runner whose
connection is closed keeps its actors until nobody has heard of it for `lost_ms`.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from engine.allocation import board as boards
from engine.allocation import frames, signals
from engine.allocation.actor_state import RUNNER_LOST
from engine.allocation.frames import Command
from engine.allocation.parties import actor, pool, runner
from engine.allocation.rules import (
    Cell,
    Clear,
    Effect,
    Evict,
    HangUp,
    Ignored,
    Post,
    Reads,
    Rule,
    Scene,
    Step,
    Table,
    Tell,
    complete,
    decided,
    ignored,
)
from engine.allocation.runner_state import (
    PHASES,
    STOPPED,
    Away,
    Connected,
    Draining,
    Gone,
    RunnerState,
)
from engine.ports import Swap

POSTED = 100
"""Unheard commands that one step sends once more: far more than can pass each other on the way."""
HANDED_OUT = 25
"""Slots that one step gives away: each takes two items of a transaction, which has a hundred."""
REPLAYED = 50
"""Commands in one frame: with the longest names and keys it stays under `frames.FRAME_BYTES`."""

SIGNALS: tuple[type, ...] = (
    signals.Timer,
    signals.Connected,
    signals.Disconnected,
    signals.CheckQueue,
    signals.StopRunner,
    signals.Start,
    signals.Stop,
    signals.Happened,
)
"""The table's columns."""

Decided = Step[RunnerState]


def decide(state: RunnerState, signal: signals.RunnerSignal, scene: Scene) -> Decided:
    """What follows from the signal: pure."""
    return decided(TABLE, state, signal, type(signal), scene)


# -- the queue ------------------------------------------------------------------------------------


def _check_queue(state: RunnerState, signal: Any, scene: Scene) -> Decided:
    effects, swaps = _handed_out(scene)
    if not effects:
        return Step(state, ("check the queue",))
    return Step(state, ("allocate pending actors",), effects, swaps)


def _handed_out(scene: Scene) -> tuple[tuple[Effect, ...], tuple[Swap, ...]]:
    """Give free slots to those who wait; once more where one step cannot do it all."""
    board, me = scene.board, scene.me
    if me not in board.entries:
        return (), ()
    handed = boards.hand_out(board, me, scene.now, scene.settings.eligible_ms, HANDED_OUT)
    effects: list[Effect] = [
        Tell(actor(heir.actor), signals.Allocate(me, heir.generation)) for heir in handed.heirs
    ]
    if len(handed.heirs) == HANDED_OUT:
        effects.append(Tell(runner(me), signals.CheckQueue()))
    return tuple(effects), handed.swaps


# -- the connection -------------------------------------------------------------------------------


def _connect(state: RunnerState, signal: signals.Connected, scene: Scene) -> Decided:
    """It has come back, or another process has taken its key."""
    if signal.epoch <= state.epoch:
        return ignored(state, "a newer connection is known")
    after, effects = _reconnected(state, signal)
    phase = Connected(scene.now + scene.settings.lost_ms)
    check = Tell(runner(scene.me), signals.CheckQueue())
    return Step(replace(after, phase=phase), ("connect",), (*effects, check), _opened(scene))


def _connect_draining(state: RunnerState, signal: signals.Connected, scene: Scene) -> Decided:
    if signal.epoch <= state.epoch:
        return ignored(state, "a newer connection is known")
    after, effects = _reconnected(state, signal)
    return Step(after, ("connect, draining",), effects)


def _reconnected(
    state: RunnerState, signal: signals.Connected
) -> tuple[RunnerState, tuple[Effect, ...]]:
    """The new connection takes the place of the old, and carries what that may not have."""
    effects: list[Effect] = []
    if state.connection:
        effects.append(Evict(state.connection, "another connection has taken its place"))
    if state.unheard:
        effects.append(Post(signal.connection))
    after = replace(state, connection=signal.connection, epoch=signal.epoch)
    return after, tuple(effects)


def _refuse(state: RunnerState, signal: signals.Connected, scene: Scene) -> Decided:
    return Step(state, ("hang up: it is lost, and must begin anew",), (HangUp(signal.connection),))


def _disconnect(state: RunnerState, signal: signals.Disconnected, scene: Scene) -> Decided:
    if signal.connection != state.connection:
        return ignored(state, "not its connection any more")
    after = replace(state, phase=Away(state.due), connection="")
    return Step(after, ("remove from alloc idx",), (), _closed(scene))


def _disconnect_draining(state: RunnerState, signal: signals.Disconnected, scene: Scene) -> Decided:
    if signal.connection != state.connection:
        return ignored(state, "not its connection any more")
    after = replace(state, connection="")
    if scene.board.seats:
        return Step(after, ("disconnected, draining",))
    return _gone(after, scene, "", ("all its actors have left",))


# -- the end --------------------------------------------------------------------------------------


def _look(state: RunnerState, signal: Any, scene: Scene) -> Decided:
    """Lost, where nobody has heard of it for long enough; else its queue is looked at."""
    due = scene.board.pings.get(scene.me, 0) + scene.settings.lost_ms
    if due <= scene.now:
        return _gone(state, scene, f"{RUNNER_LOST}: {scene.me}", ("connection lost",))
    step = _check_queue(state, signal, scene)
    return replace(step, state=replace(state, phase=type(state.phase)(due)))


def _drain(state: RunnerState, signal: Any, scene: Scene) -> Decided:
    going: tuple[Effect, ...] = tuple(
        Tell(actor(id), signals.GoingAway(scene.me, generation))
        for id, generation in scene.board.seats.items()
    )
    phase = Draining(scene.now + scene.settings.drain_ms)
    return Step(
        replace(state, phase=phase),
        ("stop", "remove from alloc idx"),
        (*going, Tell(pool(state.pool), signals.Bump())),  # another takes its place
        _drained(scene),
    )


def _drain_away(state: RunnerState, signal: Any, scene: Scene) -> Decided:
    """Nobody is there any more who could drain it."""
    return _gone(state, scene, "", ("stop",))


def _grace_over(state: RunnerState, signal: Any, scene: Scene) -> Decided:
    return _gone(state, scene, "", ("after grace",))


def _gone(state: RunnerState, scene: Scene, error: str, said: tuple[str, ...]) -> Decided:
    """Out of the index, closed, and whoever still sat there is told; all in one step."""
    effects: list[Effect] = []
    if state.connection and error:  # it may live, and begins anew then
        effects.append(HangUp(state.connection))
        said = (*said, "hang up")
    elif state.connection:
        effects.append(Evict(state.connection, frames.STOPPED_REASON))
        said = (*said, "evict WS")
    seats = scene.board.seats
    effects += [
        Tell(actor(id), signals.Lost(scene.me, generation, error))
        for id, generation in seats.items()
    ]
    if seats:
        said = (*said, "evict running actors")
    effects += [Tell(pool(state.pool), signals.Bump()), Clear()]
    swaps: tuple[Swap, ...] = ()
    if scene.me in scene.board.entries:
        swaps = (boards.entry_swap(scene.board, scene.me, None),)
    after = replace(
        state,
        phase=Gone(),
        connection="",
        unheard=(),
        gone_at=scene.now,
        why_gone=error or STOPPED,
    )
    return Step(after, (*said, "gone"), tuple(effects), swaps)


# -- actors ---------------------------------------------------------------------------------------


def _start(state: RunnerState, signal: signals.Start, scene: Scene) -> Decided:
    order = frames.StartActor(
        signal.actor,
        signal.generation,
        signal.name,
        signal.key,
        signal.created_at,
        signal.alarm_at,
    )
    return _command(state, order, "StartActor")


def _stop(state: RunnerState, signal: signals.Stop, scene: Scene) -> Decided:
    return _command(
        state, frames.StopActor(signal.actor, signal.generation, signal.forever), "StopActor"
    )


def _command(state: RunnerState, order: frames.StartActor | frames.StopActor, name: str) -> Decided:
    """Kept until the runner has said that it has come; sent at once where there is a connection."""
    command = Command(state.commands + 1, order)
    after = replace(state, commands=command.index, unheard=(*state.unheard, command))
    if not state.connection:
        return Step(after, (f"keep {name}",))
    # all of them: where two processes post at once, the later may be the first to come
    return Step(after, (f"proxy {name}",), (Post(state.connection, POSTED),))


def posted(state: RunnerState, post: Post) -> list[str]:
    """The frames that a post stands for, each of a size that a connection takes."""
    unheard = state.unheard[-post.newest :] if post.newest else state.unheard
    chunks = [unheard[at : at + REPLAYED] for at in range(0, len(unheard), REPLAYED)]
    return [frames.encode(frames.Commands(chunk)) for chunk in chunks]


def _too_late(state: RunnerState, signal: signals.Start, scene: Scene) -> Decided:
    """It must go elsewhere: nobody is to blame."""
    lost = signals.Lost(scene.me, signal.generation)
    return Step(state, ("refuse StartActor",), (Tell(actor(signal.actor), lost),))


def _happened(state: RunnerState, signal: signals.Happened, scene: Scene) -> Decided:
    if signal.index <= state.events:
        return ignored(state, "this event has come before")
    unheard = tuple(each for each in state.unheard if each.index > signal.commands)
    after = replace(state, events=signal.index, unheard=unheard)
    told = signals.Reported(scene.me, signal.generation, signal.report)
    said = f"forward {type(signal.report).__name__}"
    return Step(after, (said,), (Tell(actor(signal.actor), told),))


# -- the index ------------------------------------------------------------------------------------


def _opened(scene: Scene) -> tuple[Swap, ...]:
    """The runner's free slots may be given away."""
    return _entry(scene, opened=True)


def _closed(scene: Scene) -> tuple[Swap, ...]:
    """The runner's slots are given to nobody from now on."""
    return _entry(scene, opened=False)


def _drained(scene: Scene) -> tuple[Swap, ...]:
    """As `_closed`, for good."""
    entry = scene.board.entries.get(scene.me)
    if entry is None:
        return ()
    after = replace(entry, open=False, draining=True, rev=entry.rev + 1)
    return (boards.entry_swap(scene.board, scene.me, after),)


def _entry(scene: Scene, *, opened: bool) -> tuple[Swap, ...]:
    entry = scene.board.entries.get(scene.me)
    if entry is None or entry.open == opened:
        return ()
    after = replace(entry, open=opened, rev=entry.rev + 1)
    return (boards.entry_swap(scene.board, scene.me, after),)


_HANDS_OUT = (signals.Allocate, signals.CheckQueue)
_LEFT_ALONE = (signals.Lost, signals.Bump, Clear)
_INDEX = Reads.INDEX
_SEATS = Reads.INDEX | Reads.SEATS


def _happens(phase: type) -> Rule:
    return Rule(_happened, (phase,), (signals.Reported,))


_ROWS: dict[type, dict[type, Cell]] = {
    Connected: {
        signals.Timer: Rule(_look, (Connected, Gone), (*_HANDS_OUT, *_LEFT_ALONE, HangUp), _SEATS),
        signals.Connected: Rule(_connect, (Connected,), (Evict, Post, signals.CheckQueue)),
        signals.Disconnected: Rule(_disconnect, (Away,), (), _INDEX),
        signals.CheckQueue: Rule(_check_queue, (Connected,), _HANDS_OUT, _INDEX),
        signals.StopRunner: Rule(_drain, (Draining,), (signals.GoingAway, signals.Bump), _SEATS),
        signals.Start: Rule(_start, (Connected,), (Post,)),
        signals.Stop: Rule(_stop, (Connected,), (Post,)),
        signals.Happened: _happens(Connected),
    },
    Away: {
        signals.Timer: Rule(_look, (Away, Gone), _LEFT_ALONE, _SEATS),
        signals.Connected: Rule(_connect, (Connected,), (Post, signals.CheckQueue), _INDEX),
        signals.Disconnected: Ignored("it is away already"),
        signals.CheckQueue: Ignored("it is away"),
        signals.StopRunner: Rule(_drain_away, (Gone,), _LEFT_ALONE, _SEATS),
        signals.Start: Rule(_start, (Away,)),
        signals.Stop: Rule(_stop, (Away,)),
        signals.Happened: _happens(Away),
    },
    Draining: {
        signals.Timer: Rule(_grace_over, (Gone,), (*_LEFT_ALONE, Evict), _SEATS),
        signals.Connected: Rule(_connect_draining, (Draining,), (Evict, Post)),
        signals.Disconnected: Rule(
            _disconnect_draining, (Draining, Gone), (signals.Bump, Clear), _SEATS
        ),
        signals.CheckQueue: Ignored("it is draining"),
        signals.StopRunner: Ignored("it is draining already"),
        signals.Start: Rule(_too_late, (Draining,), (signals.Lost,)),
        signals.Stop: Rule(_stop, (Draining,), (Post,)),
        signals.Happened: _happens(Draining),
    },
    Gone: {
        signals.Connected: Rule(_refuse, (Gone,), (HangUp,)),
        signals.Start: Rule(_too_late, (Gone,), (signals.Lost,)),
    },
}

_GONE = Ignored("it is gone")
TABLE: Table = complete(PHASES, SIGNALS, _ROWS, dict.fromkeys(SIGNALS, _GONE))
