"""How an actor leaves its runner, and what the decisions D1, D2, D4, D5 and D7 say of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from engine.allocation import frames, signals
from engine.allocation import runner_state as runners
from engine.allocation.actor_moves import OWNER_ITEM
from engine.allocation.actor_state import (
    Backoff,
    Created,
    Destroyed,
    GoingAway,
    Pending,
    Phase,
    Running,
    Sleeping,
    SleepIntent,
    Starting,
    StopIntent,
)
from engine.allocation.actor_table import decide
from engine.allocation.config import CrashPolicy
from engine.allocation.rules import Clear, Evict
from engine.allocation.runner_table import decide as decide_runner
from tests.engine.allocation.scenes import (
    NOW,
    SETTINGS,
    a_board,
    a_runner,
    a_scene,
    an_actor,
    an_entry,
    changed,
    is_ignored,
    kinds,
    told,
    waiting,
)

HERE = a_board({"n1": an_entry(1, 1)})
STOPPED = signals.Reported("n1", 2, frames.Stopped())
WANTS_SLEEP = signals.Reported("n1", 2, frames.Sleep())
LET_GO = ("runner:n1", signals.Stop("a1", 2, False))
LET_GO_FOREVER = ("runner:n1", signals.Stop("a1", 2, True))
UNTIL = NOW + SETTINGS.stop_ms


# -- asked to stop --------------------------------------------------------------------------------


def test_an_actor_that_wants_to_sleep_is_told_to_stop_once_and_a_second_intent_is_ignored() -> None:
    first = decide(an_actor(), WANTS_SLEEP, a_scene())
    assert first.state.phase == SleepIntent("n1", UNTIL)
    assert (first.state.slept_at, first.state.connectable_at) == (NOW, 0)
    assert told(first) == [LET_GO]
    second = decide(first.state, WANTS_SLEEP, a_scene(now=NOW + 10))
    assert second.said == ("ignored: already marked as sleeping",)
    assert second.state.due == UNTIL  # nor has it more time


def test_a_late_running_does_not_make_a_stopping_actor_reachable() -> None:
    running = signals.Reported("n1", 2, frames.Running())
    for phase in (SleepIntent("n1", UNTIL), GoingAway("n1", UNTIL), StopIntent("n1", UNTIL)):
        assert is_ignored(decide(an_actor(phase), running, a_scene()))


def test_a_stopped_actor_gives_its_slot_and_its_data_back() -> None:
    step = decide(an_actor(SleepIntent("n1", UNTIL)), STOPPED, a_scene(HERE))
    assert changed(step) == {
        "seat/n1/a1": "deleted",
        "index/runner/n1": "replaced",
        OWNER_ITEM: "deleted",
    }
    assert told(step) == [("pool:p", signals.Bump())]


def test_the_slot_goes_to_whoever_waits_longest_and_the_pool_is_not_bumped() -> None:
    board = a_board({"n1": an_entry(1, 1)}, pending=[waiting("a8"), waiting("a9")])
    step = decide(an_actor(SleepIntent("n1", UNTIL)), STOPPED, a_scene(board))
    assert told(step) == [("actor:a8", signals.Allocate("n1", 3))]


def test_the_slot_of_a_runner_that_is_gone_is_gone_too() -> None:
    step = decide(an_actor(SleepIntent("n1", UNTIL)), STOPPED, a_scene(a_board()))
    assert changed(step) == {"seat/n1/a1": "deleted", OWNER_ITEM: "deleted"}


def test_a_runner_that_does_not_answer_is_given_up_and_told_to_stop_in_case_that_it_lives() -> None:
    state = an_actor(SleepIntent("n1", NOW))
    step = decide(state, signals.Timer(), a_scene(HERE))
    assert (step.state.phase, step.state.error) == (Sleeping(), "runner_no_response: n1")
    assert told(step) == [LET_GO, ("pool:p", signals.Bump())]


# -- the decisions --------------------------------------------------------------------------------


def test_d1_stopped_is_published_with_the_deallocation_and_before_the_deferred_wake() -> None:
    state = an_actor(SleepIntent("n1", UNTIL, will_wake=True))
    step = decide(state, STOPPED, a_scene(HERE))
    assert step.said == ("deallocate", "publish Stopped")
    assert step.state.stops == state.stops + 1
    assert step.state.phase == Sleeping(NOW)  # the allocation is a step of its own
    assert step.state.generation == state.generation


def test_d2_a_stopped_runner_leaves_the_index_at_once_and_its_actors_are_told_to_move() -> None:
    board = a_board({"n1": an_entry(2, 1)}, seats={"a1": 2})
    connected = a_runner(runners.Connected(NOW + 1))
    step = decide_runner(connected, signals.StopRunner(), a_scene(board, me="n1"))
    assert step.state.phase == runners.Draining(NOW + SETTINGS.drain_ms)
    assert told(step) == [("actor:a1", signals.GoingAway("n1", 2)), ("pool:p", signals.Bump())]
    assert changed(step) == {"index/runner/n1": "replaced"}


def test_d2_when_the_grace_is_over_the_runner_is_closed_and_what_it_has_is_lost_at_once() -> None:
    board = a_board({"n1": an_entry(2, 1, is_open=False)}, seats={"a1": 2})
    draining = a_runner(runners.Draining(NOW))
    step = decide_runner(draining, signals.Timer(), a_scene(board, me="n1"))
    assert step.state.phase == runners.Gone()
    assert kinds(step.effects) == [Evict, signals.Lost, signals.Bump, Clear]
    assert told(step)[0] == ("actor:a1", signals.Lost("n1", 2, ""))
    assert changed(step) == {"index/runner/n1": "deleted"}


def test_d3_a_runner_is_stopped_although_an_actor_runs_on_it() -> None:
    """The pool's side of it is `test_pools.py`; here is what becomes of the actor."""
    step = decide(an_actor(), signals.GoingAway("n1", 2), a_scene())
    assert step.state.phase == GoingAway("n1", UNTIL)
    assert told(step) == [LET_GO]


@pytest.mark.parametrize("crash", CrashPolicy)
@pytest.mark.parametrize("phase", [GoingAway("n1", UNTIL), Running("n1"), Starting("n1", UNTIL)])
@pytest.mark.parametrize("end", [STOPPED, signals.Lost("n1", 2), signals.Timer()])
def test_d4_a_drain_never_destroys_an_actor_and_counts_no_crash(
    crash: CrashPolicy, phase: Phase, end: signals.ActorSignal
) -> None:
    if not isinstance(end, signals.Lost) and not isinstance(phase, GoingAway):
        return  # that is no drain
    step = decide(an_actor(phase, crash=crash), end, a_scene(HERE))
    again = crash is not CrashPolicy.SLEEP or isinstance(phase, Starting)
    assert step.state.phase == Sleeping(NOW if again else 0)
    assert step.state.crashes == 0


@pytest.mark.parametrize("crash", CrashPolicy)
@pytest.mark.parametrize("phase", [Running("n1"), Starting("n1", UNTIL)])
def test_an_actor_that_its_runner_lets_go_unasked_sleeps_until_somebody_wants_it(
    crash: CrashPolicy, phase: Phase
) -> None:
    step = decide(an_actor(phase, crash=crash), STOPPED, a_scene(HERE))
    assert step.state.phase == Sleeping()
    assert step.state.crashes == 0


def test_d4_an_actor_that_was_on_its_way_to_a_runner_that_drains_goes_elsewhere() -> None:
    state = an_actor(Starting("n1", UNTIL))
    step = decide(state, signals.GoingAway("n1", 2), a_scene())
    assert step.state.phase == GoingAway("n1", UNTIL, will_wake=True)


@pytest.mark.parametrize("error", ["", "it did not save"])
@pytest.mark.parametrize("phase", [SleepIntent("n1", UNTIL), GoingAway("n1", UNTIL)])
def test_d5_a_stop_that_was_asked_for_is_no_crash_and_ends_the_backoff(
    phase: Phase, error: str
) -> None:
    state = an_actor(phase, crashes=4, crashed_at=NOW - 9, not_before=NOW + 9)
    stopped = signals.Reported("n1", 2, frames.Stopped(error))
    step = decide(state, stopped, a_scene(HERE))
    assert isinstance(step.state.phase, Sleeping)
    assert (step.state.crashes, step.state.not_before, step.state.error) == (0, 0, "")


def test_d7_the_slots_of_a_stopped_runner_are_nobodys_before_its_grace_is_over() -> None:
    closed = a_board({"n1": an_entry(1, 1, is_open=False)}, pending=[waiting()])
    step = decide(an_actor(GoingAway("n1", UNTIL)), STOPPED, a_scene(closed))
    assert told(step) == [("pool:p", signals.Bump())]


# -- for good -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "phase", [Starting("n1", 1), Running("n1"), SleepIntent("n1", 1), GoingAway("n1", 1)]
)
def test_an_actor_on_a_runner_is_destroyed_when_it_has_stopped(phase: Phase) -> None:
    asked = decide(an_actor(phase), signals.Destroy(), a_scene())
    assert asked.state.phase == StopIntent("n1", UNTIL)
    assert told(asked) == [LET_GO_FOREVER]
    for end in (STOPPED, signals.Timer(), signals.Lost("n1", 2, "runner_connection_lost: n1")):
        step = decide(asked.state, end, a_scene(HERE))
        assert step.state.phase == Destroyed()
        assert step.state.destroyed_at == NOW
        assert kinds(step.effects)[-1] is Clear
        assert changed(step)["seat/n1/a1"] == "deleted"


@pytest.mark.parametrize("phase", [Created(NOW), Sleeping(), Sleeping(NOW + 9), Backoff(NOW + 9)])
def test_an_actor_on_no_runner_is_destroyed_at_once(phase: Phase) -> None:
    step = decide(an_actor(phase, alarm_at=NOW + 9), signals.Destroy(), a_scene())
    assert (step.state.phase, step.state.alarm_at) == (Destroyed(), 0)
    assert kinds(step.effects) == [Clear]


@pytest.mark.parametrize("phase", [StopIntent("n1", UNTIL), Destroyed()])
def test_destroying_twice_is_destroying_once(phase: Phase) -> None:
    assert is_ignored(decide(an_actor(phase), signals.Destroy(), a_scene()))


def test_an_actor_can_end_itself() -> None:
    wants_end = signals.Reported("n1", 2, frames.Stop())
    for phase in (Starting("n1", 1), Running("n1"), SleepIntent("n1", 1), GoingAway("n1", 1)):
        step = decide(an_actor(phase), wants_end, a_scene())
        assert step.state.phase == StopIntent("n1", UNTIL)


# -- an operator sends it to sleep ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "after"),
    [
        (Created(NOW), Sleeping()),
        (Starting("n1", UNTIL), SleepIntent("n1", UNTIL)),
        (Running("n1"), SleepIntent("n1", UNTIL)),
        (Backoff(NOW + 9), Sleeping()),
    ],
)
def test_an_operator_sends_an_actor_to_sleep(phase: Phase, after: Phase) -> None:
    step = decide(an_actor(phase), signals.Sleep(), a_scene())
    assert step.state.phase == after


def test_an_operator_takes_an_actor_out_of_the_queue_unless_its_slot_is_on_its_way() -> None:
    state = an_actor(Pending(NOW - 9, NOW + 9))
    step = decide(state, signals.Sleep(), a_scene(a_board(waits=True)))
    assert (step.state.phase, step.state.error) == (Sleeping(), "")
    assert list(changed(step).values()) == ["deleted"]
    assert is_ignored(decide(state, signals.Sleep(), a_scene(a_board(waits=False))))


SLEEPS_ALREADY: Sequence[Phase] = (
    SleepIntent("n1", UNTIL),
    GoingAway("n1", UNTIL),
    StopIntent("n1", UNTIL),
    Sleeping(),
    Destroyed(),
)


@pytest.mark.parametrize("phase", SLEEPS_ALREADY, ids=str)
def test_an_operators_sleep_means_nothing_to_an_actor_that_stops_or_sleeps(phase: Phase) -> None:
    assert is_ignored(decide(an_actor(phase), signals.Sleep(), a_scene()))


def test_an_operators_sleep_leaves_the_alarm() -> None:
    step = decide(an_actor(Backoff(NOW + 1), alarm_at=NOW + 9), signals.Sleep(), a_scene())
    assert step.state.phase == Sleeping(NOW + 9)
