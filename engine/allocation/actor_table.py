"""The actor's transition table: what every signal means in every phase, and nothing else.

The facts are those of the seed's diagrams and of the source that they were drawn from; where the
two disagree, decisions D1 to D8 of docs/actors.md say what we do. A report of the runner is looked
up by what it reports. Whatever is said about a runner is held against the fence first: `decide`.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from engine.allocation import frames, signals
from engine.allocation.actor_moves import (
    allocate,
    asked_to_stop,
    bump,
    ended,
    given_up_waiting,
    left,
    out_of_queue,
    release,
    slept,
    started,
    stop_order,
)
from engine.allocation.actor_state import (
    CRASHED,
    NO_CAPACITY,
    PHASES,
    RUNNER_NO_RESPONSE,
    ActorState,
    Backoff,
    Created,
    Destroyed,
    GoingAway,
    Pending,
    Running,
    Sleeping,
    SleepIntent,
    Starting,
    StopIntent,
)
from engine.allocation.rules import (
    Cell,
    Clear,
    Ignored,
    Reads,
    Rule,
    Scene,
    Step,
    Table,
    complete,
    decided,
    ignored,
)

SIGNALS: tuple[type, ...] = (
    signals.Timer,
    signals.Wake,
    signals.Allocate,
    frames.Running,
    frames.Sleep,
    frames.Stop,
    frames.Alarm,
    frames.Stopped,
    signals.GoingAway,
    signals.Lost,
    signals.Sleep,
    signals.Destroy,
)
"""The table's columns."""


def decide(state: ActorState, signal: signals.ActorSignal, scene: Scene) -> Step[ActorState]:
    """What follows from the signal: pure."""
    if isinstance(signal, signals.Reported | signals.GoingAway | signals.Lost) and (
        (signal.generation, signal.runner) != (state.generation, state.runner)
    ):
        return ignored(state, "stale, of another generation or runner")
    column = type(signal.report) if isinstance(signal, signals.Reported) else type(signal)
    return decided(TABLE, state, signal, column, scene)


# -- waking ---------------------------------------------------------------------------------------


def _first(state: ActorState, signal: Any, scene: Scene) -> Step[ActorState]:
    return allocate(state, scene, pend=False)


def _wake(state: ActorState, signal: signals.Wake, scene: Scene) -> Step[ActorState]:
    if scene.now < state.not_before:
        return Step(replace(state, phase=Backoff(state.not_before)), ("back off",))
    until = scene.now + scene.settings.pending_ms
    return allocate(state, scene, pend=signal.pend, until=until)


def _due(state: ActorState, signal: Any, scene: Scene) -> Step[ActorState]:
    """The alarm or a deferred wake: nobody stands behind it who would try again."""
    if scene.now < state.not_before:
        return Step(replace(state, phase=Backoff(state.not_before)), ("back off",))
    said = "alarm" if 0 < state.alarm_at <= scene.now else "deferred wake"
    return allocate(state, scene, said, pend=True)


def _restart(state: ActorState, signal: Any, scene: Scene) -> Step[ActorState]:
    until = scene.now + scene.settings.pending_ms
    return allocate(state, scene, "the pause is over", pend=True, until=until)


def _defer_wake(state: ActorState, signal: Any, scene: Scene) -> Step[ActorState]:
    phase = state.phase
    assert isinstance(phase, SleepIntent | GoingAway)
    if phase.will_wake:
        return ignored(state, "a wake is deferred already")
    return Step(replace(state, phase=replace(phase, will_wake=True)), ("defer wake after stop",))


# -- waiting for a slot ---------------------------------------------------------------------------


def _given(state: ActorState, signal: signals.Allocate, scene: Scene) -> Step[ActorState]:
    phase = state.phase
    assert isinstance(phase, Pending)
    if signal.generation != state.generation + 1:
        return ignored(state, "a slot of another generation")
    if phase.doomed:
        swaps, effects = release(state, scene, signal.runner, signal.generation)
        return ended(state, scene, ("deallocate",), effects, swaps)
    return started(state, scene, signal.runner, ("allocate",))


def _keep_waiting(state: ActorState, signal: Any, scene: Scene) -> Step[ActorState]:
    """Whoever still wants it keeps its place in the queue."""
    phase = state.phase
    assert isinstance(phase, Pending)
    if not phase.until:
        return ignored(state, "it waits for a slot already")
    after = replace(state, phase=replace(phase, until=scene.now + scene.settings.pending_ms))
    return Step(after, ("go on waiting",))


def _give_up(state: ActorState, signal: Any, scene: Scene) -> Step[ActorState]:
    phase = state.phase
    assert isinstance(phase, Pending)
    if scene.board.waits:
        return given_up_waiting(state, scene, NO_CAPACITY, "no capacity, sleep")
    return Step(replace(state, phase=replace(phase, until=0)), ("a slot is on its way",))


def _stop_waiting(state: ActorState, signal: Any, scene: Scene) -> Step[ActorState]:
    if scene.board.waits:
        return given_up_waiting(state, scene, "", "leave the queue, sleep")
    return ignored(state, "a slot is on its way")


def _destroy_waiting(state: ActorState, signal: Any, scene: Scene) -> Step[ActorState]:
    phase = state.phase
    assert isinstance(phase, Pending)
    if scene.board.waits:
        return ended(
            state, scene, ("leave the queue",), (bump(state),), (out_of_queue(state, scene),)
        )
    after = replace(state, phase=replace(phase, until=0, doomed=True))
    return Step(after, ("destroy as soon as the slot is there, to give it back",))


# -- on a runner ----------------------------------------------------------------------------------


def _ready(state: ActorState, signal: Any, scene: Scene) -> Step[ActorState]:
    after = replace(
        state,
        phase=Running(state.runner),
        error="",
        started_at=state.started_at or scene.now,
        connectable_at=scene.now,
    )
    return Step(after, ("publish Ready",))


def _set_alarm(state: ActorState, signal: signals.Reported, scene: Scene) -> Step[ActorState]:
    assert isinstance(signal.report, frames.Alarm)
    return Step(replace(state, alarm_at=signal.report.at), ("set the alarm",))


def _mark_sleeping(state: ActorState, signal: Any, scene: Scene) -> Step[ActorState]:
    phase = SleepIntent(state.runner, scene.now + scene.settings.stop_ms)
    return asked_to_stop(state, scene, phase, "mark as sleeping")


def _go_away(state: ActorState, signal: Any, scene: Scene) -> Step[ActorState]:
    wanted = isinstance(state.phase, Starting)  # by whoever has it started
    phase = GoingAway(state.runner, scene.now + scene.settings.stop_ms, wanted)
    return asked_to_stop(state, scene, phase, "mark as going away")


def _mark_stopping(state: ActorState, signal: Any, scene: Scene) -> Step[ActorState]:
    phase = StopIntent(state.runner, scene.now + scene.settings.stop_ms)
    return asked_to_stop(state, scene, phase, "mark as stopping")


# -- off it ---------------------------------------------------------------------------------------


def _stopped(state: ActorState, signal: signals.Reported, scene: Scene) -> Step[ActorState]:
    assert isinstance(signal.report, frames.Stopped)
    if signal.report.error:
        return left(state, scene, f"{CRASHED}: {signal.report.error}")
    # unasked, and in peace: who still wants it wakes it, and a runner that always does this makes
    # no loop of starts
    step = left(state, scene, "")
    return replace(step, state=slept(step.state, scene))


def _stopped_as_asked(state: ActorState, signal: Any, scene: Scene) -> Step[ActorState]:
    return left(replace(state, crashes=0, not_before=0), scene, "")


def _lost(state: ActorState, signal: signals.Lost, scene: Scene) -> Step[ActorState]:
    return left(state, scene, signal.error, ("actor lost",))


def _silent(state: ActorState, signal: Any, scene: Scene) -> Step[ActorState]:
    """The runner has not answered in time: given up, and told to stop in case that it lives."""
    error = f"{RUNNER_NO_RESPONSE}: {state.runner}"
    step = left(state, scene, error, ("runner does not respond",))
    return replace(step, effects=(stop_order(state, scene), *step.effects))


# -- for good -------------------------------------------------------------------------------------


def _destroy(state: ActorState, signal: Any, scene: Scene) -> Step[ActorState]:
    return ended(state, scene)


def _rest(state: ActorState, signal: Any, scene: Scene) -> Step[ActorState]:
    return Step(slept(state, scene), ("sleep",))


_TO_A_RUNNER = (Starting, Pending)
_SENT = (signals.Start, signals.Bump)
_LEFT = (Sleeping, Backoff, Destroyed)
_FREED = (signals.Bump, signals.Allocate)
_LOST = (*_FREED, Clear)
_INDEX, _WAITS = Reads.INDEX, Reads.WAITS

_SLEEP = Rule(_mark_sleeping, (SleepIntent,), (signals.Stop,))
_STOP = Rule(_mark_stopping, (StopIntent,), (signals.Stop,))
_END = Rule(_destroy, (Destroyed,), (Clear,))
_IN_STOP = Ignored("already marked as stopping")


def _alarm(phase: type) -> Rule:
    return Rule(_set_alarm, (phase,))


_ROWS: dict[type, dict[type, Cell]] = {
    Created: {
        signals.Timer: Rule(_first, (*_TO_A_RUNNER, Sleeping), _SENT, _INDEX),
        signals.Wake: Rule(_wake, (*_TO_A_RUNNER, Sleeping), _SENT, _INDEX),
        signals.Sleep: Rule(_rest, (Sleeping,)),
        signals.Destroy: _END,
    },
    Pending: {
        signals.Timer: Rule(_give_up, (Pending, Sleeping), (signals.Bump,), _WAITS),
        signals.Wake: Rule(_keep_waiting, (Pending,)),
        signals.Allocate: Rule(_given, (Starting, Destroyed), (*_SENT, *_LOST), _INDEX),
        signals.Sleep: Rule(_stop_waiting, (Sleeping,), (signals.Bump,), _WAITS),
        signals.Destroy: Rule(
            _destroy_waiting, (Pending, Destroyed), (signals.Bump, Clear), _WAITS
        ),
    },
    Starting: {
        signals.Timer: Rule(_silent, _LEFT, (signals.Stop, *_LOST), _INDEX),
        frames.Running: Rule(_ready, (Running,)),
        frames.Sleep: _SLEEP,
        frames.Stop: _STOP,
        frames.Alarm: _alarm(Starting),
        frames.Stopped: Rule(_stopped, _LEFT, _LOST, _INDEX),
        signals.GoingAway: Rule(_go_away, (GoingAway,), (signals.Stop,)),
        signals.Lost: Rule(_lost, _LEFT, _LOST, _INDEX),
        signals.Sleep: _SLEEP,
        signals.Destroy: _STOP,
    },
    Running: {
        signals.Timer: Ignored("its runner watches its alarm"),
        frames.Sleep: _SLEEP,
        frames.Stop: _STOP,
        frames.Alarm: _alarm(Running),
        frames.Stopped: Rule(_stopped, _LEFT, _LOST, _INDEX),
        signals.GoingAway: Rule(_go_away, (GoingAway,), (signals.Stop,)),
        signals.Lost: Rule(_lost, _LEFT, _LOST, _INDEX),
        signals.Sleep: _SLEEP,
        signals.Destroy: _STOP,
    },
    SleepIntent: {
        signals.Timer: Rule(_silent, (Sleeping,), (signals.Stop, *_FREED), _INDEX),
        signals.Wake: Rule(_defer_wake, (SleepIntent,)),
        frames.Running: Ignored("already marked as sleeping"),
        frames.Sleep: Ignored("already marked as sleeping"),
        frames.Stop: _STOP,
        frames.Alarm: _alarm(SleepIntent),
        frames.Stopped: Rule(_stopped_as_asked, (Sleeping,), _FREED, _INDEX),
        signals.GoingAway: Ignored("already marked as sleeping"),
        signals.Lost: Rule(_lost, (Sleeping,), _FREED, _INDEX),
        signals.Sleep: Ignored("already marked as sleeping"),
        signals.Destroy: _STOP,
    },
    GoingAway: {
        signals.Timer: Rule(_silent, (Sleeping,), (signals.Stop, *_FREED), _INDEX),
        signals.Wake: Rule(_defer_wake, (GoingAway,)),
        frames.Running: Ignored("already marked as going away"),
        frames.Sleep: Ignored("already marked as going away"),
        frames.Stop: _STOP,
        frames.Alarm: _alarm(GoingAway),
        frames.Stopped: Rule(_stopped_as_asked, (Sleeping,), _FREED, _INDEX),
        signals.Lost: Rule(_lost, (Sleeping,), _FREED, _INDEX),
        signals.Sleep: Ignored("already marked as going away"),
        signals.Destroy: _STOP,
    },
    StopIntent: {
        signals.Timer: Rule(_silent, (Destroyed,), (signals.Stop, *_LOST), _INDEX),
        signals.Wake: Ignored("it ends for good"),
        frames.Running: _IN_STOP,
        frames.Sleep: _IN_STOP,
        frames.Stop: _IN_STOP,
        frames.Alarm: _IN_STOP,
        frames.Stopped: Rule(_stopped_as_asked, (Destroyed,), _LOST, _INDEX),
        signals.GoingAway: _IN_STOP,
        signals.Lost: Rule(_lost, (Destroyed,), _LOST, _INDEX),
        signals.Sleep: _IN_STOP,
        signals.Destroy: _IN_STOP,
    },
    Sleeping: {
        signals.Timer: Rule(_due, (*_TO_A_RUNNER, Backoff), _SENT, _INDEX),
        signals.Wake: Rule(_wake, (*_TO_A_RUNNER, Sleeping, Backoff), _SENT, _INDEX),
        signals.Sleep: Ignored("it sleeps already"),
        signals.Destroy: _END,
    },
    Backoff: {
        signals.Timer: Rule(_restart, _TO_A_RUNNER, _SENT, _INDEX),
        signals.Wake: Ignored("it wakes when the pause after its crashes is over"),
        signals.Sleep: Rule(_rest, (Sleeping,)),
        signals.Destroy: _END,
    },
    Destroyed: {},
}

_NO_RUNNER = Ignored("it is on no runner")
_DEFAULT: dict[type, Ignored] = {
    signals.Timer: Ignored("nothing is due"),
    signals.Wake: Ignored("it is not sleeping: it is allocated already"),
    signals.Allocate: Ignored("it does not wait for a slot"),
    frames.Running: Ignored("it runs already"),
    frames.Sleep: _NO_RUNNER,
    frames.Stop: _NO_RUNNER,
    frames.Alarm: _NO_RUNNER,
    frames.Stopped: _NO_RUNNER,
    signals.GoingAway: Ignored("it is on no such runner, or going away already"),
    signals.Lost: _NO_RUNNER,
    signals.Sleep: Ignored("it has ended"),
    signals.Destroy: Ignored("it has ended"),
}
TABLE: Table = complete(PHASES, SIGNALS, _ROWS, _DEFAULT)
