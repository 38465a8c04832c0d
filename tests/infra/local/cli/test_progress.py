"""Which rows a screen of progress shows, and what it says about them."""

from __future__ import annotations

import pytest

from engine.events import Event, Type
from engine.reading import PendingView, ResultView
from infra.local.cli.progress import Progress, event_line
from infra.local.cli.wording import duration, wait

NOW = 1_700_000_000_000


def event(kind: Type, node: str, **fields: object) -> Event:
    given = {"visit": 1, "attempt": 1, **fields}
    return Event(kind, "default", "r", "flow", NOW, node=node, **given)  # type: ignore[arg-type]


def test_a_full_screen_keeps_what_is_pending_and_what_failed() -> None:
    progress = Progress("r", "flow", {}, NOW)
    progress.apply(event(Type.NODE_EXECUTING, "slow"))
    progress.apply(event(Type.ACTOR_FAILED, "broken", error="E: e", port="error"))
    for number in range(50):
        progress.apply(event(Type.ACTOR_COMPLETED, f"n{number}", port="out"))
    rows, hidden = progress.rows(4)
    assert [row.node for row in rows] == ["slow", "broken", "n48", "n49"]
    assert hidden == 48


def test_notes_say_what_comes_next() -> None:
    progress = Progress("r", "flow", {"a": "x"}, NOW)
    progress.apply(event(Type.RETRYING, "a", due=NOW + 1500, error="E: one\ntwo"))
    ((row,), _) = progress.rows(9)
    assert row.note(NOW) == "retry in 1.5 s: E: one two"
    assert row.note(NOW + 2000) == "retry now: E: one two"
    progress.apply(event(Type.NODE_EXECUTING, "a", attempt=2))
    assert row.note(NOW) == "again, after E: one two"
    progress.apply(event(Type.ACTOR_COMPLETED, "a", attempt=2, port="true"))
    assert row.note(NOW) == "out of port 'true'"


def test_a_resumed_run_begins_with_its_history() -> None:
    progress = Progress("r", "flow", {"a": "x", "b": "y"}, NOW)
    done = ResultView(1, "a", 1, 1, "done", NOW, 5, port="out")
    progress.recall([done], [PendingView("b", 1, 2, "retrying", NOW + 9000)])
    rows, _ = progress.rows(9)
    assert [(row.node, row.phase, row.attempt) for row in rows] == [
        ("a", "done", 1),
        ("b", "retrying", 2),
    ]


def test_what_a_run_waits_for_is_told_with_the_commands_that_answer() -> None:
    progress = Progress("r", "flow", {}, NOW, ["--db", "x y.db"])
    progress.apply(event(Type.WAITING, "a", port="yes"))
    progress.apply(event(Type.WAITING, "a", port="yes", visit=2))
    progress.apply(event(Type.WAITING, "b", port="no", due=NOW + 60_000))
    rows, _ = progress.rows(9)
    assert [(row.phase, row.note(NOW)[:16]) for row in rows] == [
        ("waiting", "for signal 'yes'"),
        ("waiting", "for signal 'no' "),
    ]
    assert rows[1].note(NOW).endswith("(in 1 min 0 s)")
    yes, no = (f"to answer: tidestep signal r {name} --db 'x y.db'" for name in ("yes", "no"))
    assert progress.hints() == [yes, no]
    progress.apply(event(Type.SIGNALLED, "a", port="yes"))
    progress.apply(event(Type.TIMED_OUT, "b", port="no"))
    assert progress.hints() == [yes]
    assert [row.phase for row in rows] == ["ready", "ready"]
    progress.apply(event(Type.CANCELLED, "", took_ms=5))
    assert (progress.state, progress.hints()) == ("cancelled", [])


def test_many_waits_are_counted() -> None:
    progress = Progress("r", "flow", {}, NOW)
    for number in range(5):
        progress.apply(event(Type.WAITING, f"n{number}", port=f"s{number}"))
    assert progress.hints()[-2:] == [
        "to answer: tidestep signal r s2",
        "and for 2 signals more",
    ]


def test_a_resumed_run_still_says_what_it_waits_for() -> None:
    progress = Progress("r", "flow", {}, NOW)
    history = [
        ResultView(1, "a", 1, 1, "waited", NOW, 5, signal="first"),
        ResultView(2, "a", 1, 2, "signalled", NOW, 0, signal="first"),
        ResultView(3, "b", 1, 1, "expired", NOW, 0, signal="late"),
        ResultView(4, "c", 1, 1, "changed", NOW, 0),
        ResultView(5, "a", 1, 3, "waited", NOW, 0, signal="second"),
    ]
    progress.recall(history, [PendingView("a", 1, 4, "waiting", 0, "second")])
    assert progress.hints() == ["to answer: tidestep signal r second"]
    rows, _ = progress.rows(9)
    assert [row.phase for row in rows] == ["waiting", "ready", "ready"]


@pytest.mark.parametrize(
    ("kind", "fields", "line"),
    [
        (Type.WAITING, {"port": "go"}, "a: waiting for signal 'go'"),
        (Type.SIGNALLED, {"port": "go", "visit": 2}, "a: signal 'go' came, visit 2"),
        (Type.TIMED_OUT, {"port": "go"}, "a: signal 'go' has not come in time"),
        (Type.CANCELLING, {}, "is being cancelled: nothing new begins"),
        (Type.CANCELLED, {"took_ms": 12}, "cancelled after 12 ms"),
        (Type.RETRIED, {}, "goes on from where it ended: it is retried"),
        (Type.FORKED, {}, "started as a fork, workflow flow"),
    ],
)
def test_every_event_of_a_wait_and_of_an_operator_has_its_line(
    kind: Type, fields: dict[str, object], line: str
) -> None:
    assert event_line(event(kind, "a", **fields), NOW) == line


def test_control_characters_of_an_error_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in event_line(event(Type.ACTOR_FAILED, "a", error="E: \x1b[2J"), NOW)


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (-5, "0 ms"),
        (999, "999 ms"),
        (1000, "1.0 s"),
        (59_949, "59.9 s"),
        (59_950, "1 min 0 s"),
        (125_000, "2 min 5 s"),
        (3_600_000, "1 h 0 min"),
        (90_000_000, "1 d 1 h"),
    ],
)
def test_durations_are_short(ms: int, text: str) -> None:
    assert duration(ms) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (-1, "0 ms"),
        (99, "99 ms"),
        (198, "0.2 s"),
        (9_949, "9.9 s"),
        (9_950, "10 s"),
        (59_400, "59 s"),
        (59_999, "1 min 0 s"),
        (61_001, "1 min 1 s"),
    ],
)
def test_waits_are_not_rounded_up(ms: int, text: str) -> None:
    assert wait(ms) == text
