"""The seed's messy flow, step by step, with its races: each test plays the whole of it up to some
point, and holds the trace of its own part against the diagram."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from engine.allocation import frames
from engine.allocation.tunnel import HttpResponse
from engine.layout import RunKey
from engine.simulation.allocation.byhand import ByHand, Runner
from tests.engine.simulation.allocation.golden import expect, play


@dataclass
class Scene:
    """Where the story stands."""

    hand: ByHand
    actor: RunKey
    runner: Runner
    third: asyncio.Task[HttpResponse] | None = None


async def running(hand: ByHand) -> Scene:
    """The actor was woken by a request, which it has got: it runs."""
    actor = await hand.sleeping_actor()
    hand.request(actor, "/sleep")
    await hand.passing()
    await hand.deliver("AWF", "S")
    runner = hand.runner()
    await runner.connect()
    await hand.deliver_all()
    await runner.take(frames.Commands)
    await runner.report(actor, 1, frames.Running())
    await hand.deliver_all()
    await hand.passing()
    hand.trace.clear()
    return Scene(hand, actor, runner)


async def marked_as_sleeping(hand: ByHand) -> Scene:
    """Two requests have made it say that it wants to sleep; a third one came after that."""
    scene = await running(hand)
    runner, actor = scene.runner, scene.actor
    await runner.take(frames.RequestStart)
    await runner.report(actor, 1, frames.Sleep())
    await runner.answer("/sleep")
    await hand.passing(0)
    hand.request(actor, "/sleep")
    await hand.passing(0)
    await runner.take(frames.RequestStart)
    await runner.report(actor, 1, frames.Sleep())
    await runner.answer("/sleep")
    await hand.passing(0)
    await hand.deliver("RWF1", "AWF", "RWF1", "AWF")
    scene.third = hand.request(actor, "/sleep")
    await hand.passing(0)
    await hand.deliver("AWF")
    return scene


async def stopped(hand: ByHand) -> Scene:
    scene = await marked_as_sleeping(hand)
    hand.trace.clear()
    await hand.deliver("RWF1")
    await scene.runner.take(frames.Commands)
    await scene.runner.report(scene.actor, 1, frames.Stopped())
    await hand.deliver("RWF1", "AWF")
    return scene


async def allocated_again(hand: ByHand) -> Scene:
    """It was allocated on the runner that the pool, which saw it gone, is about to stop."""
    scene = await stopped(hand)
    hand.trace.clear()
    hand.hold_up("Wake")
    hand.hold_up("StopRunner")
    await hand.deliver("S")
    await hand.passing(2)  # the gateway sees it asleep, and sends its retry
    await hand.begin_to_deliver("S")
    await hand.deliver("AWF", "RWF1")
    await scene.runner.take(frames.Commands)
    await scene.runner.report(scene.actor, 2, frames.Running())
    await hand.let_go("Wake")
    await hand.deliver("AWF")
    return scene


async def waiting_again(hand: ByHand) -> Scene:
    """That runner was evicted, and a second one is asked for."""
    scene = await allocated_again(hand)
    hand.trace.clear()
    await hand.let_go("StopRunner")
    await hand.deliver("RWF1", "AWF", "RWF1", "AWF", "RWF1")
    await scene.runner.take(frames.Commands)
    await hand.passing(6)
    await hand.deliver("RWF1", "AWF", "AWF")
    return scene


# -- request to a running actor, and its sleep ----------------------------------------------------


def test_the_second_sleep_intent_is_ignored_and_the_actor_is_stopped_once() -> None:
    play(_second_intent)


async def _second_intent(hand: ByHand) -> None:
    await marked_as_sleeping(hand)
    expect(
        hand,
        """
        RWS > R1  GET /sleep (1)
        R1 > RWS  Sleep (1)
        R1 > RWS  200 /sleep
        G > U  200
        U > G  GET /sleep
        RWS > R1  GET /sleep (1)
        R1 > RWS  Sleep (1)
        R1 > RWS  200 /sleep
        G > U  200
        RWF1  Happened: Connected. forward Sleep > AWF: Sleep
        AWF  Sleep: Running -> SleepIntent. mark as sleeping, send StopActor > RWF1: Stop
        RWF1  Happened: Connected. forward Sleep > AWF: Sleep
        AWF  Sleep: SleepIntent. ignored: already marked as sleeping
        U > G  GET /sleep
        AWF  Wake: SleepIntent. defer wake after stop
        """,
    )


# -- request to an actor that is marked as sleeping -----------------------------------------------


def test_it_is_deallocated_and_says_that_it_stopped_before_it_is_allocated_again() -> None:
    play(_stopped_first)


async def _stopped_first(hand: ByHand) -> None:
    await stopped(hand)
    expect(
        hand,
        """
        RWF1  Stop: Connected. proxy StopActor > Post
        RWS > R1  StopActor (1)
        R1 > RWS  Stopped (1)
        RWF1  Happened: Connected. forward Stopped > AWF: Stopped
        AWF  Stopped: SleepIntent -> Sleeping. deallocate, publish Stopped > S: Bump
        """,
    )


def test_the_gateways_retry_before_the_deferred_wake_allocates_and_the_wake_finds_it_done() -> None:
    play(_retry_first)


async def _retry_first(hand: ByHand) -> None:
    scene = await stopped(hand)
    hand.trace.clear()
    await hand.passing(0)
    await hand.deliver("AWF", "AWF")
    await hand.deliver_all()
    await scene.runner.take(frames.Commands)
    expect(
        hand,
        """
        AWF  Wake: Sleeping -> Starting. allocate, send StartActor > RWF1: Start, S: Bump
        S  Bump: Steady. desired: 1
        RWF1  Start: Connected. proxy StartActor > Post
        RWS > R1  StartActor (2)
        """,
    )


def test_the_gateways_retry_after_the_deferred_wake_is_ignored_as_it_is_allocated_already() -> None:
    play(_retry_after)


async def _retry_after(hand: ByHand) -> None:
    await allocated_again(hand)
    expect(
        hand,
        """
        S  Bump: Steady -> Surplus. desired: 0
        S  Timer: Surplus -> Steady. desired: 0, stop > RWF1: StopRunner
        AWF  Timer: Sleeping -> Starting. deferred wake, allocate, send StartActor
            > RWF1: Start, S: Bump
        RWF1  Start: Connected. proxy StartActor > Post
        RWS > R1  StartActor (2)
        R1 > RWS  Running (2)
        AWF  Wake: Starting. ignored: it is not sleeping: it is allocated already
        """,
    )


# -- the runner is stopped under it ---------------------------------------------------------------


def test_the_runner_that_was_to_go_is_evicted_with_the_actor_that_has_just_come_to_it() -> None:
    play(_evicted)


async def _evicted(hand: ByHand) -> None:
    scene = await waiting_again(hand)
    assert not scene.runner.connected
    await hand.deliver_all()
    expect(
        hand,
        """
        RWF1  StopRunner: Connected -> Draining. stop, remove from alloc idx
            > AWF: GoingAway, S: Bump
        AWF  GoingAway: Starting -> GoingAway. mark as going away, send StopActor > RWF1: Stop
        RWF1  Happened: Draining. forward Running > AWF: Running
        AWF  Running: GoingAway. ignored: already marked as going away
        RWF1  Stop: Draining. proxy StopActor > Post
        RWS > R1  StopActor (2)
        RWF1  Timer: Draining -> Gone. after grace, evict WS, evict running actors, gone
            > Evict, AWF: Lost, S: Bump, Clear
        AWF  Lost: GoingAway -> Sleeping. actor lost, deallocate, publish Stopped > S: Bump
        AWF  Timer: Sleeping -> Pending. deferred wake, allocate,
            no runners available, start pending > S: Bump
        S  Bump: Steady. desired: 1, start > Request
        S > SE  GET /start
        """,
    )


def test_a_second_runner_takes_the_actor_and_the_request_is_answered_there() -> None:
    play(_second_runner)


async def _second_runner(hand: ByHand) -> None:
    scene = await waiting_again(hand)
    await hand.deliver_all()
    hand.trace.clear()
    second = hand.runner()
    await second.connect()
    await hand.deliver("RWF2", "AWF", "RWF2")
    await second.take(frames.Commands)
    await second.report(scene.actor, 3, frames.Running())
    await hand.deliver("RWF2", "AWF")
    await hand.passing()
    await second.take(frames.RequestStart)
    await second.report(scene.actor, 3, frames.Sleep())
    await second.answer("/sleep")
    assert scene.third is not None
    assert (await scene.third).status == 200
    expect(
        hand,
        """
        R2 > RWS  Connect
        RWF2  Timer: Connected. allocate pending actors > AWF: Allocate
        AWF  Allocate: Pending -> Starting. allocate, send StartActor > RWF2: Start, S: Bump
        RWF2  Start: Connected. proxy StartActor > Post
        RWS > R2  StartActor (3)
        R2 > RWS  Running (3)
        RWF2  Happened: Connected. forward Running > AWF: Running
        AWF  Running: Starting -> Running. publish Ready
        RWS > R2  GET /sleep (3)
        R2 > RWS  Sleep (3)
        R2 > RWS  200 /sleep
        G > U  200
        """,
    )
    await hand.deliver_all()
    hand.trace.clear()

    await second.take(frames.Commands)
    await second.report(scene.actor, 3, frames.Stopped())
    await hand.deliver("RWF2", "AWF", "S")
    await hand.passing(2)
    await hand.deliver_all()
    await hand.passing(6)
    await hand.deliver_all()
    assert not second.connected
    expect(
        hand,
        """
        RWS > R2  StopActor (3)
        R2 > RWS  Stopped (3)
        RWF2  Happened: Connected. forward Stopped > AWF: Stopped
        AWF  Stopped: SleepIntent -> Sleeping. deallocate, publish Stopped > S: Bump
        S  Bump: Steady -> Surplus. desired: 0
        S  Timer: Surplus -> Steady. desired: 0, stop > RWF2: StopRunner
        RWF2  StopRunner: Connected -> Draining. stop, remove from alloc idx > S: Bump
        S  Bump: Steady. desired: 0
        RWF2  Timer: Draining -> Gone. after grace, evict WS, gone > Evict, S: Bump, Clear
        S  Bump: Steady. desired: 0
        """,
    )
