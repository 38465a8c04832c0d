"""How runs end, and how they are opened again: heads in, heads out."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from engine.ending import cancel, close, closed, complete, fail, limit_reached, limited, reopened
from engine.snapshot import Failure, Head, Owed, Resumed, State, Status, Token
from engine.starting import first_head
from tests.engine.graphs import CREATED, graph

MINUTE = 60_000
DAY = 86_400_000


def started(*tokens: Token) -> Head:
    head = first_head(graph("a -> b"), b"d" * 16, b"s" * 16, b"null", CREATED)
    return replace(head, frontier=tokens) if tokens else head


def token(state: State, due: int = 0, look_at: int = CREATED + MINUTE) -> Token:
    return Token(0, 1, 2, state, "sid", look_at, due=due)


@pytest.mark.parametrize("way", ["complete", "fail", "cancel"])
def test_an_ended_run_is_never_looked_at_again_unless_it_owes(way: str) -> None:
    def end(head: Head) -> Head:
        if way == "complete":
            return complete(head, b"1", CREATED + 5)
        if way == "fail":
            return fail(head, Failure("E", "e"), 0, CREATED + 5)
        return cancel(head, CREATED + 5)

    ended = end(limited(started(), 3600, CREATED))
    assert (ended.wake_at, ended.limit, ended.ended_at) == (0, None, CREATED + 5)
    owing = replace(started(), owed=(Owed("1.0", "r", 256, "n", b"1"),), owed_look_at=CREATED + 9)
    assert end(owing).wake_at == CREATED + 9


@pytest.mark.parametrize(
    ("pending", "status"),
    [
        (token(State.READY), Status.CLOSING),
        (token(State.READY, look_at=0), Status.CANCELLED),
        (token(State.RETRYING, CREATED - 1), Status.CLOSING),
        (token(State.RETRYING, CREATED + 1), Status.CANCELLED),
        (token(State.SLEEPING, CREATED + 1), Status.CANCELLED),
        (token(State.WAITING, CREATED - 1), Status.CANCELLED),
        (token(State.STOPPED), Status.CANCELLED),
    ],
)
def test_a_graceful_cancel_waits_for_what_may_be_running(pending: Token, status: Status) -> None:
    assert close(started(pending), CREATED, 1000).status is status


def test_a_closing_run_ends_with_the_last_that_may_be_running() -> None:
    closing = close(started(token(State.READY), token(State.WAITING)), CREATED, MINUTE)
    assert closing.limit is not None
    assert closing.limit.due == CREATED + MINUTE
    assert closed(closing, CREATED + 1).status is Status.CLOSING
    rest = replace(closing, frontier=closing.frontier[1:])
    assert closed(rest, CREATED + 1).status is Status.CANCELLED


def test_a_limit_ends_a_closing_run_and_fails_another() -> None:
    closing = close(started(token(State.READY)), CREATED, MINUTE)
    assert limit_reached(closing, 30.0, CREATED + MINUTE).status is Status.CANCELLED
    failed = limit_reached(limited(started(), 30.0, CREATED), 30.0, CREATED + DAY)
    assert failed.status is Status.FAILED
    assert failed.failure is not None
    assert failed.failure.type == "DeadlineExceeded"
    assert failed.failure.message.endswith("deadline of 30 s")


def test_what_stopped_begins_its_next_attempt_with_all_of_its_retries() -> None:
    stopped = replace(token(State.STOPPED), failures=3, looks=4)
    head = reopened(replace(started(stopped), status=Status.FAILED), None, "retry", CREATED + DAY)
    (again,) = head.frontier
    assert (again.attempt, again.state, again.failures, again.looks) == (3, State.READY, 0, 0)
    assert (again.owner, again.resumed) == ("retry", Resumed.RETRY)
    assert (head.epoch, head.status) == (1, Status.ACTIVE)
    assert head.wake_at == again.look_at <= CREATED + DAY + MINUTE


def test_what_a_signal_had_resumed_is_still_resumed_by_it() -> None:
    stopped = replace(token(State.STOPPED), resumed=Resumed.SIGNAL)
    (again,) = reopened(started(stopped), None, "retry", CREATED).frontier
    assert again.resumed is Resumed.SIGNAL


@pytest.mark.parametrize("state", [State.READY, State.RETRYING, State.SLEEPING, State.WAITING])
@pytest.mark.parametrize("due", [0, CREATED + 5000, CREATED + 30 * DAY])
@pytest.mark.parametrize("look_at", [0, CREATED + DAY])
def test_whatever_is_opened_again_is_looked_after(state: State, due: int, look_at: int) -> None:
    pending = token(state, due, look_at)
    head = reopened(started(pending), None, "retry", CREATED)
    assert 0 < head.wake_at <= max(CREATED + MINUTE, due)
    (again,) = head.frontier
    assert (again.attempt, again.due, again.state) == (pending.attempt, due, state)


def test_a_retry_counts_the_deadline_from_now() -> None:
    head = reopened(started(token(State.STOPPED)), 600.0, "retry", CREATED + DAY)
    assert head.limit is not None
    assert head.limit.due == CREATED + DAY + 600_000
    assert reopened(head, None, "retry", CREATED).limit is None
