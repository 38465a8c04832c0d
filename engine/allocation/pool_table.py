"""The pool's transition table: the serverless autoscaler.

Whatever happens, the pool looks for itself how many runners are wanted, and compares: with what it
has asked for, with what is in the index, and, because two decisions may have passed each other,
whether anybody waits although there is a free slot. Its step alone starts and stops runners.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from engine.allocation import board as boards
from engine.allocation import signals
from engine.allocation.parties import runner
from engine.allocation.pool_state import (
    PHASES,
    BackingOff,
    Held,
    PoolState,
    Steady,
    Surplus,
    Unmanaged,
    source_of,
)
from engine.allocation.rules import (
    Cell,
    Effect,
    Ignored,
    Reads,
    Request,
    Rule,
    Scene,
    Step,
    Table,
    Tell,
    complete,
    decided,
    ignored,
)
from engine.ports import Swap

BEGUN = 10
"""Requests that one step begins; the next follows at once."""
GOOD = 3
"""Requests that must not fail before the last error is forgotten."""
SHORTEST_LIFE_MS = 5_000
"""A runner that ends sooner, unasked, has failed: asking again at once would go on for ever."""

SIGNALS: tuple[type, ...] = (
    signals.Timer,
    signals.Bump,
    signals.Configure,
    signals.RequestBegan,
    signals.RequestEnded,
)
"""The table's columns."""

Decided = Step[PoolState]


def decide(state: PoolState, signal: signals.PoolSignal, scene: Scene) -> Decided:
    """What follows from the signal: pure."""
    return decided(TABLE, state, signal, type(signal), scene)


# -- what has happened ----------------------------------------------------------------------------


def _look(state: PoolState, signal: Any, scene: Scene) -> Decided:
    return _scaled(state, scene, ())


def _configure(state: PoolState, signal: signals.Configure, scene: Scene) -> Decided:
    """The index says the same as the state: whoever allocates reads it there."""
    board = scene.board
    body = boards.encode_config(signal.config)
    swap = Swap(board.partition, boards.CONFIG_ITEM, body, board.config_body)
    after = replace(state, config=signal.config, failures=0, error="", not_before=0, phase=Steady())
    step = _scaled(after, replace(scene, board=replace(board, config=signal.config)), ())
    return replace(step, swaps=(swap,), said=("configure", *step.said))


def _began(state: PoolState, signal: signals.RequestBegan, scene: Scene) -> Decided:
    held = state.held(signal.request)
    if held is None:  # given up, or its end was quicker: nobody watches this runner
        stop = Tell(runner(signal.runner), signals.StopRunner())
        return Step(state, ("stop a runner that nobody wants",), (stop,))
    if held.runner == signal.runner:
        return ignored(state, "its runner is known")
    effects: tuple[Effect, ...] = ()
    if held.draining_at:
        effects = (Tell(runner(signal.runner), signals.StopRunner()),)
    after = replace(
        _with(state, replace(held, runner=signal.runner)), successes=state.successes + 1
    )
    if after.successes >= GOOD:
        after = replace(after, failures=0, error="", not_before=0)
    return _scaled(after, scene, effects, "runner is there")


def _ended(state: PoolState, signal: signals.RequestEnded, scene: Scene) -> Decided:
    held = state.held(signal.request)
    if held is None:
        return ignored(state, "that request is over already")
    after = _without(state, (held,))
    effects: tuple[Effect, ...] = ()
    if held.runner in scene.board.entries:  # its process is gone: whoever sat there must move
        effects = (Tell(runner(held.runner), signals.StopRunner()),)
    if held.draining_at:
        return _scaled(after, scene, effects, "request ended")
    error = signal.error
    if not error and scene.now - held.began_at < SHORTEST_LIFE_MS:
        error = "the request ended early: the runner did not stay"
    if error:
        after = _failed(after, scene, error)
    return _scaled(after, scene, effects, "request ended")


# -- how many -------------------------------------------------------------------------------------


def _scaled(state: PoolState, scene: Scene, effects: tuple[Effect, ...], *said: str) -> Decided:
    """Begin what is missing, stop what is too much, and look when the next is due."""
    state, overdue = _overdue(_stopped_elsewhere(state, scene), scene)
    state, retired = _retired(state, scene)
    effects = (*effects, *retired, *_overlooked(scene))
    said = (*said, *overdue)
    if not state.config.serverless and not state.requests:
        return Step(replace(state, phase=Unmanaged()), said or ("look",), effects)
    desired = state.config.desired(boards.slots(scene.board)) if state.config.serverless else 0
    live = [held for held in state.requests if not held.draining_at]
    said = (*said, f"desired: {desired}")
    if len(live) < desired:
        return _more(state, scene, desired - len(live), effects, said)
    if len(live) > desired:
        return _fewer(state, scene, live, len(live) - desired, effects, said)
    return _timed(replace(state, phase=_calm(state, scene)), scene, effects, said)


def _calm(state: PoolState, scene: Scene) -> BackingOff | Steady:
    """The phase of a pool that has what it wants, or must not ask for more yet."""
    until = state.not_before
    return BackingOff(until, until) if until > scene.now else Steady()


def _more(
    state: PoolState, scene: Scene, missing: int, effects: tuple[Effect, ...], said: tuple[str, ...]
) -> Decided:
    phase = _calm(state, scene)
    if isinstance(phase, BackingOff):
        return _timed(replace(state, phase=phase), scene, effects, (*said, "backing off"))
    count = min(missing, BEGUN)
    source = source_of(state.config)
    begun = tuple(Held(id, scene.now, source) for id in scene.fresh[:count])
    requests = tuple(Request(each.id) for each in begun)
    after = replace(state, phase=Steady(), requests=(*state.requests, *begun))
    again = scene.now if missing > count else 0
    return _timed(after, scene, (*effects, *requests), (*said, "start"), again)


def _fewer(
    state: PoolState,
    scene: Scene,
    live: list[Held],
    surplus: int,
    effects: tuple[Effect, ...],
    said: tuple[str, ...],
) -> Decided:
    phase = state.phase
    since = phase.since if isinstance(phase, Surplus) else scene.now
    due = since + scene.settings.scale_down_ms
    if due > scene.now:
        return _timed(replace(state, phase=Surplus(since, due)), scene, effects, said, due)
    entries = scene.board.entries

    def rank(held: Held) -> tuple[int, int]:
        """Those that are not there yet, then the idle, then the newest."""
        entry = entries.get(held.runner)
        return (entry.taken if entry is not None else -1, -held.began_at)

    chosen = sorted(live, key=rank)[:surplus]
    after, stops = _drained(replace(state, phase=Steady()), scene, chosen)
    return _timed(after, scene, (*effects, *stops), (*said, "stop"))


def _overdue(state: PoolState, scene: Scene) -> tuple[PoolState, tuple[str, ...]]:
    """Requests whose end nobody has reported, and those that bring forth no runner."""
    settings, now = scene.settings, scene.now
    vanished: list[Held] = []
    barren: list[Held] = []
    for held in state.requests:
        if held.draining_at:
            if now >= held.draining_at + settings.drain_ms + settings.connect_ms:
                vanished.append(held)
        elif held.runner:
            if held.runner not in scene.board.entries:
                vanished.append(held)
        elif now >= held.began_at + settings.connect_ms:
            barren.append(held)
    state = _without(state, vanished)
    if not barren:
        return state, ()
    error = f"no runner has connected within {settings.connect_ms / 1000:g} s of its start"
    return _failed(_without(state, barren), scene, error), ("no runner came",)


def _stopped_elsewhere(state: PoolState, scene: Scene) -> PoolState:
    """Runners that end although the pool has not said so: by themselves, or an operator's word."""
    for held in state.requests:
        entry = scene.board.entries.get(held.runner)
        if entry is not None and entry.draining and not held.draining_at:
            state = _with(state, replace(held, draining_at=scene.now))
    return state


def _retired(state: PoolState, scene: Scene) -> tuple[PoolState, tuple[Effect, ...]]:
    """Runners that have lived long enough, or come from elsewhere than configured now."""
    source, settings = source_of(state.config), scene.settings
    old = [
        held
        for held in state.requests
        if not held.draining_at
        and (
            held.source != source
            or scene.now >= held.began_at + _lifespan(state, scene) - settings.drain_ms
        )
    ]
    return _drained(state, scene, old)


def _drained(
    state: PoolState, scene: Scene, chosen: Iterable[Held]
) -> tuple[PoolState, tuple[Effect, ...]]:
    """They do not count any more. One that is not there yet is stopped when it comes."""
    stops: list[Effect] = []
    for held in chosen:
        state = _with(state, replace(held, draining_at=scene.now))
        if held.runner:
            stops.append(Tell(runner(held.runner), signals.StopRunner()))
    return state, tuple(stops)


def _overlooked(scene: Scene) -> tuple[Effect, ...]:
    """Somebody waits although a slot is free: whoever decided so saw an older index."""
    board = scene.board
    if not board.pending:
        return ()
    best = boards.candidates(board, scene.now, scene.settings.eligible_ms)
    return tuple(Tell(runner(id), signals.CheckQueue()) for id in best[: len(board.pending)])


# -- helpers --------------------------------------------------------------------------------------


def _timed(
    state: PoolState, scene: Scene, effects: tuple[Effect, ...], said: tuple[str, ...], at: int = 0
) -> Decided:
    """The state with the time at which something of it is due next."""
    settings = scene.settings
    times = [at] if at else []
    if isinstance(state.phase, BackingOff):
        times.append(state.phase.until)
    for held in state.requests:
        if held.draining_at:
            times.append(held.draining_at + settings.drain_ms + settings.connect_ms)
        else:
            times.append(held.began_at + _lifespan(state, scene) - settings.drain_ms)
            if not held.runner:
                times.append(held.began_at + settings.connect_ms)
    due = min(times, default=0)
    return Step(replace(state, phase=replace(state.phase, due=due)), said, effects)


def _lifespan(state: PoolState, scene: Scene) -> int:
    return min(state.config.lifespan_ms, scene.settings.lifespan_most_ms)


def _failed(state: PoolState, scene: Scene, error: str) -> PoolState:
    settings, now = scene.settings, scene.now
    recent = now - state.failed_at < settings.backoff_reset_ms
    failures = state.failures + 1 if recent else 1
    doublings = min(failures - 1, settings.backoff_doublings)
    jitter = round(scene.chance * settings.backoff_jitter_ms)
    until = now + settings.backoff_ms * 2**doublings + jitter
    return replace(
        state,
        phase=BackingOff(until, until),
        failures=failures,
        failed_at=now,
        successes=0,
        error=error,
        not_before=until,
    )


def _with(state: PoolState, held: Held) -> PoolState:
    return replace(
        state, requests=tuple(held if each.id == held.id else each for each in state.requests)
    )


def _without(state: PoolState, gone: Iterable[Held]) -> PoolState:
    ids = {held.id for held in gone}
    return replace(state, requests=tuple(each for each in state.requests if each.id not in ids))


_SENDS = (Request, signals.StopRunner, signals.CheckQueue)
_MANAGED = (Steady, Surplus, BackingOff)
_INDEX = Reads.INDEX


def _row(to: tuple[type, ...]) -> dict[type, Cell]:
    """Of a pool that has, or may have, runners of its own."""
    return {
        signals.Timer: Rule(_look, to, _SENDS, _INDEX),
        signals.Bump: Rule(_look, to, _SENDS, _INDEX),
        signals.Configure: Rule(_configure, PHASES, _SENDS, _INDEX),
        signals.RequestBegan: Rule(_began, to, _SENDS, _INDEX),
        signals.RequestEnded: Rule(_ended, to, _SENDS, _INDEX),
    }


_ROWS: dict[type, dict[type, Cell]] = {
    Unmanaged: {
        signals.Timer: Ignored("nothing is due"),
        signals.Bump: Rule(_look, (Unmanaged,), (signals.CheckQueue,), _INDEX),
        signals.Configure: Rule(
            _configure, (Unmanaged, Steady), (Request, signals.CheckQueue), _INDEX
        ),
        signals.RequestBegan: Rule(_began, (Unmanaged,), (signals.StopRunner,)),
        signals.RequestEnded: Ignored("that request is over already"),
    },
    Steady: _row(PHASES),  # one that nobody manages any more, and that still has old runners
    Surplus: _row(_MANAGED),
    BackingOff: _row(_MANAGED),
}
TABLE: Table = complete(PHASES, SIGNALS, _ROWS, {})
