"""A runner: its connections, its queue, its commands and events, and its end."""

from __future__ import annotations

import pytest

from engine.allocation import frames, signals
from engine.allocation.board import Board, Entry, decode_entry
from engine.allocation.frames import Command, Commands, StartActor, StopActor
from engine.allocation.rules import Evict, HangUp, Post, Step
from engine.allocation.runner_state import Away, Connected, Draining, Gone, Phase, RunnerState
from engine.allocation.runner_table import HANDED_OUT, REPLAYED, decide
from engine.allocation.runner_table import posted as texts_of
from tests.engine.allocation.scenes import (
    NOW,
    SETTINGS,
    a_board,
    a_runner,
    a_scene,
    an_entry,
    changed,
    is_ignored,
    kinds,
    told,
    waiting,
)

SOON = NOW + SETTINGS.lost_ms
HERE = a_runner(Connected(SOON))
AWAY = a_runner(Away(SOON), connection="")
DRAINING = a_runner(Draining(NOW + 1))
GONE = a_runner(Gone(), connection="")
OPEN = a_board({"n1": an_entry(2)})
CLOSED = a_board({"n1": an_entry(2, 1, is_open=False)}, seats={"a1": 2})
START = signals.Start("a1", 3, "counter", ("main",), NOW, 0)
TWO = (Command(1, StopActor("a1", 2)), Command(2, StopActor("a2", 2)))


def posted(step: Step[RunnerState]) -> list[frames.Frame]:
    posts = [each for each in step.effects if isinstance(each, Post)]
    return [frames.to_runner(text) for each in posts for text in texts_of(step.state, each)]


def entry_after(step: Step[RunnerState]) -> Entry:
    (swap,) = [each for each in step.swaps if each.name == "index/runner/n1"]
    assert swap.body is not None
    return decode_entry(swap.body)


# -- connections ----------------------------------------------------------------------------------


def test_a_newer_connection_takes_the_place_of_the_old_which_is_closed() -> None:
    step = decide(HERE, signals.Connected("c2", 2), a_scene(OPEN, me="n1"))
    assert (step.state.connection, step.state.epoch) == ("c2", 2)
    assert step.effects[0] == Evict("c1", "another connection has taken its place")
    assert told(step) == [("runner:n1", signals.CheckQueue())]


@pytest.mark.parametrize("epoch", [0, 1])
@pytest.mark.parametrize("state", [HERE, AWAY, DRAINING])
def test_a_connection_that_is_not_newer_is_ignored(state: RunnerState, epoch: int) -> None:
    assert is_ignored(decide(state, signals.Connected("c0", epoch), a_scene(OPEN, me="n1")))


def test_a_runner_whose_connection_closes_is_given_no_actors_and_keeps_its_own() -> None:
    board = a_board({"n1": an_entry(2, 1)}, seats={"a1": 2})
    step = decide(HERE, signals.Disconnected("c1"), a_scene(board, me="n1"))
    assert (step.state.phase, step.state.connection) == (Away(SOON), "")
    after = entry_after(step)
    assert (after.open, after.taken) == (False, 1)
    assert step.effects == ()


@pytest.mark.parametrize("state", [HERE, DRAINING])
def test_word_of_an_old_connections_end_is_ignored(state: RunnerState) -> None:
    step = decide(state, signals.Disconnected("c0"), a_scene(CLOSED, me="n1"))
    assert step.said == ("ignored: not its connection any more",)


def test_a_runner_that_comes_back_is_open_again() -> None:
    step = decide(AWAY, signals.Connected("c2", 2), a_scene(CLOSED, me="n1"))
    assert step.state.phase == Connected(SOON)
    assert entry_after(step).open
    assert told(step) == [("runner:n1", signals.CheckQueue())]


def test_a_draining_runner_that_comes_back_goes_on_draining() -> None:
    state = a_runner(Draining(NOW + 1), connection="", unheard=TWO)
    step = decide(state, signals.Connected("c2", 2), a_scene(CLOSED, me="n1"))
    assert (step.state.phase, step.state.connection) == (Draining(NOW + 1), "c2")
    assert posted(step) == [Commands(TWO)]
    assert step.swaps == ()


def test_a_runner_that_is_lost_must_begin_anew() -> None:
    step = decide(GONE, signals.Connected("c2", 2), a_scene(me="n1"))
    assert step.effects == (HangUp("c2"),)
    assert step.state == GONE


# -- the queue ------------------------------------------------------------------------------------


def test_free_slots_are_given_to_those_who_have_waited_longest() -> None:
    queue = [waiting("a7", 1, NOW - 30), waiting("a8", 4, NOW - 20), waiting("a9", 2, NOW - 10)]
    board = a_board({"n1": an_entry(3, 1)}, pending=queue)
    step = decide(HERE, signals.CheckQueue(), a_scene(board, me="n1"))
    assert told(step) == [
        ("actor:a7", signals.Allocate("n1", 1)),
        ("actor:a8", signals.Allocate("n1", 4)),
    ]
    assert entry_after(step).taken == 3
    assert changed(step)["seat/n1/a8"] == "made"


def test_one_step_serves_so_many_and_has_the_next_serve_the_others() -> None:
    queue = [waiting(f"a{number}", since=NOW - 100 + number) for number in range(60)]
    board = a_board({"n1": an_entry(100)}, pending=queue)
    step = decide(HERE, signals.CheckQueue(), a_scene(board, me="n1"))
    assert kinds(step.effects) == [signals.Allocate] * HANDED_OUT + [signals.CheckQueue]
    assert len(step.swaps) == 1 + 2 * HANDED_OUT <= 90


@pytest.mark.parametrize(
    "board",
    [
        a_board({"n1": an_entry(1, 1)}, pending=[waiting()]),
        a_board({"n1": an_entry()}, pending=[waiting()], pings={"n1": NOW - 10_001}),
        a_board({"n1": an_entry(), "n2": an_entry(1, 1, version=2)}, pending=[waiting()]),
        a_board({}, pending=[waiting()]),
        a_board({"n1": an_entry()}),
    ],
    ids=["full", "silent", "outdated", "unknown", "nobody waits"],
)
def test_nothing_is_handed_out_where_nothing_can_be(board: Board) -> None:
    step = decide(HERE, signals.CheckQueue(), a_scene(board, me="n1"))
    assert (step.state, step.effects, step.swaps) == (HERE, (), ())


@pytest.mark.parametrize("state", [AWAY, DRAINING, GONE])
def test_a_runner_that_takes_no_actors_does_not_look_into_the_queue(state: RunnerState) -> None:
    assert is_ignored(decide(state, signals.CheckQueue(), a_scene(OPEN, me="n1")))


# -- commands and events --------------------------------------------------------------------------


def test_a_command_is_numbered_kept_and_sent() -> None:
    step = decide(HERE, START, a_scene(me="n1"))
    command = Command(1, StartActor("a1", 3, "counter", ("main",), NOW, 0))
    assert (step.state.commands, step.state.unheard) == (1, (command,))
    assert posted(step) == [Commands((command,))]


def test_a_command_for_a_runner_that_is_away_is_kept_for_its_return() -> None:
    kept = decide(AWAY, signals.Stop("a1", 3, True), a_scene(me="n1"))
    assert kept.effects == ()
    back = decide(kept.state, signals.Connected("c2", 2), a_scene(CLOSED, me="n1"))
    assert posted(back) == [Commands((Command(1, StopActor("a1", 3, True)),))]


def test_commands_that_have_not_been_heard_are_sent_again_on_every_new_connection() -> None:
    state = a_runner(Connected(SOON), unheard=TWO, commands=2)
    for epoch in (2, 3):
        step = decide(state, signals.Connected(f"c{epoch}", epoch), a_scene(OPEN, me="n1"))
        assert posted(step) == [Commands(TWO)]
        state = step.state


def test_many_commands_are_sent_again_in_frames_that_a_connection_takes() -> None:
    key = ("k" * 1024,)
    unheard = tuple(
        Command(index, StartActor(f"a{index}", 1, "counter", key)) for index in range(1, 121)
    )
    state = a_runner(Away(SOON), connection="", unheard=unheard)
    step = decide(state, signals.Connected("c2", 2), a_scene(CLOSED, me="n1"))
    sent = posted(step)
    assert [len(each.commands) for each in sent if isinstance(each, Commands)] == [50, 50, 20]
    assert REPLAYED == 50
    texts = texts_of(step.state, Post("c2"))
    assert all(len(text) < frames.FRAME_BYTES for text in texts)


def test_what_the_runner_has_heard_is_not_sent_again() -> None:
    state = a_runner(Connected(SOON), unheard=TWO, commands=2)
    heard = signals.Happened(1, "a1", 2, frames.Running(), commands=1)
    step = decide(state, heard, a_scene(me="n1"))
    assert step.state.unheard == TWO[1:]


@pytest.mark.parametrize("state", [HERE, AWAY, DRAINING])
def test_an_event_is_forwarded_once_with_its_generation(state: RunnerState) -> None:
    event = signals.Happened(1, "a1", 2, frames.Stopped("boom"))
    step = decide(state, event, a_scene(me="n1"))
    assert told(step) == [("actor:a1", signals.Reported("n1", 2, frames.Stopped("boom")))]
    again = decide(step.state, event, a_scene(me="n1"))
    assert again.said == ("ignored: this event has come before",)


@pytest.mark.parametrize("state", [DRAINING, GONE])
def test_an_actor_for_a_runner_that_takes_none_is_sent_back_and_nobody_is_to_blame(
    state: RunnerState,
) -> None:
    step = decide(state, START, a_scene(me="n1"))
    assert told(step) == [("actor:a1", signals.Lost("n1", 3, ""))]
    assert step.state == state


# -- the end --------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [Connected(NOW), Away(NOW)])
def test_a_runner_that_has_not_been_heard_of_for_too_long_is_lost_with_its_actors(
    phase: Phase,
) -> None:
    state = a_runner(phase, connection="c1" if isinstance(phase, Connected) else "")
    silent = a_board({"n1": an_entry(2, 1)}, seats={"a1": 2}, pings={"n1": NOW - SETTINGS.lost_ms})
    step = decide(state, signals.Timer(), a_scene(silent, me="n1"))
    assert (step.state.phase, step.state.gone_at) == (Gone(), NOW)
    assert step.state.why_gone == "runner_connection_lost: n1"
    lost = signals.Lost("n1", 2, "runner_connection_lost: n1")
    assert told(step) == [("actor:a1", lost), ("pool:p", signals.Bump())]
    assert changed(step) == {"index/runner/n1": "deleted"}


@pytest.mark.parametrize("phase", [Connected(NOW), Away(NOW)])
def test_a_runner_that_has_been_heard_of_is_looked_at_again_when_that_is_too_long_ago(
    phase: Phase,
) -> None:
    heard = a_board({"n1": an_entry(is_open=isinstance(phase, Connected))}, pings={"n1": NOW - 3})
    step = decide(a_runner(phase), signals.Timer(), a_scene(heard, me="n1"))
    assert step.state.phase == type(phase)(NOW - 3 + SETTINGS.lost_ms)


def test_stopping_twice_is_stopping_once() -> None:
    assert is_ignored(decide(DRAINING, signals.StopRunner(), a_scene(CLOSED, me="n1")))


def test_a_runner_that_is_away_is_stopped_at_once() -> None:
    step = decide(AWAY, signals.StopRunner(), a_scene(CLOSED, me="n1"))
    assert (step.state.phase, step.state.why_gone) == (Gone(), "stopped")
    assert told(step)[0] == ("actor:a1", signals.Lost("n1", 2, ""))


def test_a_draining_runner_that_closes_with_actors_left_is_waited_for() -> None:
    step = decide(DRAINING, signals.Disconnected("c1"), a_scene(CLOSED, me="n1"))
    assert (step.state.phase, step.state.connection) == (DRAINING.phase, "")


def test_a_draining_runner_that_closes_when_all_have_left_is_gone() -> None:
    empty = a_board({"n1": an_entry(2, 0, is_open=False)})
    step = decide(DRAINING, signals.Disconnected("c1"), a_scene(empty, me="n1"))
    assert step.state.phase == Gone()
    assert changed(step) == {"index/runner/n1": "deleted"}
    assert told(step) == [("pool:p", signals.Bump())]


def test_nothing_is_owed_to_a_runner_that_is_gone() -> None:
    state = a_runner(Draining(NOW), unheard=TWO, commands=2)
    assert decide(state, signals.Timer(), a_scene(CLOSED, me="n1")).state.unheard == ()
