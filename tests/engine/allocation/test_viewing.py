"""What an operator reads. Read each sentence aloud."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from engine.allocation import frames, signals
from engine.allocation.actor_state import (
    PHASES,
    ActorState,
    Backoff,
    Created,
    Destroyed,
    GoingAway,
    Pending,
    Phase,
    Running,
    Sleeping,
    SleepIntent,
    Starting,
    StopIntent,
)
from engine.allocation.config import PoolConfig
from engine.allocation.directory import PoolNotFound
from engine.allocation.head import FORMAT, ServiceHead, service_record
from engine.allocation.parties import actor
from engine.allocation.pool_state import BackingOff, PoolState, Steady, Surplus, Unmanaged
from engine.allocation.viewing import (
    AllocationReader,
    actor_words,
    pool_why,
    pool_words,
    source_words,
    why_not_ready,
)
from engine.errors import RunNotFound
from engine.ports import Commit
from tests.engine.allocation.cases import held
from tests.engine.allocation.scenes import NOW, SERVERLESS, UNMANAGED, a_pool, an_actor
from tests.engine.allocation.yard import Yard, pool_key

LATER = NOW + 3_100

# -- actors ---------------------------------------------------------------------------------------


WORDS: list[tuple[Phase, str]] = [
    (Created(NOW), "created"),
    (Pending(NOW), "waiting for a slot"),
    (Starting("n1", LATER), "starting"),
    (Running("n1"), "running"),
    (SleepIntent("n1", LATER), "going to sleep"),
    (SleepIntent("n1", LATER, True), "going to sleep, will wake"),
    (GoingAway("n1", LATER), "leaving its runner"),
    (GoingAway("n1", LATER, True), "leaving its runner, will wake"),
    (StopIntent("n1", LATER), "stopping for good"),
    (Sleeping(), "sleeping"),
    (Backoff(LATER), "backing off"),
    (Destroyed(), "destroyed"),
]


@pytest.mark.parametrize(("phase", "words"), WORDS)
def test_every_state_has_its_words(phase: Phase, words: str) -> None:
    assert actor_words(an_actor(phase)) == words


def test_no_state_is_without_words() -> None:
    assert {type(phase) for phase, _ in WORDS} == set(PHASES)


def test_a_sleeper_that_has_crashed_is_told_from_one_that_has_not() -> None:
    crashed = an_actor(Sleeping(), error="crashed: boom", crashes=1)
    assert actor_words(crashed) == "sleeping, crashed"
    assert actor_words(an_actor(Sleeping(), error="no_capacity")) == "sleeping"


def why(yard: Yard, state: ActorState) -> str:
    head = ServiceHead(FORMAT, 1, NOW, state)
    return yard.do(why_not_ready(yard.directory, actor("a1").key("default"), head, NOW))


CRASHED = {"error": "crashed: boom", "crashes": 3}


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (
            an_actor(Starting("n1", LATER)),
            "runner 'n1' has been told to start it, and has not answered yet",
        ),
        (an_actor(SleepIntent("n1", LATER)), "it is still stopping on runner 'n1'"),
        (an_actor(GoingAway("n1", LATER)), "it is still stopping on runner 'n1'"),
        (an_actor(StopIntent("n1", LATER)), "it is still stopping on runner 'n1'"),
        (
            an_actor(Backoff(LATER), **CRASHED),
            "it has failed 3 times in a row; it has crashed: boom; it is started again in 4 s",
        ),
        (
            an_actor(Backoff(NOW), error="runner_no_response: n1", crashes=1),
            "it has failed once; runner 'n1' has not answered in time; it is started again in 0 s",
        ),
        (an_actor(Running("n1")), "it runs, and its runner 'n1' cannot be reached"),
        (an_actor(Sleeping()), "it sleeps"),
        (an_actor(Sleeping(), **CRASHED), "it sleeps; it has crashed: boom"),
        (
            an_actor(Sleeping(), error="no_capacity"),
            "it sleeps; no runner had a free slot for it",
        ),
        (
            an_actor(Sleeping(), error="runner_connection_lost: n1"),
            "it sleeps; runner 'n1' was lost",
        ),
        (an_actor(Destroyed()), "it has been destroyed"),
    ],
)
def test_why_an_actor_is_not_ready_is_a_sentence(
    yard: Yard, state: ActorState, sentence: str
) -> None:
    assert why(yard, state) == sentence


def pool(yard: Yard, state: PoolState) -> None:
    record = service_record(pool_key("p"), ServiceHead(FORMAT, 1, NOW, state))
    yard.do(yard.journal.commit(Commit(record, None)))


NO_SLOT = "no runner of pool 'p' has a free slot"


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (None, f"{NO_SLOT}: none has ever connected"),
        (
            a_pool(Unmanaged(), UNMANAGED),
            f"{NO_SLOT}; the pool starts none itself: start a runner",
        ),
        (a_pool(Steady()), f"{NO_SLOT}; runners that are being started: 0"),
        (
            a_pool(Steady(), requests=(held(), held("q-2", runner="n1"))),
            f"{NO_SLOT}; runners that are being started: 1",
        ),
        (
            a_pool(Steady(), replace(SERVERLESS, max_runners=1), requests=(held(runner="n1"),)),
            f"{NO_SLOT}, and it may have no more runners than 1",
        ),
        (
            a_pool(BackingOff(LATER, LATER), error="it answered with 500", failures=2),
            f"{NO_SLOT}: it answered with 500; that happened 2 times in a row, and it tries again "
            "in 4 s",
        ),
    ],
)
def test_why_an_actor_waits_for_a_slot_is_the_pools_to_say(
    yard: Yard, state: PoolState | None, sentence: str
) -> None:
    if state is not None:
        pool(yard, state)
    assert why(yard, an_actor(Pending(NOW))) == sentence


# -- pools ----------------------------------------------------------------------------------------


def test_every_pool_has_its_words() -> None:
    words = [
        pool_words(a_pool(phase))
        for phase in (Unmanaged(), Steady(), Surplus(NOW, LATER), BackingOff(LATER, LATER))
    ]
    assert words == ["unmanaged", "steady", "scaling down", "backing off"]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (SERVERLESS, "https://example.com/runners"),
        (PoolConfig(command=("python", "-m", "mine")), "python -m mine"),
        (UNMANAGED, "they come by themselves"),
    ],
)
def test_where_a_pools_runners_come_from(config: PoolConfig, words: str) -> None:
    assert source_words(a_pool(Steady(), config)) == words


def test_a_pool_says_what_keeps_it_from_starting_runners() -> None:
    failing = a_pool(BackingOff(LATER, LATER), error="no", failures=1)
    assert pool_why(failing, NOW) == "no; that happened once, and it tries again in 4 s"
    assert pool_why(failing, LATER) == "no"
    assert pool_why(a_pool(Steady()), NOW) == ""


# -- views ----------------------------------------------------------------------------------------


def test_the_views_of_one_actor_on_one_runner(yard: Yard) -> None:
    yard.do(yard.directory.configure("default", PoolConfig(command=("run",), min_runners=1)))
    yard.work()
    runner = yard.connect(slots=2).key
    yard.work()
    key = yard.create("eu", "main")
    yard.report(runner, key, frames.Running())
    reader = AllocationReader(yard.platform())

    (seen,) = yard.do(reader.actors(limit=9))
    assert (seen.state, seen.why, seen.key) == ("running", "", ("eu", "main"))
    assert (seen.runner, seen.generation) == (runner.run, 1)
    assert [past.signal for past in seen.past] == ["Timer", "Running"]
    assert yard.do(reader.actor(key)) == seen

    (host,) = yard.do(reader.runners(limit=9, pool="default"))
    assert (host.state, host.slots, host.taken) == ("connected", 2, 1)
    assert yard.do(reader.runner(runner)) == host
    assert yard.do(reader.runners(limit=9, pool="other")) == []

    (whole,) = yard.do(reader.pools(limit=9))
    assert (whole.slots, whole.taken, whole.waiting, whole.wanted) == (2, 1, 0, 1)
    assert yard.do(reader.pool("default")) == whole


def test_a_runner_that_was_lost_says_so(yard: Yard) -> None:
    runner = yard.connect().key
    yard.clock.advance(20)
    yard.work()
    view = yard.do(AllocationReader(yard.platform()).runner(runner))
    assert (view.state, view.why) == ("gone", f"runner_connection_lost: {runner.run}")


def test_who_is_not_there_is_not_found(yard: Yard) -> None:
    reader = AllocationReader(yard.platform())
    with pytest.raises(PoolNotFound, match="there is no pool 'x'"):
        yard.do(reader.pool("x"))
    with pytest.raises(RunNotFound, match="there is no runner 'a1'"):
        yard.do(reader.runner(actor("a1").key("default")))


def test_an_actor_that_cannot_run_says_why_in_its_view(yard: Yard) -> None:
    key = yard.create("x")
    yard.signal(key, signals.Wake())
    yard.work()
    view = yard.do(AllocationReader(yard.platform()).actor(key))
    assert view.state == "waiting for a slot"
    assert view.why.endswith("the pool starts none itself: start a runner")
