"""The seed's ideal flow, step by step: a request wakes a sleeping actor on a runner made for it."""

from __future__ import annotations

from engine.allocation import frames
from engine.simulation.allocation.byhand import ByHand
from tests.engine.simulation.allocation.golden import expect, play


def test_a_request_to_a_sleeping_actor_starts_a_runner_and_is_answered() -> None:
    play(_request_to_sleeping_actor)


async def _request_to_sleeping_actor(hand: ByHand) -> None:
    actor = await hand.sleeping_actor()
    request = hand.request(actor, "/")
    await hand.passing()
    await hand.deliver("AWF", "S")
    runner = hand.runner()
    await runner.connect()
    await hand.deliver("RWF1", "S", "AWF", "RWF1", "S")
    await runner.take(frames.Commands)
    await runner.report(actor, 1, frames.Running())
    await hand.deliver("RWF1", "AWF")
    await hand.passing()
    await runner.take(frames.RequestStart)
    await runner.answer("/", b"hello")
    assert (await request).body == b"hello"
    assert hand.waiting() == []
    expect(
        hand,
        """
        U > G  GET /
        AWF  Wake: Sleeping -> Pending. allocate, no runners available, start pending > S: Bump
        S  Bump: Steady. desired: 1, start > Request
        S > SE  GET /start
        R1 > RWS  Connect
        RWF1  Timer: Connected. allocate pending actors > AWF: Allocate
        S  RequestBegan: Steady. runner is there, desired: 1
        AWF  Allocate: Pending -> Starting. allocate, send StartActor > RWF1: Start, S: Bump
        RWF1  Start: Connected. proxy StartActor > Post
        S  Bump: Steady. desired: 1
        RWS > R1  StartActor (1)
        R1 > RWS  Running (1)
        RWF1  Happened: Connected. forward Running > AWF: Running
        AWF  Running: Starting -> Running. publish Ready
        RWS > R1  GET / (1)
        R1 > RWS  200 /
        G > U  200
        """,
    )


def test_the_actor_sleeps_in_the_end_and_costs_nothing() -> None:
    play(_sleep)


async def _sleep(hand: ByHand) -> None:
    actor = await hand.sleeping_actor()
    request = hand.request(actor, "/")
    await hand.passing()
    await hand.deliver("AWF", "S")
    runner = hand.runner()
    await runner.connect()
    await hand.deliver_all()
    await runner.take(frames.Commands)
    await runner.report(actor, 1, frames.Running())
    await hand.deliver_all()
    await hand.passing()
    await runner.take(frames.RequestStart)
    await runner.answer("/")
    await request
    hand.trace.clear()

    await runner.report(actor, 1, frames.Sleep())
    await hand.deliver("RWF1", "AWF", "RWF1")
    await runner.take(frames.Commands)
    await runner.report(actor, 1, frames.Stopped())
    await hand.deliver("RWF1", "AWF", "S")
    expect(
        hand,
        """
        R1 > RWS  Sleep (1)
        RWF1  Happened: Connected. forward Sleep > AWF: Sleep
        AWF  Sleep: Running -> SleepIntent. mark as sleeping, send StopActor > RWF1: Stop
        RWF1  Stop: Connected. proxy StopActor > Post
        RWS > R1  StopActor (1)
        R1 > RWS  Stopped (1)
        RWF1  Happened: Connected. forward Stopped > AWF: Stopped
        AWF  Stopped: SleepIntent -> Sleeping. deallocate, publish Stopped > S: Bump
        S  Bump: Steady -> Surplus. desired: 0
        """,
    )
    await hand.passing(2)
    await hand.deliver("S", "RWF1")
    await hand.passing(6)
    await hand.deliver("RWF1", "S")
    assert not runner.connected
    expect(
        hand,
        """
        S  Timer: Surplus -> Steady. desired: 0, stop > RWF1: StopRunner
        RWF1  StopRunner: Connected -> Draining. stop, remove from alloc idx > S: Bump
        RWF1  Timer: Draining -> Gone. after grace, evict WS, gone > Evict, S: Bump, Clear
        S  Bump: Steady. desired: 0
        """,
    )
