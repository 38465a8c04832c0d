"""What a message means to a run: the snapshot decides."""

from __future__ import annotations

from msgspec.structs import replace

from engine.messages import FORMAT, Message
from engine.outcomes import Done, Failed, Settling, Slept
from engine.plan import Defer, Ignore, Look, Relay, Run, owned_by, plan
from engine.settle import settle
from engine.snapshot import Failure, Head, State, Status
from engine.starting import first_head
from tests.engine.graphs import CREATED, RETRY_TWICE, graph

DEFINITION = graph("a -> b", "b -> c", retry={"b": RETRY_TWICE})


def started() -> Head:
    return first_head(DEFINITION, b"d" * 16, b"s" * 16, b"null", CREATED)


def after(head: Head, *outcomes: object, sid: str = "first") -> Head:
    for outcome in outcomes:
        settling = Settling(head.frontier[0], outcome, sid, CREATED, policy=RETRY_TWICE)  # type: ignore[arg-type]
        head = settle(head, DEFINITION, settling).head
    return head


def message(
    node: int, visit: int = 1, attempt: int = 1, *, epoch: int = 0, sid: str = "sid"
) -> Message:
    return Message(FORMAT, "default", "run", (epoch, node, visit, attempt), sid)


DONE = Done("out", b"1")


def test_a_pending_token_is_run() -> None:
    head = started()
    assert plan(head, message(0), CREATED) == Run(head.frontier[0])


def test_a_message_for_a_settled_token_is_stale() -> None:
    assert plan(after(started(), DONE), message(0), CREATED) == Ignore("stale")


def test_a_stale_message_relays_exactly_what_it_owns() -> None:
    head = after(started(), DONE, sid="mine")
    assert plan(head, message(0, sid="mine"), CREATED) == Relay(head.frontier)
    assert plan(head, message(0, sid="other"), CREATED) == Ignore("stale")


def test_a_straggler_of_an_earlier_epoch_is_stale_although_its_token_has_the_same_name() -> None:
    head = replace(started(), epoch=1)
    assert plan(head, message(0, epoch=0), CREATED) == Ignore("stale")
    assert plan(head, message(0, epoch=1), CREATED) == Run(head.frontier[0])


def test_another_attempt_of_the_same_visit_is_stale() -> None:
    failed = Failed(Failure("ValueError", "boom"), ("ValueError",))
    head = after(started(), DONE, failed)
    assert plan(head, message(1, attempt=1), CREATED + 5000) == Ignore("stale")
    assert isinstance(plan(head, message(1, attempt=2), CREATED + 5000), Run)


def test_an_early_delivery_is_put_off_until_the_token_is_due() -> None:
    head = after(started(), Slept(CREATED + 30_000))
    early = message(0, attempt=2)
    assert plan(head, early, CREATED + 29_999) == Defer(CREATED + 30_000)
    assert plan(head, early, CREATED + 30_000) == Run(head.frontier[0])


def test_a_token_due_beyond_the_queues_reach_needs_no_message() -> None:
    head = after(started(), Slept(CREATED + 901_000), sid="mine")
    assert plan(head, message(0, attempt=2), CREATED) == Ignore("far")
    assert owned_by(head, "mine", CREATED) == ()
    assert owned_by(head, "mine", CREATED + 1_000) == head.frontier


def test_nothing_runs_in_a_run_that_has_ended() -> None:
    for status in (Status.COMPLETED, Status.FAILED, Status.CANCELLED):
        head = replace(started(), status=status)
        assert plan(head, message(0), CREATED) == Ignore("ended")


def test_nothing_runs_in_a_run_that_an_operator_holds() -> None:
    assert plan(replace(started(), held=True), message(0), CREATED) == Ignore("held")


def test_a_waiting_token_is_never_run_by_a_delivery() -> None:
    head = started()
    waiting = replace(head.frontier[0], state=State.WAITING)
    head = replace(head, frontier=(waiting,))
    assert plan(head, message(0), CREATED) == Look(waiting)
