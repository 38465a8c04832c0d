"""A pool: how many runners it wants, and how it comes to them and gets rid of them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from engine.allocation import signals
from engine.allocation.board import Board
from engine.allocation.config import PoolConfig
from engine.allocation.pool_state import (
    BackingOff,
    Held,
    PoolState,
    Steady,
    Surplus,
    Unmanaged,
    source_of,
)
from engine.allocation.pool_table import BEGUN, GOOD, decide
from engine.allocation.rules import Request, Step
from tests.engine.allocation.cases import held
from tests.engine.allocation.scenes import (
    NOW,
    SERVERLESS,
    SETTINGS,
    UNMANAGED,
    a_board,
    a_pool,
    a_scene,
    an_entry,
    changed,
    is_ignored,
    kinds,
    told,
    waiting,
)

LOOK = signals.Bump()
ONE_WAITS = a_board(pending=[waiting()])
STOP_N1 = ("runner:n1", signals.StopRunner())
LIFESPAN_S = SERVERLESS.lifespan_ms / 1000


def look(
    state: PoolState,
    board: Board | None = None,
    *,
    now: int = NOW,
    signal: signals.PoolSignal = LOOK,
    chance: float = 0.0,
) -> Step[PoolState]:
    return decide(state, signal, a_scene(board, me="p", now=now, chance=chance))


def steady(*requests: Held, config: PoolConfig = SERVERLESS, **changes: object) -> PoolState:
    return a_pool(Steady(), config, requests=requests, **changes)


def own(config: PoolConfig, requests: tuple[Held, ...]) -> tuple[Held, ...]:
    """The requests, as this configuration begins them."""
    return tuple(replace(each, source=source_of(config)) for each in requests)


def begun(step: Step[PoolState]) -> int:
    return kinds(step.effects).count(Request)


# -- how many -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slots", "slots_per_runner", "least", "most", "margin", "desired"),
    [
        (0, 1, 0, 1000, 0, 0),
        (1, 1, 0, 1000, 0, 1),
        (5, 1, 0, 1000, 0, 5),
        (5, 2, 0, 1000, 0, 3),
        (6, 2, 0, 1000, 0, 3),
        (-3, 1, 0, 1000, 0, 0),
        (0, 1, 2, 1000, 0, 2),
        (1, 1, 2, 1000, 0, 2),
        (3, 1, 2, 1000, 0, 3),
        (0, 1, 0, 1000, 1, 1),
        (3, 1, 0, 1000, 2, 5),
        (1, 1, 2, 1000, 1, 3),  # the margin comes on top of the least
        (50, 1, 0, 10, 0, 10),
        (9, 1, 0, 10, 3, 10),
        (0, 1, 10, 10, 5, 10),
        (10_000, 100, 0, 1000, 0, 100),
    ],
)
def test_how_many_runners_are_wanted(
    slots: int, slots_per_runner: int, least: int, most: int, margin: int, desired: int
) -> None:
    config = PoolConfig(
        slots_per_runner=slots_per_runner, min_runners=least, max_runners=most, margin=margin
    )
    assert config.desired(slots) == desired


def test_who_holds_a_slot_counts_and_who_waits() -> None:
    board = a_board({"n1": an_entry(2, 2), "n2": an_entry(2, 1)}, pending=[waiting()])
    step = look(steady(held(runner="n1"), held("q-2", runner="n2")), board)
    assert step.said == ("desired: 4", "start")
    assert begun(step) == 2


def test_scaled_to_zero_it_does_nothing_and_waits_for_nothing() -> None:
    step = look(steady())
    assert (step.said, step.effects, step.state.due) == (("desired: 0",), (), 0)


# -- more -----------------------------------------------------------------------------------------


def test_an_actor_that_waits_has_a_runner_started() -> None:
    step = look(steady(), ONE_WAITS)
    assert step.effects == (Request("q0"),)
    assert [each.id for each in step.state.requests] == ["q0"]
    assert step.state.due == NOW + SETTINGS.connect_ms


def test_a_runner_that_is_being_started_is_not_started_twice() -> None:
    step = look(steady(held(began_ago_s=1)), ONE_WAITS)
    assert begun(step) == 0


def test_one_step_starts_so_many_and_the_next_follows_at_once() -> None:
    crowd = a_board(pending=[waiting(f"a{number:02}") for number in range(25)])
    step = look(steady(), crowd)
    assert (begun(step), step.state.due) == (BEGUN, NOW)
    assert BEGUN == 10


# -- fewer ----------------------------------------------------------------------------------------


def test_a_runner_too_many_is_stopped_only_when_it_has_been_that_for_a_while() -> None:
    state = steady(held(runner="n1"))
    board = a_board({"n1": an_entry()})
    first = look(state, board)
    due = NOW + SETTINGS.scale_down_ms
    assert (first.state.phase, first.effects) == (Surplus(NOW, due), ())
    second = look(first.state, board, now=NOW + 500)
    assert second.state.phase == Surplus(NOW, due)  # it does not begin again
    third = look(second.state, board, now=due)
    assert told(third) == [STOP_N1]
    assert third.state.requests[0].draining_at == due


def test_a_deferred_wake_takes_the_slot_before_its_runner_is_stopped() -> None:
    surplus = look(steady(held(runner="n1")), a_board({"n1": an_entry()})).state
    step = look(surplus, a_board({"n1": an_entry(1, 1)}), now=NOW + SETTINGS.scale_down_ms)
    assert (type(step.state.phase), step.effects) == (Steady, ())


def test_those_that_are_not_there_yet_are_stopped_first_then_the_idle_then_the_newest() -> None:
    requests = (
        held("q-1", 40, "n1"),
        held("q-2", 30, "n2"),
        held("q-3", 20, "n3"),
        held("q-4", 2),
    )
    entries = {"n1": an_entry(9, 2), "n2": an_entry(9, 0), "n3": an_entry(9, 0)}
    stopped = []
    for least in (3, 2, 1):
        config = replace(SERVERLESS, slots_per_runner=9, min_runners=least)
        state = a_pool(Surplus(0, NOW), config, requests=own(config, requests))
        step = look(state, a_board(entries))
        stopped.append([each.id for each in step.state.requests if each.draining_at])
    assert stopped == [["q-4"], ["q-3", "q-4"], ["q-2", "q-3", "q-4"]]


def test_a_request_that_is_not_wanted_any_more_has_its_runner_stopped_when_it_comes() -> None:
    state = steady(held(began_ago_s=2, draining_at=NOW - 1))
    step = look(state, a_board({"n1": an_entry()}), signal=signals.RequestBegan("q-1", "n1"))
    assert told(step) == [STOP_N1]


# -- the lifespan ---------------------------------------------------------------------------------


def test_an_old_runner_is_drained_before_its_time_is_over_and_another_is_started_at_once() -> None:
    grace_s = SETTINGS.drain_ms / 1000
    busy = a_board({"n1": an_entry(1, 1)})
    young = look(steady(held(began_ago_s=LIFESPAN_S - grace_s - 0.001, runner="n1")), busy)
    assert young.effects == ()
    assert young.state.due == NOW + 1
    old = look(steady(held(began_ago_s=LIFESPAN_S - grace_s, runner="n1")), busy)
    assert told(old) == [STOP_N1]
    assert begun(old) == 1


# -- requests that end, and fail ------------------------------------------------------------------


def test_a_request_that_ends_has_its_runner_stopped_and_another_started() -> None:
    board = a_board({"n1": an_entry(1, 1)})
    ended = signals.RequestEnded("q-1")
    step = look(steady(held(runner="n1")), board, signal=ended)
    assert told(step) == [STOP_N1]
    assert begun(step) == 1
    assert step.state.error == ""


def test_a_request_that_ends_early_has_failed() -> None:
    ended = signals.RequestEnded("q-1")
    step = look(steady(held(began_ago_s=4.9, runner="n1")), ONE_WAITS, signal=ended)
    assert step.state.error == "the request ended early: the runner did not stay"
    assert isinstance(step.state.phase, BackingOff)


def test_the_end_of_a_request_that_was_to_end_is_no_failure() -> None:
    draining = held(began_ago_s=2, runner="n1", draining_at=NOW - 1)
    step = look(steady(draining), signal=signals.RequestEnded("q-1", "cut off"))
    assert (step.state.requests, step.state.error) == ((), "")


def test_the_end_of_an_unknown_request_is_ignored() -> None:
    assert is_ignored(look(steady(), signal=signals.RequestEnded("q-9")))


def test_a_request_that_brings_forth_no_runner_in_time_has_failed() -> None:
    step = look(steady(held(began_ago_s=SETTINGS.connect_ms / 1000)), ONE_WAITS)
    assert step.state.error == "no runner has connected within 30 s of its start"
    assert step.state.requests == ()
    assert isinstance(step.state.phase, BackingOff)


def test_the_pause_grows_with_every_failure_up_to_a_bound_and_is_jittered() -> None:
    state, now, pauses = steady(held()), NOW, []
    for _ in range(11):
        failed = signals.RequestEnded("q-1", "it answered with 500")
        state = look(state, ONE_WAITS, signal=failed, now=now).state
        assert isinstance(state.phase, BackingOff)
        pauses.append(state.phase.until - now)
        now = state.phase.until
        state = look(state, ONE_WAITS, now=now).state
        (again,) = state.requests
        state = replace(state, requests=(replace(again, id="q-1"),))
    assert pauses == [2_000 * 2 ** min(n, 8) for n in range(11)]
    jittered = look(steady(held()), signal=signals.RequestEnded("q-1", "no"), chance=0.5)
    assert jittered.state.due == NOW + 2_250


def test_after_long_enough_without_a_failure_the_next_one_is_the_first_again() -> None:
    state = steady(held(), failures=7, failed_at=NOW - SETTINGS.backoff_reset_ms)
    step = look(state, signal=signals.RequestEnded("q-1", "no"))
    assert step.state.failures == 1


def test_nothing_is_started_during_the_pause_and_at_its_end_it_is() -> None:
    state = a_pool(BackingOff(NOW + 1, NOW + 1), not_before=NOW + 1)
    during = look(state, ONE_WAITS)
    assert (during.effects, during.said[-1], during.state.due) == ((), "backing off", NOW + 1)
    assert begun(look(state, ONE_WAITS, now=NOW + 1)) == 1


def test_demand_that_goes_and_comes_again_does_not_shorten_the_pause() -> None:
    again = look(a_pool(Surplus(NOW - 1, NOW + 1), not_before=NOW + 60_000), ONE_WAITS)
    assert (again.effects, again.state.phase.due) == ((), NOW + 60_000)


def test_an_error_is_shown_until_enough_runners_have_come_and_so_long_the_pause_grows() -> None:
    state = steady(error="it answered with 500", failures=4, failed_at=NOW - 1)
    board = a_board({"n1": an_entry(1, 1)})
    for number in range(GOOD):
        assert (state.error, state.failures) == ("it answered with 500", 4)
        state = replace(state, requests=(held(f"q-{number}", 1),))
        state = look(state, board, signal=signals.RequestBegan(f"q-{number}", "n1")).state
    assert (state.error, state.failures) == ("", 0)


def test_a_failure_in_between_starts_the_count_again() -> None:
    state = steady(held(), error="no", successes=GOOD - 1)
    state = look(state, signal=signals.RequestEnded("q-1", "still not")).state
    assert (state.successes, state.error) == (0, "still not")


# -- runners that come ----------------------------------------------------------------------------


def test_a_runner_that_nobody_wants_is_stopped() -> None:
    for state in (steady(), a_pool(Unmanaged(), UNMANAGED)):
        step = look(state, signal=signals.RequestBegan("q-9", "n9"))
        assert told(step) == [("runner:n9", signals.StopRunner())]
        assert step.state == state


def test_a_request_whose_runner_was_lost_and_has_come_back_as_another_is_that_ones() -> None:
    board = a_board({"n2": an_entry(1, 1)})
    began = signals.RequestBegan("q-1", "n2")
    step = look(steady(held(runner="n1")), board, signal=began)
    assert step.state.requests[0].runner == "n2"
    assert is_ignored(look(step.state, board, signal=began))


def test_a_request_whose_runner_is_gone_is_replaced() -> None:
    step = look(steady(held(runner="n1")), ONE_WAITS)
    assert [each.id for each in step.state.requests] == ["q0"]


# -- the configuration ----------------------------------------------------------------------------


def test_a_new_source_drains_the_runners_of_the_old_and_starts_new_ones() -> None:
    board = a_board({"n1": an_entry(1, 1)})
    config = replace(SERVERLESS, url="https://example.com/v2")
    step = look(
        steady(held(runner="n1"), failures=3, error="no"), board, signal=signals.Configure(config)
    )
    assert told(step) == [STOP_N1]
    assert begun(step) == 1
    assert changed(step) == {"index/config": "made"}
    assert (step.state.config, step.state.failures, step.state.error) == (config, 0, "")


def test_a_change_of_bounds_alone_keeps_the_runners() -> None:
    board = a_board({"n1": an_entry(1, 1)})
    config = replace(SERVERLESS, max_runners=7, margin=1)
    step = look(steady(held(runner="n1")), board, signal=signals.Configure(config))
    assert told(step) == []
    assert begun(step) == 1


def test_a_pool_that_is_managed_no_more_gives_its_runners_up_and_then_is_unmanaged() -> None:
    board = a_board({"n1": an_entry(1, 1)})
    step = look(steady(held(runner="n1")), board, signal=signals.Configure(UNMANAGED))
    assert told(step) == [STOP_N1]
    assert begun(step) == 0
    last = look(step.state, signal=signals.RequestEnded("q-1"))
    assert last.state.phase == Unmanaged()


# -- decisions that have passed each other --------------------------------------------------------


@pytest.mark.parametrize("state", [steady(held(runner="n1")), a_pool(Unmanaged(), UNMANAGED)])
def test_actors_that_wait_although_a_slot_is_free_are_found(state: PoolState) -> None:
    board = a_board({"n1": an_entry(), "n2": an_entry()}, pending=[waiting()])
    step = look(state, board)
    assert [each for each in told(step) if isinstance(each[1], signals.CheckQueue)] == [
        ("runner:n1", signals.CheckQueue())
    ]


def test_d3_a_runner_too_many_is_stopped_although_actors_run_on_it() -> None:
    requests = (held("q-1", 40, "n1"), held("q-2", 30, "n2"))
    config = replace(SERVERLESS, max_runners=1)
    busy = a_board({"n1": an_entry(1, 1), "n2": an_entry(1, 1)})
    step = look(a_pool(Surplus(0, NOW), config, requests=own(config, requests)), busy)
    assert told(step) == [("runner:n2", signals.StopRunner())]
