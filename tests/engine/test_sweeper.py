"""Looking after tokens that nothing has come of."""

from __future__ import annotations

from engine.outcomes import Done, Settling, Slept
from engine.settle import settle
from engine.snapshot import Head
from engine.starting import first_head
from engine.sweeper import look_after
from tests.engine.graphs import CREATED, graph

MINUTE = 60_000
DEFINITION = graph("a -> b", "a -> c")


def started() -> Head:
    return first_head(DEFINITION, b"d" * 16, b"s" * 16, b"null", CREATED)


def test_a_start_is_looked_at_after_a_minute_because_nobody_would_redeliver_it() -> None:
    assert started().wake_at == CREATED + MINUTE


def test_a_look_sends_the_token_and_moves_its_time_on_doubling() -> None:
    head = started()
    waits = []
    now = head.wake_at
    for _ in range(4):
        head, sent = look_after(head, now)
        assert len(sent) == 1
        waits.append(head.wake_at - now)
        now = head.wake_at
    assert waits == [10 * MINUTE, 20 * MINUTE, 40 * MINUTE, 80 * MINUTE]


def test_the_wait_between_two_looks_is_bounded() -> None:
    head = started()
    for _ in range(50):
        now = head.wake_at
        head, _sent = look_after(head, now)
    assert head.wake_at - now == 10 * MINUTE * 2**8


def test_a_look_before_its_time_changes_nothing_but_the_revision() -> None:
    head = started()
    after, sent = look_after(head, head.wake_at - 1)
    assert sent == ()
    assert after.frontier == head.frontier


def test_only_the_silent_token_is_sent_and_its_busy_sibling_is_left_alone() -> None:
    head = settle(
        started(), DEFINITION, Settling(started().frontier[0], Done("out", b"1"), "x", CREATED)
    ).head
    quiet = head.frontier[1]
    later = CREATED + 8 * MINUTE
    head = settle(
        head, DEFINITION, Settling(head.frontier[0], Slept(later + MINUTE), "y", later)
    ).head
    after, sent = look_after(head, quiet.look_at)
    assert [token.node for token in sent] == [quiet.node]
    assert min(token.look_at for token in after.frontier) > quiet.look_at


def test_a_far_timer_is_sent_with_its_delay_when_it_comes_into_reach() -> None:
    until = CREATED + 30 * 86_400_000
    token = started().frontier[0]
    head = settle(started(), DEFINITION, Settling(token, Slept(until), "x", CREATED)).head
    after, (sent,) = look_after(head, head.wake_at)
    assert sent.due == until
    assert sent.looks == 0
    assert after.wake_at > until
