"""The simulated queue: SQS's promises, its bounds, and each way in which it is unreliable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from engine.errors import StoreUnusable, TooLarge
from engine.ports import Delivery, Send
from engine.simulation.world.faults import Faults
from engine.simulation.world.line import Line
from engine.simulation.world.process import Process
from engine.simulation.world.queue import Mailbox, SimulatedQueue
from engine.simulation.world.stage import Stage
from tests.engine.simulation.clients import ask

VISIBILITY_MS = 10_000
RETENTION_MS = 3_600_000

Open = Callable[..., "World"]


class World:
    """A queue with dead letters, a process that sends, and receipts by hand."""

    def __init__(self, faults: Faults, seed: int, max_receives: int) -> None:
        self.stage = Stage(seed, faults)
        mailbox = partial(
            Mailbox, self.stage, visibility_ms=VISIBILITY_MS, retention_ms=RETENTION_MS
        )
        self.dead = mailbox("dead", max_receives=1000)
        self.mailbox = mailbox(
            "queue",
            max_receives=max_receives,
            dead_letters=self.dead,
            subject_of=lambda body: body[:20],
        )
        self.process = Process(self.stage, "sender")
        line = Line(self.process, "queue")
        self.queue = SimulatedQueue(self.mailbox, line, self.process)

    def send(self, *bodies: str, delay_s: int = 0) -> None:
        ask(self.process, self.queue.send([Send(b, "group", delay_s * 1000) for b in bodies]))

    def received(self, limit: int = 10) -> list[tuple[str, int]]:
        return [(r.message.body, r.receives) for r in self.mailbox.receive(limit)]

    def wait(self, seconds: float) -> None:
        self.stage.later(seconds * 1000, int)
        self.stage.loop.run_dry(1e9)

    def bodies_over(self, seconds: int) -> list[str]:
        """What is received and at once deleted, second by second."""
        bodies = []
        for _ in range(seconds):
            for receipt in self.mailbox.receive():
                bodies.append(receipt.message.body)
                self.mailbox.delete(receipt)
            self.wait(1)
        return bodies


@pytest.fixture
def world() -> Iterator[Open]:
    opened: list[World] = []

    def open_world(seed: int = 1, max_receives: int = 3, **rates: float) -> World:
        opened.append(World(Faults(**rates), seed, max_receives))  # type: ignore[arg-type]
        return opened[-1]

    yield open_world
    for each in opened:
        each.stage.close()


def test_messages_come_in_turn_and_once_deleted_no_more(world: Open) -> None:
    w = world()
    w.send("a", "b", "c")
    assert w.bodies_over(60) == ["a", "b", "c"]
    assert len(w.mailbox) == 0


def test_an_undeleted_message_comes_again_after_the_visibility_timeout(world: Open) -> None:
    w = world()
    w.send("a")
    assert w.received() == [("a", 1)]
    w.wait(9)
    assert w.received() == []
    w.wait(2)
    assert w.received() == [("a", 2)]


def test_ten_messages_at_most_are_received_at_once(world: Open) -> None:
    w = world()
    w.send(*(f"m{number:02}" for number in range(25)))
    assert [len(w.received(100)) for _ in range(4)] == [10, 10, 5, 0]


def test_a_delay_counts_in_whole_seconds_rounded_up(world: Open) -> None:
    w = world()
    ask(w.process, w.queue.send([Send("a", "group", 1500)]))
    w.wait(1.6)
    assert w.received() == []
    w.wait(0.5)
    assert w.received() == [("a", 1)]


@pytest.mark.parametrize("delay_ms", [900_001, -1])
def test_a_delay_that_sqs_does_not_take_is_refused(world: Open, delay_ms: int) -> None:
    w = world()
    with pytest.raises(ValueError, match="SQS takes 0 to 900000"):
        ask(w.process, w.queue.send([Send("a", "group", delay_ms)]))
    assert len(w.mailbox) == 0


def test_a_message_above_one_mebibyte_is_refused_and_nothing_is_sent(world: Open) -> None:
    w = world()
    with pytest.raises(TooLarge, match="1 MiB"):
        w.send("fits", "é" * (1 << 19) + "x")
    assert len(w.mailbox) == 0
    w.send("x" * (1 << 20))
    assert len(w.mailbox) == 1


def test_what_is_received_too_often_goes_to_the_dead_letters(world: Open) -> None:
    w = world(max_receives=2)
    w.send("a")
    for receive in (1, 2):
        assert w.received() == [("a", receive)]
        w.wait(11)
    assert w.received() == []
    assert (w.mailbox.bodies, w.dead.bodies) == ([], ["a"])


def test_what_is_older_than_the_retention_is_gone(world: Open) -> None:
    w = world()
    w.send("a")
    w.wait(RETENTION_MS / 1000 + 1)
    assert w.received() == []
    assert (len(w.mailbox), len(w.dead)) == (0, 0)


def test_the_backlog_counts_what_could_be_received_now(world: Open) -> None:
    w = world()
    w.send("a", "b", "c")
    w.send("later", delay_s=60)
    assert w.received(1) == [("a", 1)]
    assert ask(w.process, w.queue.backlog()) == 2


def test_released_messages_come_again_and_stale_receipts_release_nothing(world: Open) -> None:
    w = world()
    w.send("a")
    (first,) = w.mailbox.receive()
    w.mailbox.release(first, 1000)
    w.wait(1)
    assert w.received() == [("a", 2)]
    w.mailbox.release(first, 0)
    assert w.received() == []


def test_acknowledging_deletes(world: Open) -> None:
    w = world()
    w.send("a")
    (receipt,) = w.mailbox.receive()
    ask(w.process, w.queue.acknowledge(Delivery("a", receipt)))
    assert len(w.mailbox) == 0


# -- what goes wrong -------------------------------------------------------------------------------


def test_a_duplicated_message_is_delivered_twice_although_both_are_deleted(world: Open) -> None:
    w = world(duplicated=1.0)
    w.send("a")
    assert w.bodies_over(120) == ["a", "a"]


def test_a_late_message_comes_after_its_time(world: Open) -> None:
    w = world(late=1.0)
    w.send("a")
    assert w.received() == []
    assert w.bodies_over(61) == ["a"]


def test_an_early_message_comes_before_its_time(world: Open) -> None:
    w = world(early=1.0)
    w.send("a", delay_s=600)
    assert w.bodies_over(590) == ["a"]


def test_a_deleted_message_may_be_delivered_once_more(world: Open) -> None:
    w = world(seed=3, resurrected=0.5)
    w.send("a")
    assert len(w.bodies_over(1500)) > 1
    assert len(w.mailbox) == 0


def test_an_impatient_queue_delivers_while_the_message_is_worked_on(world: Open) -> None:
    w = world(impatient=1.0)
    seconds = []
    for seed in range(5):
        w = world(seed=seed, impatient=1.0)
        w.send("a")
        assert w.received() == [("a", 1)]
        now = w.stage.now()
        seconds.append((w.mailbox.next_visible() or 0) - now)
    assert min(seconds) < VISIBILITY_MS


def test_messages_come_out_of_turn(world: Open) -> None:
    bodies = [f"m{number:02}" for number in range(20)]
    w = world(reordered=1.0)
    w.send(*bodies)
    came = w.bodies_over(60)
    assert came != bodies
    assert sorted(came) == bodies


def test_an_expired_message_is_simply_gone(world: Open) -> None:
    w = world(expired=1.0)
    w.send("a")
    assert (len(w.mailbox), len(w.dead)) == (0, 0)


def test_a_given_up_message_is_dead_lettered_at_once(world: Open) -> None:
    w = world(given_up=1.0)
    w.send("a")
    assert w.received() == []
    assert w.dead.bodies == ["a"]


@pytest.mark.parametrize(
    ("fault", "sent"), [("lost", 1), ("throttled", 0), ("unanswered", 2), ("overdue", 2)]
)
def test_a_send_that_raises_may_have_sent_all_some_or_nothing(
    world: Open, fault: str, sent: int
) -> None:
    w = world(**{fault: 1.0})
    with pytest.raises(StoreUnusable):
        w.send("a", "b")
    w.wait(60)
    assert len(w.mailbox) == sent


def test_a_send_whose_answer_is_lost_is_repeated_by_the_client_library(world: Open) -> None:
    w = world(repeated=1.0)
    w.send("a")
    assert w.mailbox.bodies == ["a", "a"]
