"""How an actor comes to a runner: wakes, alarms, the queue, and giving up."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from engine.allocation import frames, signals
from engine.allocation.actor_moves import OWNER_ITEM
from engine.allocation.actor_state import (
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
)
from engine.allocation.actor_table import decide
from engine.allocation.config import CrashPolicy
from engine.allocation.rules import Clear, Step
from tests.engine.allocation.scenes import (
    NOW,
    SERVERLESS,
    SETTINGS,
    a_board,
    a_scene,
    an_actor,
    an_entry,
    changed,
    is_ignored,
    kinds,
    told,
    waiting,
)

ASLEEP = an_actor(Sleeping())
QUEUED = an_actor(Pending(NOW - 5_000, NOW))
FREE = a_board({"n1": an_entry()})
FULL = a_board({"n1": an_entry(1, 1)}, config=SERVERLESS)
MINE = f"pending/{NOW - 5_000:015d}.a1"


def of_start(step: Step[ActorState]) -> signals.Start:
    ((_, signal),) = [each for each in told(step) if isinstance(each[1], signals.Start)]
    assert isinstance(signal, signals.Start)
    return signal


# -- a free slot ----------------------------------------------------------------------------------


def test_a_woken_actor_takes_a_free_slot_and_its_runner_is_told() -> None:
    step = decide(ASLEEP, signals.Wake(), a_scene(FREE))
    assert step.state.phase == Starting("n1", NOW + SETTINGS.start_ms)
    assert step.state.generation == 3
    start = signals.Start("a1", 3, "counter", ("main",), NOW - 90_000, 0)
    assert told(step) == [("runner:n1", start), ("pool:p", signals.Bump())]
    assert changed(step) == {
        "index/runner/n1": "replaced",
        "seat/n1/a1": "made",
        OWNER_ITEM: "made",
    }


def test_the_runner_is_told_of_the_alarm_that_is_set() -> None:
    step = decide(an_actor(Sleeping(), alarm_at=NOW + 9), signals.Wake(), a_scene(FREE))
    assert of_start(step).alarm_at == NOW + 9


def test_nobody_overtakes_those_who_wait() -> None:
    board = a_board({"n1": an_entry(2, 1)}, pending=[waiting()])
    step = decide(ASLEEP, signals.Wake(), a_scene(board))
    assert step.state.phase == Pending(NOW, NOW + SETTINGS.pending_ms)
    assert changed(step) == {f"pending/{NOW:015d}.a1": "made"}


def test_once_it_runs_requests_reach_it_and_the_error_is_forgotten() -> None:
    state = an_actor(Starting("n1", NOW + 1), error="crashed: boom")
    step = decide(state, signals.Reported("n1", 2, frames.Running()), a_scene())
    assert step.state.phase == Running("n1")
    assert (step.state.error, step.state.connectable_at) == ("", NOW)
    assert step.said == ("publish Ready",)


# -- wakes that change nothing, or later ----------------------------------------------------------


@pytest.mark.parametrize("phase", [Starting("n1", NOW + 1), Running("n1")])
def test_a_retry_wake_is_ignored_when_the_actor_is_allocated_already(
    phase: Starting | Running,
) -> None:
    step = decide(an_actor(phase), signals.Wake(), a_scene())
    assert step.said == ("ignored: it is not sleeping: it is allocated already",)


@pytest.mark.parametrize("phase", [SleepIntent("n1", NOW + 1), GoingAway("n1", NOW + 1)])
def test_a_wake_while_the_actor_stops_is_deferred_once(phase: SleepIntent | GoingAway) -> None:
    first = decide(an_actor(phase), signals.Wake(), a_scene())
    assert getattr(first.state.phase, "will_wake", None) is True
    assert first.said == ("defer wake after stop",)
    assert (first.effects, first.swaps) == ((), ())
    assert is_ignored(decide(first.state, signals.Wake(), a_scene()))


def test_a_deferred_wake_is_due_at_once_when_the_actor_has_stopped() -> None:
    state = an_actor(SleepIntent("n1", NOW + 1, True))
    stopped = decide(state, signals.Reported("n1", 2, frames.Stopped()), a_scene(FULL))
    assert stopped.state.phase == Sleeping(NOW)
    again = decide(stopped.state, signals.Timer(), a_scene(FREE))
    assert again.said[0] == "deferred wake"
    assert isinstance(again.state.phase, Starting)


def test_a_retry_wake_may_come_before_the_deferred_one() -> None:
    stopped = an_actor(Sleeping(NOW))
    woken = decide(stopped, signals.Wake(), a_scene(FREE))
    assert woken.state.phase == Starting("n1", NOW + SETTINGS.start_ms)
    assert woken.state.due > NOW  # nothing is left of the deferred one


def test_a_destroyed_actor_is_not_woken() -> None:
    assert is_ignored(decide(an_actor(Destroyed()), signals.Wake(), a_scene(FREE)))


# -- alarms ---------------------------------------------------------------------------------------


def test_the_runner_sets_and_clears_the_alarm_and_the_last_one_wins() -> None:
    state = an_actor(Running("n1"))
    for at in (NOW + 5, NOW + 9, 0):
        state = decide(state, signals.Reported("n1", 2, frames.Alarm(at)), a_scene()).state
        assert state.alarm_at == at


def test_an_actor_falls_asleep_until_its_alarm() -> None:
    state = an_actor(SleepIntent("n1", NOW + 1), alarm_at=NOW + 60_000)
    step = decide(state, signals.Reported("n1", 2, frames.Stopped()), a_scene(FULL))
    assert step.state.phase == Sleeping(NOW + 60_000)


def test_an_alarm_that_is_due_wakes_a_sleeping_actor() -> None:
    step = decide(an_actor(Sleeping(NOW), alarm_at=NOW), signals.Timer(), a_scene(FREE))
    assert step.said[0] == "alarm"
    assert of_start(step).alarm_at == NOW


def test_an_alarm_waits_for_a_slot_as_long_as_it_takes() -> None:
    step = decide(an_actor(Sleeping(NOW), alarm_at=NOW), signals.Timer(), a_scene(a_board()))
    assert step.state.phase == Pending(NOW, until=0)


def test_an_alarm_that_is_due_while_the_actor_runs_is_its_runners_and_sets_no_timer() -> None:
    state = an_actor(Running("n1"), alarm_at=NOW - 1)
    assert state.due == 0
    assert is_ignored(decide(state, signals.Timer(), a_scene()))


def test_an_alarm_that_came_due_while_the_actor_stopped_wakes_it_at_once() -> None:
    state = an_actor(SleepIntent("n1", NOW + 1), alarm_at=NOW - 1)
    step = decide(state, signals.Reported("n1", 2, frames.Stopped()), a_scene(FULL))
    assert 0 < step.state.due <= NOW


# -- no free slot ---------------------------------------------------------------------------------


@pytest.mark.parametrize("pend", [True, False])
def test_where_the_pool_starts_runners_everybody_waits_for_one(pend: bool) -> None:
    step = decide(ASLEEP, signals.Wake(pend), a_scene(FULL))
    assert isinstance(step.state.phase, Pending)
    assert told(step) == [("pool:p", signals.Bump())]


def test_on_an_unmanaged_pool_a_new_actor_without_a_slot_sleeps_and_says_why() -> None:
    step = decide(an_actor(Created(NOW), generation=0), signals.Timer(), a_scene(a_board()))
    assert (step.state.phase, step.state.error) == (Sleeping(), "no_capacity")
    assert (step.effects, step.swaps) == ((), ())


def test_on_an_unmanaged_pool_a_request_waits_for_a_runner_to_come() -> None:
    step = decide(ASLEEP, signals.Wake(), a_scene(a_board()))
    assert step.state.phase == Pending(NOW, NOW + SETTINGS.pending_ms)


@pytest.mark.parametrize("crash", [CrashPolicy.RESTART, CrashPolicy.DESTROY])
def test_on_an_unmanaged_pool_a_new_actor_that_is_to_run_waits(crash: CrashPolicy) -> None:
    created = an_actor(Created(NOW), generation=0, crash=crash)
    step = decide(created, signals.Timer(), a_scene(a_board()))
    assert step.state.phase == Pending(NOW, 0)


def test_no_capacity_does_not_hide_what_a_runner_has_caused() -> None:
    state = an_actor(Pending(NOW - 9, NOW), error="crashed: boom")
    step = decide(state, signals.Timer(), a_scene(a_board(waits=True)))
    assert step.state.error == "crashed: boom"


# -- in the queue ---------------------------------------------------------------------------------


def test_an_actor_in_the_queue_is_given_a_slot() -> None:
    step = decide(QUEUED, signals.Allocate("n1", 3), a_scene(FULL))
    assert step.state.phase == Starting("n1", NOW + SETTINGS.start_ms)
    assert changed(step) == {OWNER_ITEM: "made"}  # the seat was made by who gave it
    assert of_start(step).generation == 3


def test_a_slot_for_another_generation_is_ignored() -> None:
    assert is_ignored(decide(QUEUED, signals.Allocate("n1", 2), a_scene(FULL)))


def test_whoever_still_wants_an_actor_keeps_its_place_in_the_queue() -> None:
    step = decide(QUEUED, signals.Wake(), a_scene(FULL))
    assert step.state.phase == replace(QUEUED.phase, until=NOW + SETTINGS.pending_ms)
    assert (step.effects, step.swaps) == ((), ())


def test_a_wake_of_an_actor_that_waits_without_end_is_ignored() -> None:
    waiting = replace(QUEUED, phase=replace(QUEUED.phase, until=0))
    assert is_ignored(decide(waiting, signals.Wake(), a_scene(FULL)))


def test_an_actor_that_has_waited_long_enough_leaves_the_queue_and_sleeps() -> None:
    step = decide(QUEUED, signals.Timer(), a_scene(a_board(waits=True)))
    assert (step.state.phase, step.state.error) == (Sleeping(), "no_capacity")
    assert changed(step) == {MINE: "deleted"}
    assert told(step) == [("pool:p", signals.Bump())]


def test_an_actor_whose_slot_is_on_its_way_does_not_give_up() -> None:
    step = decide(QUEUED, signals.Timer(), a_scene(a_board(waits=False)))
    assert step.state.phase == Pending(NOW - 5_000, 0)
    assert step.state.due == 0  # it does not spin


def test_destroyed_while_still_in_the_queue_it_leaves_the_queue() -> None:
    step = decide(QUEUED, signals.Destroy(), a_scene(a_board(waits=True)))
    assert step.state.phase == Destroyed()
    assert changed(step) == {MINE: "deleted"}
    assert kinds(step.effects) == [signals.Bump, Clear]


def test_destroyed_when_its_slot_is_on_its_way_it_takes_the_slot_and_gives_it_back() -> None:
    doomed = decide(QUEUED, signals.Destroy(), a_scene(a_board(waits=False))).state
    assert doomed.phase == Pending(NOW - 5_000, 0, doomed=True)
    given = decide(doomed, signals.Allocate("n1", 3), a_scene(FULL))
    assert given.state.phase == Destroyed()
    assert changed(given) == {"seat/n1/a1": "deleted", "index/runner/n1": "replaced"}
    assert kinds(given.effects) == [signals.Bump, Clear]


def test_the_slot_of_a_doomed_actor_goes_to_the_next_in_the_queue() -> None:
    board = a_board({"n1": an_entry(1, 1)}, pending=[waiting()])
    doomed = an_actor(Pending(NOW - 5_000, 0, doomed=True))
    step = decide(doomed, signals.Allocate("n1", 3), a_scene(board))
    assert told(step) == [("actor:a9", signals.Allocate("n1", 3))]


def test_a_restart_waits_for_a_slot_as_long_as_a_request_does() -> None:
    step = decide(an_actor(Backoff(NOW), crashes=2), signals.Timer(), a_scene(a_board()))
    assert step.state.phase == Pending(NOW, NOW + SETTINGS.pending_ms)
