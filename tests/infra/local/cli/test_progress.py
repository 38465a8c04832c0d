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
