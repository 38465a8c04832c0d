"""Functions: batches, time-outs, deaths, warm processes, the recursion stop, the schedule."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress

import pytest

from engine.actors import Registry, actor
from engine.dispatcher import Dispatcher
from engine.errors import StoreUnusable
from engine.layout import RunKey
from engine.ports import Delivery, Platform
from engine.receiving import Handled
from engine.simulation import NONE, Faults, Observer, Parts, Settings, Simulation, TokenId
from engine.simulation.world.process import Process
from engine.simulation.world.settings import DEFAULTS
from engine.simulation.world.stage import Stage
from engine.sweeper import sweep
from tests.engine.simulation.chains import ACTORS, chain, month


class Log(Observer):
    """What happened, in order, as short words."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def delivered(self, body: str, worker: str, receives: int, at: int) -> None:
        self.words.append(f"{worker} given {receives}")

    def died(self, worker: str, at: int) -> None:
        self.words.append(f"{worker} died")

    def dead_lettered(self, body: str, reason: str, at: int) -> None:
        self.words.append(reason)

    def raised(self, body: str, error: Exception, worker: str, at: int) -> None:
        self.words.append(type(error).__name__)

    def actor_began(self, key: RunKey, token: TokenId, worker: str, at: int) -> None:
        self.words.append(f"actor {token[1]} begins")

    def actor_ended(self, key: RunKey, token: TokenId, worker: str, at: int) -> None:
        self.words.append(f"actor {token[1]} ends")


class Handler:
    """Handles every delivery in the same way, and remembers how many before."""

    def __init__(self, act: Callable[[int], None]) -> None:
        self._act = act
        self._handled = 0

    async def handle(self, delivery: Delivery, deadline: int) -> Handled:
        self._handled += 1
        self._act(self._handled)
        return Handled("done")


def run_with(
    act: Callable[[int], None], runs: int = 1, settings: Settings = DEFAULTS
) -> tuple[Log, Simulation]:
    """Start some runs; whatever is delivered for them is handled by `act`."""
    log = Log()
    parts = Parts(dispatcher=lambda platform, actors: Handler(act))
    with Simulation(actors=ACTORS, observers=[log], parts=parts, settings=settings) as simulation:
        for number in range(runs):
            simulation.start(chain(1), 0, run=f"r{number}")
        simulation.run(until=55)  # before a sweep looks after runs that nothing was done for
    return log, simulation


def test_one_process_serves_one_delivery_after_the_other_and_stays_warm() -> None:
    seen: list[int] = []
    log, _ = run_with(seen.append, runs=3)
    assert log.words == ["dispatcher-1 given 1"] * 3
    assert seen == [1, 2, 3]


def test_a_record_that_fails_comes_again_and_the_others_do_not() -> None:
    def fail_second(handled: int) -> None:
        if handled == 2:
            raise StoreUnusable("simulated")

    log, simulation = run_with(fail_second, runs=3, settings=Settings(visibility=30))
    assert log.words == [
        "dispatcher-1 given 1",
        "dispatcher-1 given 1",
        "StoreUnusable",
        "dispatcher-1 given 1",
        "dispatcher-1 given 2",
    ]
    assert len(simulation.deployment.queue) == 0


def test_an_error_that_is_none_of_the_engines_is_a_violation() -> None:
    with Simulation(
        actors=ACTORS, parts=Parts(dispatcher=lambda platform, actors: Handler(_break))
    ) as simulation:
        simulation.start(chain(1), 0, run="r")
        report = simulation.run()
    assert report.violation is not None
    assert report.violation.rule == "only known errors escape"
    assert "a bug" in report.violation.text


def _break(handled: int) -> None:
    raise RuntimeError("a bug")


def test_a_crashed_process_is_replaced_and_its_message_comes_again() -> None:
    log = Log()
    faults = Faults(crashed=0.4)
    with Simulation(actors=ACTORS, observers=[log], faults=faults, seed=4) as simulation:
        simulation.start(chain(8), 0, run="r")
        report = simulation.run()
        assert simulation.view("r").output == {"n7": 8}
    assert 0 < report.counts["deaths"] <= report.injected["crashed"]
    assert any(word.startswith("dispatcher-2 given") for word in log.words)
    assert any(word.endswith("given 2") for word in log.words)


def test_an_invocation_is_killed_when_its_time_is_over() -> None:
    @actor
    async def forever(number: int) -> int:
        while True:
            with suppress(asyncio.CancelledError):  # it will not be cut off
                await asyncio.sleep(1)

    log = Log()
    actors = Registry([forever])
    settings = Settings(step_timeout=10, visibility=60)
    with Simulation(actors=actors, observers=[log], settings=settings) as simulation:
        simulation.start(chain(1, "forever"), 0, run="r")
        simulation.run(until=30)
    assert log.words == ["dispatcher-1 given 1", "actor 0 begins", "dispatcher-1 died"]


def test_a_hung_request_costs_the_process_its_life() -> None:
    log = Log()
    faults = Faults(hung=0.3)
    with Simulation(actors=ACTORS, observers=[log], faults=faults, calm_after=600) as simulation:
        simulation.start(chain(3), 0, run="r")
        report = simulation.run()
        assert simulation.view("r").output == {"n2": 3}
    assert report.injected["hung"] > 0
    assert any("died" in word for word in log.words)


def test_plain_functions_and_coroutines_are_watched_alike() -> None:
    log = Log()
    with Simulation(actors=ACTORS, observers=[log]) as simulation:
        simulation.start(chain(2, "plain"), 0, run="r")
        simulation.run()
        assert simulation.view("r").output == {"n1": 2}
    acts = [word for word in log.words if word.startswith("actor")]
    assert acts == ["actor 0 begins", "actor 0 ends", "actor 1 begins", "actor 1 ends"]


def test_an_actor_that_died_with_its_process_is_not_told_as_ended() -> None:
    log = Log()
    settings = Settings(step_timeout=10, visibility=60)
    with Simulation(actors=ACTORS, observers=[log], settings=settings) as simulation:
        simulation.start(chain(1, "slow"), 0, run="r")

        simulation.stage.later(2000, lambda: _kill_all(simulation))
        simulation.run(until=30)
    assert log.words == ["dispatcher-1 given 1", "actor 0 begins", "dispatcher-1 died"]


def _kill_all(simulation: Simulation) -> None:
    for process in simulation.deployment.dispatcher.processes:
        process.kill("by the test")


@pytest.mark.parametrize(("recursive", "steps"), [(True, 20), (False, 16)])
def test_lambda_stops_the_17th_hop_of_a_function_that_is_not_meant_to_be_recursive(
    recursive: bool, steps: int
) -> None:
    settings = Settings(recursive=recursive)
    with Simulation(actors=ACTORS, settings=settings) as simulation:
        simulation.start(chain(20), 0, run="r")
        simulation.run(until=60)
        assert simulation.head("r").steps == steps
        history = str(simulation.history)
    assert ("! not invoked for r/0.16.1.1: recursion" in history) is not recursive


def test_what_recursion_stopped_is_given_up_by_the_queue() -> None:
    log = Log()
    settings = Settings(recursive=False, max_receives=3, visibility=60)
    with Simulation(actors=ACTORS, observers=[log], settings=settings) as simulation:
        simulation.start(chain(20), 0, run="r")
        simulation.run(until=400)
    assert "received too often" in log.words
    assert "consumer-1 given 1" in log.words


def test_a_month_needs_no_43_200_sweeps() -> None:
    log = Log()
    sweeps: list[int] = []

    async def counted(platform: Platform) -> None:
        sweeps.append(platform.clock.now())
        await sweep(platform)

    parts = Parts(sweep=counted)
    with Simulation(actors=ACTORS, observers=[log], parts=parts) as simulation:
        simulation.start(chain(1, month.name), 0, run="r")
        report = simulation.run()
        assert simulation.view("r").output == {"n0": 0}
    assert report.seconds > 30 * 86_400
    assert len(sweeps) == 1  # when the sleep's end has come into the queue's reach


def test_a_broken_part_can_be_put_in_the_place_of_the_engines_own() -> None:
    class Forgetful(Dispatcher):
        async def handle(self, delivery: Delivery, deadline: int) -> Handled:
            return Handled("forgotten")

    with Simulation(actors=ACTORS, parts=Parts(dispatcher=Forgetful), faults=NONE) as simulation:
        simulation.start(chain(1), 0, run="r")
        report = simulation.run(until=3600)
    assert report.unsettled == (RunKey("default", "r"),)


def test_a_frozen_process_outlives_its_time_and_goes_on() -> None:
    settings = Settings(step_timeout=10, visibility=60)
    histories = []
    for seed in range(10):
        faults = Faults(frozen=0.2)
        with Simulation(actors=ACTORS, faults=faults, settings=settings, seed=seed) as simulation:
            simulation.start(chain(4), 0, run="r")
            report = simulation.run()
            histories.append(str(simulation.history))
        assert report.counts["deaths"] == 0
    assert any("thawed" in history for history in histories)


def test_a_throttled_function_is_not_invoked_and_the_receive_counts() -> None:
    log = Log()
    faults = Faults(turned_away=1.0)
    with Simulation(actors=ACTORS, observers=[log], faults=faults, calm_after=100) as simulation:
        simulation.start(chain(1), 0, run="r")
        simulation.run(until=400)
    assert "dispatcher-1 given 2" in log.words
    assert log.words.count("dispatcher-1 given 1") < 2  # of the sweeper's messages


def test_a_process_can_die_when_all_was_done_but_the_deletion() -> None:
    histories = []
    for seed in range(40):
        with Simulation(actors=ACTORS, faults=Faults(crashed=0.5), seed=seed) as simulation:
            simulation.start(chain(2), 0, run="r")
            simulation.run()
            histories.append(str(simulation.history))
    assert any(re.search(r"dispatcher-\d +! killed when all was done", each) for each in histories)


def test_clocks_are_wrong_by_no_more_than_the_skew() -> None:
    stage = Stage(1, Faults(skew_ms=2000))
    errors = {Process(stage, f"p{number}").now() - stage.now() for number in range(50)}
    stage.close()
    assert len(errors) > 40
    assert min(errors) < -200
    assert max(errors) > 200
    assert max(abs(error) for error in errors) <= 2000


def test_what_is_disposed_of_at_the_end_is_not_told() -> None:
    log = Log()
    simulation = Simulation(actors=ACTORS, observers=[log])
    simulation.start(chain(1, "slow"), 0, run="r")
    simulation.run(until=10)
    simulation.close()
    assert log.words == ["dispatcher-1 given 1", "actor 0 begins"]
