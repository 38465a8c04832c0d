"""Races that the diagrams do not draw: two decisions that pass each other, and who mends it."""

from __future__ import annotations

from engine.allocation import frames, signals
from engine.allocation.config import PoolConfig
from engine.allocation.inbox import READ
from engine.simulation.allocation.byhand import ByHand
from tests.engine.simulation.allocation.golden import SERVERLESS, expect, play
from tests.engine.simulation.allocation.test_golden_messy import running

UNMANAGED = PoolConfig()


def test_an_actor_that_begins_to_wait_while_a_runner_comes_is_not_left_beside_a_free_slot() -> None:
    play(_limbo, UNMANAGED)


async def _limbo(hand: ByHand) -> None:
    actor = await hand.sleeping_actor()
    await hand.tell(actor, signals.Wake())
    hand.hold_up("actor")
    await hand.begin_to_deliver("AWF")  # it has seen that no runner is there
    runner = hand.runner()
    await runner.connect()
    await hand.deliver("RWF1")  # it has seen that nobody waits
    await hand.let_go("actor")
    await hand.deliver_all()
    expect(
        hand,
        """
        R1 > RWS  Connect
        RWF1  Timer: Connected. check the queue
        AWF  Wake: Sleeping -> Pending. allocate, no runners available, start pending > S: Bump
        S  Bump: Unmanaged. look > RWF1: CheckQueue
        RWF1  CheckQueue: Connected. allocate pending actors > AWF: Allocate
        AWF  Allocate: Pending -> Starting. allocate, send StartActor > RWF1: Start, S: Bump
        RWF1  Start: Connected. proxy StartActor > Post
        S  Bump: Unmanaged. look
        """,
    )


def test_a_runner_that_is_stopped_before_the_start_comes_refuses_it_and_nobody_is_to_blame() -> (
    None
):
    play(_refused_start)


async def _refused_start(hand: ByHand) -> None:
    actor = await hand.sleeping_actor()
    await hand.tell(actor, signals.Wake())
    await hand.deliver("AWF", "S")
    runner = hand.runner()
    await runner.connect()
    await hand.deliver("RWF1", "S")
    hand.trace.clear()
    hand.hold_up("Start")
    await hand.begin_to_deliver("AWF")
    await hand.tell(runner.key, signals.StopRunner())
    await hand.deliver("RWF1")
    await hand.let_go("Start")
    await hand.deliver("RWF1", "AWF", "RWF1", "AWF", "AWF")
    assert "Sleeping -> Pending" in hand.trace[-1]
    expect(
        hand,
        """
        AWF  Allocate: Pending -> Starting. allocate, send StartActor > RWF1: Start, S: Bump
        RWF1  StopRunner: Connected -> Draining. stop, remove from alloc idx
            > AWF: GoingAway, S: Bump
        RWF1  Start: Draining. refuse StartActor > AWF: Lost
        AWF  GoingAway: Starting -> GoingAway. mark as going away, send StopActor > RWF1: Stop
        RWF1  Stop: Draining. proxy StopActor > Post
        AWF  Lost: GoingAway -> Sleeping. actor lost, deallocate, publish Stopped > S: Bump
        AWF  Timer: Sleeping -> Pending. deferred wake, allocate,
            no runners available, start pending > S: Bump
        """,
    )


def test_a_slot_that_was_on_its_way_to_an_actor_that_is_destroyed_is_given_back() -> None:
    play(_doomed)


async def _doomed(hand: ByHand) -> None:
    actor = await hand.sleeping_actor()
    await hand.tell(actor, signals.Wake())
    await hand.deliver("AWF", "S")
    runner = hand.runner()
    await runner.connect()
    hand.hold_up("Allocate")
    await hand.begin_to_deliver("RWF1")
    hand.trace.clear()
    await hand.tell(actor, signals.Destroy())
    await hand.deliver("AWF")
    await hand.let_go("Allocate")
    await hand.deliver("AWF")
    expect(
        hand,
        """
        AWF  Destroy: Pending. destroy as soon as the slot is there, to give it back
        AWF  Allocate: Pending -> Destroyed. deallocate, destroyed > S: Bump, Clear
        """,
    )


def test_a_runner_that_comes_back_keeps_its_actor_and_gets_the_command_that_it_has_missed() -> None:
    play(_back_again)


async def _back_again(hand: ByHand) -> None:
    scene = await running(hand)
    runner, actor = scene.runner, scene.actor
    await runner.lose_connection()
    await hand.tell(actor, signals.Sleep())
    await hand.deliver("RWF1", "AWF", "RWF1")
    await runner.connect()
    await hand.deliver("RWF1", "RWF1")
    await runner.take(frames.Commands)
    expect(
        hand,
        """
        RWF1  Disconnected: Connected -> Away. remove from alloc idx
        AWF  Sleep: Running -> SleepIntent. mark as sleeping, send StopActor > RWF1: Stop
        RWF1  Stop: Away. keep StopActor
        R1 > RWS  Connect
        RWF1  Connected: Away -> Connected. connect > Post, RWF1: CheckQueue
        RWF1  CheckQueue: Connected. check the queue
        RWS > R1  StopActor (1)
        """,
    )


def test_word_of_the_old_connections_end_that_comes_late_does_not_touch_the_new_one() -> None:
    play(_late_word, SERVERLESS)


async def _late_word(hand: ByHand) -> None:
    scene = await running(hand)
    old = scene.runner.connection
    await scene.runner.connect()
    await hand.deliver("RWF1")
    await hand.tell(scene.runner.key, signals.Disconnected(old))
    await hand.deliver("RWF1", "RWF1")
    expect(
        hand,
        """
        R1 > RWS  Connect
        RWF1  Connected: Connected. connect > Evict, RWF1: CheckQueue
        RWF1  CheckQueue: Connected. check the queue
        RWF1  Disconnected: Connected. ignored: not its connection any more
        """,
    )


def test_no_event_is_passed_by_where_very_many_wait_and_clocks_are_wrong() -> None:
    play(_many_events)


async def _many_events(hand: ByHand) -> None:
    scene = await running(hand)
    for at in range(READ + 5):
        scene.runner.hold(scene.actor, 1, frames.Alarm(at))
    await scene.runner.send_held()
    hand.another_door(behind_ms=5_000)
    for at in range(READ):  # they lie before the others in the inbox
        scene.runner.hold(scene.actor, 1, frames.Alarm(1_000 + at))
    await scene.runner.send_held()
    hand.another_door()
    await hand.deliver_all("RWF1", "AWF")
    forwarded = [line for line in hand.trace if "forward Alarm" in line]
    assert len(forwarded) == READ + 5 + READ
