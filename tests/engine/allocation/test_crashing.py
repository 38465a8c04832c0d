"""What becomes of an actor that has crashed, or whose runner was lost."""

from __future__ import annotations

import pytest

from engine.allocation import frames, signals
from engine.allocation.actor_state import (
    ActorState,
    Backoff,
    Destroyed,
    Running,
    Sleeping,
    Starting,
)
from engine.allocation.actor_table import decide
from engine.allocation.config import CrashPolicy
from engine.allocation.rules import Clear
from tests.engine.allocation.scenes import (
    NOW,
    SETTINGS,
    a_board,
    a_scene,
    an_actor,
    an_entry,
    kinds,
    told,
)

HERE = a_board({"n1": an_entry(1, 1)})
CRASH = signals.Reported("n1", 2, frames.Stopped("boom"))
LOST = signals.Lost("n1", 2, "runner_connection_lost: n1")


def crashed(
    state: ActorState, *, now: int = NOW, chance: float = 0.0, signal: signals.ActorSignal = CRASH
) -> ActorState:
    return decide(state, signal, a_scene(HERE, now=now, chance=chance)).state


def test_by_default_it_sleeps_and_shows_what_was_wrong() -> None:
    state = crashed(an_actor())
    assert (state.phase, state.error, state.crashes) == (Sleeping(), "crashed: boom", 1)


def test_to_be_restarted_it_backs_off_first_and_then_not_at_all() -> None:
    state = crashed(an_actor(crash=CrashPolicy.RESTART))
    assert state.phase == Backoff(NOW)
    again = decide(state, signals.Timer(), a_scene(a_board({"n2": an_entry()})))
    assert isinstance(again.state.phase, Starting)
    assert again.said[0] == "the pause is over"


def test_to_be_destroyed_it_ends_and_its_data_goes() -> None:
    step = decide(an_actor(crash=CrashPolicy.DESTROY), CRASH, a_scene(HERE))
    assert (step.state.phase, step.state.error) == (Destroyed(), "crashed: boom")
    assert kinds(step.effects) == [signals.Bump, Clear]


@pytest.mark.parametrize(
    ("crash", "phase"),
    [
        (CrashPolicy.SLEEP, Sleeping()),
        (CrashPolicy.RESTART, Backoff(NOW)),
        (CrashPolicy.DESTROY, Destroyed()),
    ],
)
def test_a_lost_runner_is_a_crash_of_its_actors(crash: CrashPolicy, phase: object) -> None:
    state = crashed(an_actor(crash=crash), signal=LOST)
    assert (state.phase, state.error) == (phase, "runner_connection_lost: n1")


def test_a_runner_that_does_not_take_the_actor_over_is_a_crash() -> None:
    state = an_actor(Starting("n1", NOW), crash=CrashPolicy.RESTART)
    step = decide(state, signals.Timer(), a_scene(HERE))
    assert (step.state.phase, step.state.error) == (Backoff(NOW), "runner_no_response: n1")
    assert told(step)[0] == ("runner:n1", signals.Stop("a1", 2, False))


def test_the_pause_doubles_from_the_second_crash_in_a_row_on_up_to_a_bound() -> None:
    state, now, pauses = an_actor(crash=CrashPolicy.RESTART), NOW, []
    for _ in range(12):
        state = crashed(state, now=now)
        pauses.append(state.due - now)
        now += 1_000
        state = an_actor(
            Running("n1"),
            crash=state.crash,
            crashes=state.crashes,
            crashed_at=state.crashed_at,
        )
    expected = [0, *(2_000 * 2**n for n in range(9)), 512_000, 512_000]
    assert pauses == expected


def test_after_long_enough_without_a_crash_the_next_one_is_the_first_again() -> None:
    state = an_actor(crash=CrashPolicy.RESTART, crashes=5, crashed_at=NOW)
    just_before = NOW + SETTINGS.backoff_reset_ms - 1
    assert crashed(state, now=just_before).crashes == 6
    after = crashed(state, now=just_before + 1)
    assert (after.crashes, after.phase) == (1, Backoff(just_before + 1))


def test_the_pause_is_jittered_by_up_to_half_a_second() -> None:
    state = an_actor(crash=CrashPolicy.RESTART, crashes=1, crashed_at=NOW - 1)
    pauses = [crashed(state, chance=chance).due - NOW for chance in (0.0, 0.5, 0.999)]
    assert pauses == [2_000, 2_250, 2_500]


def test_a_wake_during_the_pause_is_put_off_until_its_end() -> None:
    asleep = crashed(an_actor(crashes=1, crashed_at=NOW - 1))
    assert (asleep.phase, asleep.not_before) == (Sleeping(), NOW + 2_000)
    for signal in (signals.Wake(), signals.Timer()):
        assert decide(asleep, signal, a_scene()).state.phase == Backoff(NOW + 2_000)
    later = decide(asleep, signals.Wake(), a_scene(a_board({"n2": an_entry()}), now=NOW + 2_000))
    assert isinstance(later.state.phase, Starting)


def test_an_alarm_during_the_pause_does_not_spin() -> None:
    asleep = crashed(an_actor(crashes=1, crashed_at=NOW - 1, alarm_at=NOW - 5))
    assert asleep.due == NOW - 5
    put_off = decide(asleep, signals.Timer(), a_scene()).state
    assert put_off.due == NOW + 2_000


def test_an_actor_that_just_stopped_unasked_has_not_crashed() -> None:
    stopped = signals.Reported("n1", 2, frames.Stopped())
    state = crashed(an_actor(), signal=stopped)
    assert (state.phase, state.error, state.crashes) == (Sleeping(), "", 0)
