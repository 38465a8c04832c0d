"""One step of a service run: what is saved, sent, paid and acknowledged, and what goes wrong."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from engine.allocation import frames, signals
from engine.allocation.config import CrashPolicy
from engine.allocation.stepping import CONFLICTS, Services
from engine.errors import Misconfigured, NewerFormat, PlatformError
from engine.layout import RunKey, inbox_item
from engine.messages import decode_message
from engine.ports import Commit, Delivery, Item, ItemConflict, Platform
from engine.sweeper import sweep
from engine.timing import LOOK_GRAIN_MS, QUEUE_REACH_MS
from tests.engine.allocation.test_directory import Slow
from tests.engine.allocation.yard import Yard, pool_key, said


class Dies(Slow):
    """Its process dies before, or after, the commit of this number."""

    def __init__(self, yard: Yard, *, before: int = 0, after: int = 0) -> None:
        super().__init__(yard)
        self.before, self.after, self.commits = before, after, 0

    async def commit(self, commit: Commit) -> None:
        self.commits += 1
        if self.commits == self.before:
            raise PlatformError("the store does not answer")
        if self.commits != self.after:
            return await super().commit(commit)
        # the head is saved, and nothing else is done
        await self._store.put_head(commit.head, commit.expected, commit.swaps)
        raise PlatformError("the store does not answer")


class Contended(Slow):
    """The first so many commits find that somebody else was quicker."""

    def __init__(self, yard: Yard, conflicts: int) -> None:
        super().__init__(yard)
        self.conflicts = conflicts

    async def commit(self, commit: Commit) -> None:
        if self.conflicts:
            self.conflicts -= 1
            raise ItemConflict(b"another")
        await super().commit(commit)


def services(yard: Yard, journal: Slow) -> Services:
    return Services(yard.platform(journal))


def one(deliveries: Iterable[Delivery], of: RunKey) -> Delivery:
    (found,) = [each for each in deliveries if decode_message(each.body).run == of.run]
    return found


def put_back(yard: Yard, delivery: Delivery) -> None:
    yard.do(yard.journal.source.release(delivery, 0))


def orders(yard: Yard) -> list[list[str]]:
    """What the runner was told, a frame a list."""
    sent = yard.wires.to("c1", frames.Commands)
    return [[type(each.order).__name__ for each in frame.commands] for frame in sent]


# -- the ordinary ---------------------------------------------------------------------------------


def test_an_actor_comes_to_a_runner_and_goes_to_sleep_again(yard: Yard) -> None:
    runner = yard.connect().key
    yard.work()
    actor = yard.create("main")
    yard.report(runner, actor, frames.Running())
    yard.report(runner, actor, frames.Sleep())
    yard.report(runner, actor, frames.Stopped())
    steps = [step for step in yard.steps if step.key == actor]
    assert said(steps) == [
        "actor Timer: Created -> Starting",
        "actor Running: Starting -> Running",
        "actor Sleep: Running -> SleepIntent",
        "actor Stopped: SleepIntent -> Sleeping",
    ]
    assert orders(yard) == [["StartActor"], ["StopActor"]]
    assert yard.board(runner.run).seats == {}


def queued(yard: Yard) -> RunKey:
    """An actor that somebody has woken, and for which there is no runner."""
    key = yard.create("main")
    yard.signal(key, signals.Wake())
    yard.work()
    assert len(yard.board().pending) == 1
    return key


def test_an_actor_for_which_no_runner_comes_leaves_the_queue_after_a_minute(yard: Yard) -> None:
    key = queued(yard)
    yard.clock.advance(59.9)
    yard.work()
    assert yard.phase(key) == "Pending"
    yard.clock.advance(0.2)
    yard.work()
    assert (yard.phase(key), yard.actor(key).error) == ("Sleeping", "no_capacity")
    assert yard.board().pending == []


@pytest.mark.parametrize(
    ("signal", "phase"), [(signals.Destroy(), "Destroyed"), (signals.Sleep(), "Sleeping")]
)
def test_an_actor_that_is_not_to_run_any_more_leaves_the_queue(
    yard: Yard, signal: signals.Signal, phase: str
) -> None:
    key = queued(yard)
    yard.signal(key, signal)
    yard.work()
    assert yard.phase(key) == phase
    assert yard.board().pending == []
    yard.connect()
    yard.work()
    assert yard.phase(key) == phase


def test_a_runner_that_comes_takes_over_who_waits(yard: Yard) -> None:
    key = queued(yard)
    runner = yard.connect().key
    yard.work()
    assert yard.phase(key) == "Starting"
    assert yard.board(runner.run).seats == {key.run: 1}


def test_a_message_for_nobody_is_acknowledged(yard: Yard) -> None:
    yard.signal(RunKey("default", "a7", "actor"), signals.Wake())
    assert yard.work() == ["unknown run"]
    assert yard.waiting() == []


def test_one_message_takes_one_signal(yard: Yard) -> None:
    key = yard.create("main")
    yard.signal(key, signals.Wake())
    yard.signal(key, signals.Destroy())
    first, second = yard.receive()
    assert yard.deliver(first) == "stepped"
    assert yard.phase(key) == "Pending"
    assert yard.deliver(second) == "stepped"
    assert yard.phase(key) == "Destroyed"


def test_a_message_without_a_signal_changes_nothing(yard: Yard) -> None:
    key = yard.create("main")
    yard.signal(key, signals.Wake(), "w")
    yard.signal(key, signals.Wake(), "w")
    yard.work()
    rev = yard.head(key).rev
    yard.signal(key, signals.Wake(), "w")
    assert yard.work() == ["nothing to take"]
    assert yard.head(key).rev == rev


def test_only_the_newest_steps_are_remembered(yard: Yard) -> None:
    key = yard.create("main")
    for _ in range(12):
        yard.signal(key, signals.Sleep())
    yard.work()
    head = yard.head(key)
    assert (head.steps, len(head.past)) == (13, 8)


def test_nothing_is_owed_when_all_was_paid(yard: Yard) -> None:
    key = yard.create("main")
    yard.signal(key, signals.Wake())
    yard.work()
    for each in (key, pool_key()):
        assert yard.head(each).owed == ()


def test_a_process_without_a_way_to_runners_steps_nobody(yard: Yard) -> None:
    platform = yard.platform()
    with pytest.raises(Misconfigured, match="this process cannot step actors"):
        Services(
            Platform(
                platform.journal, platform.blobs, platform.clock, platform.entropy, platform.secrets
            )
        )


# -- timers ---------------------------------------------------------------------------------------


def asleep_until(yard: Yard, delay_ms: int) -> RunKey:
    """An actor whose alarm is due so much later; nothing of it is left to do."""
    runner = yard.connect().key
    yard.work()
    key = yard.create("main")
    yard.report(runner, key, frames.Running())
    yard.report(runner, key, frames.Alarm(yard.clock.now() + delay_ms))
    yard.report(runner, key, frames.Sleep())
    yard.report(runner, key, frames.Stopped())
    yard.signal(runner, signals.StopRunner())
    yard.work()
    yard.clock.advance(5)
    yard.work()
    assert yard.phase(runner) == "Gone"
    return key


def test_a_timer_within_reach_is_a_message(yard: Yard) -> None:
    key = asleep_until(yard, 60_000)
    assert (key.run, 55_000) in yard.waiting()
    yard.clock.advance(55)
    yard.work()
    assert yard.phase(key) == "Pending"


def test_a_timer_further_away_has_no_message_and_a_sweep_sends_it(yard: Yard) -> None:
    key = asleep_until(yard, 3_600_000)
    due = yard.actor(key).due
    assert not [delay for run, delay in yard.waiting() if run == key.run and delay > 30_000]
    head = yard.head(key)
    assert due - QUEUE_REACH_MS <= head.wake_at <= due - 10_000
    yard.clock.advance((head.wake_at - yard.clock.now()) / 1000)
    assert yard.do(yard.services.sweep(key)) == 1
    assert (key.run, due - yard.clock.now()) in yard.waiting()
    yard.clock.advance((due - yard.clock.now()) / 1000)
    yard.work()
    assert yard.phase(key) == "Pending"


def test_an_early_timer_is_put_off_and_burns_nothing(yard: Yard) -> None:
    key = asleep_until(yard, 60_000)
    timer, rev = yard.head(key).timer, yard.head(key).rev
    messages = [(each, decode_message(each.body)) for each in every(yard)]
    (early,) = [e for e, m in messages if (m.run, m.token[3]) == (key.run, timer)]
    assert yard.deliver(early) == "deferred"
    assert yard.head(key).rev == rev
    assert (key.run, 55_000) in yard.waiting()


def every(yard: Yard) -> list[Delivery]:
    """All messages, those of later too."""
    held = yard.journal.source._waiting
    now = yard.clock.now()
    for number, (_, body, receives) in list(held.items()):
        held[number] = (now, body, receives)
    return yard.receive()


def test_the_message_of_a_timer_that_is_no_more_means_nothing(yard: Yard) -> None:
    key = asleep_until(yard, 60_000)
    yard.signal(key, signals.Wake())
    yard.work()
    yard.signal(key, signals.Sleep())
    yard.work()
    assert yard.phase(key) == "Sleeping"
    yard.signal(key, signals.Destroy())
    yard.work()
    yard.clock.advance(60)
    assert set(yard.work()) <= {"nothing to take", "stepped"}
    assert yard.phase(key) == "Destroyed"


# -- what goes wrong ------------------------------------------------------------------------------


def test_a_process_that_dies_before_its_commit_has_done_nothing(yard: Yard) -> None:
    key = yard.create("main")
    yard.signal(key, signals.Wake())
    (delivery,) = yard.receive()
    with pytest.raises(PlatformError):
        yard.deliver(delivery, services(yard, Dies(yard, before=1)))
    assert yard.phase(key) == "Sleeping"
    put_back(yard, delivery)
    yard.work()
    assert yard.phase(key) == "Pending"


def test_a_redelivery_pays_what_the_step_still_owes(yard: Yard) -> None:
    runner = yard.connect().key
    yard.work()
    key = yard.do(yard.directory.create("counter", ["main"])).key
    (delivery,) = yard.receive()
    with pytest.raises(PlatformError):
        yard.deliver(delivery, services(yard, Dies(yard, after=1)))
    assert yard.phase(key) == "Starting"
    assert len(yard.head(key).owed) == 2
    put_back(yard, delivery)
    yard.work()
    assert yard.head(key).owed == ()
    assert len(yard.wires.to("c1", frames.Commands)) == 1
    yard.report(runner, key, frames.Running())
    assert yard.phase(key) == "Running"


def test_a_redelivery_sends_the_timers_message_again(yard: Yard) -> None:
    yard.connect()
    yard.work()
    key = yard.do(yard.directory.create("counter", ["main"])).key
    (delivery,) = yard.receive()
    with pytest.raises(PlatformError):
        yard.deliver(delivery, services(yard, Dies(yard, after=1)))
    assert key.run not in [run for run, _ in yard.waiting()]
    put_back(yard, delivery)
    yard.work()
    assert (key.run, yard.settings.start_ms) in yard.waiting()


def test_a_debt_that_was_paid_and_not_taken_off_is_paid_again_and_counts_once(yard: Yard) -> None:
    yard.connect()
    yard.work()
    key = yard.do(yard.directory.create("counter", ["main"])).key
    (delivery,) = yard.receive()
    with pytest.raises(PlatformError):
        yard.deliver(delivery, services(yard, Dies(yard, before=2)))
    assert len(yard.head(key).owed) == 2
    yard.work()
    put_back(yard, delivery)
    yard.work()
    assert yard.head(key).owed == ()
    (commands,) = yard.wires.to("c1", frames.Commands)
    assert len(commands.commands) == 1


def test_a_step_that_finds_debts_pays_them_before_its_own(yard: Yard) -> None:
    yard.connect()
    yard.work()
    key = yard.do(yard.directory.create("counter", ["main"])).key
    (delivery,) = yard.receive()
    with pytest.raises(PlatformError):
        yard.deliver(delivery, services(yard, Dies(yard, after=1)))
    yard.signal(key, signals.Sleep())
    yard.work()
    assert orders(yard) == [["StartActor"], ["StartActor", "StopActor"]]  # none was heard yet


def test_who_was_not_quick_enough_decides_again(yard: Yard) -> None:
    key = yard.create("main")
    yard.signal(key, signals.Wake())
    (delivery,) = yard.receive()
    assert yard.deliver(delivery, services(yard, Contended(yard, CONFLICTS - 1))) == "stepped"
    assert yard.phase(key) == "Pending"


def test_what_is_too_contended_is_put_off_under_the_same_send_id(yard: Yard) -> None:
    key = yard.create("main")
    yard.signal(key, signals.Wake())
    (delivery,) = yard.receive()
    assert yard.deliver(delivery, services(yard, Contended(yard, CONFLICTS))) == "deferred"
    assert yard.waiting() == [(key.run, 750)]
    yard.clock.advance(1)
    (again,) = yard.receive()
    assert again.body == delivery.body
    put_back(yard, again)
    yard.work()
    assert yard.phase(key) == "Pending"


def test_two_actors_that_want_one_slot_get_one_and_the_other_waits(yard: Yard) -> None:
    runner = yard.connect().key
    yard.work()
    first = yard.do(yard.directory.create("counter", ["1"], crash=CrashPolicy.RESTART)).key
    second = yard.do(yard.directory.create("counter", ["2"], crash=CrashPolicy.RESTART)).key
    yard.work()
    assert sorted([yard.phase(first), yard.phase(second)]) == ["Pending", "Starting"]
    assert len(yard.board(runner.run).seats) == 1


def test_a_signal_that_cannot_be_read_is_thrown_away_and_the_next_one_taken(yard: Yard) -> None:
    key = yard.create("main")
    yard.do(yard.journal.put([Item(key.partition, inbox_item(1, "broken"), b"\xc1")]))
    yard.signal(key, signals.Destroy())
    yard.work()
    assert yard.phase(key) == "Destroyed"
    assert yard.items(key.partition, "inbox/") == {}


def test_a_signal_of_a_newer_version_is_left_in_the_inbox(yard: Yard) -> None:
    key = yard.create("main")
    yard.do(yard.journal.put([Item(key.partition, inbox_item(1, "newer"), b"\x92\x02\xc0")]))
    yard.signal(key, signals.Destroy())
    with pytest.raises(NewerFormat):
        yard.work()
    assert yard.phase(key) == "Sleeping"


# -- sweeping -------------------------------------------------------------------------------------


def test_a_sweep_brings_back_a_debt_whose_message_was_lost(yard: Yard) -> None:
    yard.connect()
    yard.work()
    key = yard.do(yard.directory.create("counter", ["main"])).key
    (delivery,) = yard.receive()
    with pytest.raises(PlatformError):
        yard.deliver(delivery, services(yard, Dies(yard, after=1)))
    yard.do(yard.journal.source.acknowledge(delivery))  # and its message is gone
    yard.work()
    assert yard.wires.to("c1", frames.Commands) == []
    yard.clock.advance(2 * LOOK_GRAIN_MS / 1000)
    assert yard.do(sweep(yard.platform())).sent > 0
    yard.work()
    assert yard.head(key).owed == ()


def test_a_sweep_brings_back_a_signal_that_was_left_behind_without_a_message(yard: Yard) -> None:
    key = yard.create("main")
    yard.signal(key, signals.Wake())
    yard.signal(key, signals.Destroy())
    first, second = yard.receive()
    yard.deliver(first)
    yard.do(yard.journal.source.acknowledge(second))
    yard.work()
    assert yard.phase(key) == "Pending"
    yard.clock.advance(60)
    yard.do(yard.services.sweep(key))
    yard.work()
    assert yard.phase(key) == "Destroyed"


def test_a_sweep_leaves_alone_whose_time_has_not_come(yard: Yard) -> None:
    key = yard.create("main")
    assert yard.do(yard.services.sweep(key)) == 0
    assert yard.do(yard.services.sweep(RunKey("default", "a7", "actor"))) == 0
