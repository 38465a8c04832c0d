"""One trial, its delays and repeats with their causes, who answers waits, and sums of trials."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from engine.actors import Context, Emit, Registry, Retry, Sleep, Wait, actor
from engine.documents import definition_of
from engine.errors import InvalidInput
from engine.layout import RunKey
from engine.simulation import Muting, Observer, Repeat, Violation
from engine.simulation.trials.outside import GivenSignal
from engine.simulation.trials.readable import readable
from engine.simulation.trials.survey import Survey, spread_of
from engine.simulation.trials.trying import Scenario, Staged, Trial, attempt
from engine.simulation.trials.watching import (
    RETRIED,
    RETRY,
    SLEEP,
    THAWED,
    UNSAVED,
    WAIT,
    Watch,
    faults_by_token,
)
from engine.snapshot import Head


@actor("t.step")
async def step(message: Any) -> Any:
    return message


@actor("t.flaky", retry=Retry(max_attempts=3, interval=60, jitter=False))
async def flaky(message: Any, context: Context) -> Any:
    if context.attempt < 3:
        raise ConnectionError("no answer")
    return message


@actor("t.nap")
async def nap(message: Any, context: Context) -> Any:
    return message if context.resumed else Sleep(3600)


@actor("t.ask", outports=("out", "late"))
async def ask(message: Any, context: Context) -> Emit | Wait:
    if context.resumed == "timeout":
        return Emit("late", None)
    return Emit("out", context.signal) if context.resumed else Wait("yes", 1000)


@actor("t.slow")
async def slow(message: Any) -> Any:
    await asyncio.sleep(30)
    return message


@actor("t.patient", retry=Retry(max_attempts=9))
async def patient(message: Any, context: Context) -> Any:
    return context.signal if context.resumed else Wait("ever")


REGISTRY = Registry([step, flaky, nap, ask, slow, patient])


def scenario(*actors: str, signals: tuple[GivenSignal, ...] = (), **more: Any) -> Scenario:
    """A chain of these actors, a node of each."""
    nodes = [{"id": name, "actor": f"t.{name}"} for name in actors]
    edges = [{"from": a, "to": b} for a, b in pairwise(actors)]
    definition = definition_of({"name": "t", "nodes": nodes, "edges": edges}, REGISTRY)
    return Scenario(definition, lambda seed: REGISTRY, {}, signals, **more)


def test_delays_that_the_workflow_asks_for_are_told_by_their_reason() -> None:
    signals = (GivenSignal("yes", {"a": 1}, at=4000.0),)
    trial = attempt(scenario("flaky", "nap", "ask", signals=signals), 1, "none")
    assert (trial.status, trial.steps) == ("completed", 8)
    found = {(node, cause): ms for node, cause, ms in trial.delays}
    assert found["flaky", RETRY] == 120_000  # the last of two, which doubles
    assert found["nap", SLEEP] == 3_600_000
    assert found["ask", WAIT] == pytest.approx(220_000, abs=2000)
    assert trial.repeats == {("flaky", RETRIED): 2}
    assert trial.took_ms == pytest.approx(4_000_000, abs=2000)
    assert (trial.executions["flaky"], trial.attempts["flaky"]) == (3, 3)


def test_what_an_actor_takes_itself_is_no_delay() -> None:
    trial = attempt(scenario("slow"), 1, "none")
    assert trial.took_ms is not None
    assert (trial.took_ms > 30_000, trial.delays) == (True, ())


@pytest.mark.parametrize(
    ("cause", "fault", "told"),
    [
        ("its process died while it ran", "frozen", "killed while it ran"),
        ("its process died after it had ended", "lost", "killed before its result was recorded"),
        ("another delivery came while it ran", "frozen", THAWED),
        ("another delivery came while it ran", "lost", "delivered again while it ran"),
        ("its result was not recorded, or not yet", "lost", UNSAVED),
        (
            "its result was not recorded, or not yet",
            "duplicated",
            "delivered again before its result was recorded",
        ),
    ],
)
def test_the_faults_of_an_attempt_tell_more_about_why_it_ran_again(
    cause: str, fault: str, told: str
) -> None:
    run, token = RunKey("default", "r"), (0, 1, 1, 1)
    repeats = [Repeat(run, token, cause), Repeat(RunKey("default", "other"), token, cause)]
    found = Watch(run).repeats(repeats, [f"{fault}:site:r/0.1.1.1#0"])
    assert found == {(1, told): 1}


def test_an_execution_after_a_kill_is_a_repeat_and_its_delay_the_kills() -> None:
    trials = [attempt(scenario("step", "flaky"), seed, "storm") for seed in range(300)]
    again = [
        trial for trial in trials if sum(trial.executions.values()) > sum(trial.attempts.values())
    ]
    causes = {cause for trial in again for _, cause in trial.repeats}
    assert {"killed before its result was recorded", UNSAVED} <= causes
    killed = [t for t in again if any(cause.startswith("killed") for _, cause in t.repeats)]
    assert any("its process was killed" in {cause for _, cause, _ in t.delays} for t in killed)


def test_without_a_signal_each_seed_draws_how_the_wait_ends() -> None:
    trials = [attempt(scenario("ask"), seed, "none") for seed in range(60)]
    answered = [next(iter(trial.answered)) for trial in trials]
    assert set(answered) == {"in time", "too late", "never"}
    assert {trial.status for trial in trials} == {"completed"}
    for trial, how in zip(trials, answered, strict=True):
        assert trial.took_ms is not None
        assert (trial.took_ms < 1_000_000) is (how == "in time")


def test_who_is_never_answered_waits() -> None:
    statuses = {attempt(scenario("patient"), seed, "none").status for seed in range(20)}
    assert statuses == {"completed", "waiting"}


def test_of_several_given_signals_each_seed_takes_one() -> None:
    signals = (GivenSignal("ever", "a"), GivenSignal("ever", "b"))
    tried = scenario("patient", signals=signals)
    outputs = set()
    for seed in range(10):
        with Staged(tried, seed, "storm", Muting()).simulation as simulation:
            simulation.run()
            outputs.add(simulation.view(f"seed{seed}-storm").output["patient"])
    assert outputs == {"a", "b"}


def test_faults_change_neither_what_is_drawn_nor_what_the_seed_repeats() -> None:
    for seed in range(10):
        calm, storm = (attempt(scenario("ask"), seed, each) for each in ("none", "storm"))
        assert calm.answered == storm.answered
        assert attempt(scenario("ask"), seed, "storm") == storm


def test_only_what_is_named_happens() -> None:
    tried = scenario("step", "nap")
    storm = next(t for t in (attempt(tried, s, "storm") for s in range(50)) if t.occurrences)
    one = storm.occurrences[0]
    muting = Muting(only=frozenset([one]))
    assert attempt(tried, storm.seed, "storm", muting).occurrences == (one,)


def test_what_refuses_the_start_is_raised() -> None:
    tried = scenario("step")
    schema = {"type": "object", "required": ["a"]}
    refusing = Scenario(replace(tried.definition, input_schema=schema), tried.actors, {})
    with pytest.raises(InvalidInput):
        attempt(refusing, 1, "none")


class Objects(Observer):
    def head_saved(self, key: RunKey, before: Head | None, after: Head, at: int) -> None:
        if after.rev == 3:
            raise Violation("no third revision", key.run)


def test_a_violation_is_part_of_the_trial_and_the_run_is_unfinished() -> None:
    trial = attempt(scenario("step", "nap", watchers=lambda: [Objects()]), 4, "none")
    assert trial.violation is not None
    assert (trial.violation.rule, trial.status) == ("no third revision", "unfinished")


def survey(*trials: Trial) -> Survey:
    made = Survey(("step", "nap"))
    for trial in trials:
        made.add(trial, attempt(scenario("step", "nap"), trial.seed, "none"))
    return made


def test_a_survey_sums_up() -> None:
    trials = [attempt(scenario("step", "nap"), seed, "storm") for seed in range(40)]
    summed = survey(*trials)
    assert (summed.seeds, summed.statuses) == (40, Counter(trial.status for trial in trials))
    assert summed.calm_statuses == {"completed": 40}
    assert summed.executions["step"] == sum(trial.executions["step"] for trial in trials)
    assert summed.ran_again == summed.executions.total() - summed.attempts.total()
    assert summed.calls == summed.executions.total() + 40 * 3
    assert summed.durations == sorted(each.took_ms for each in trials if each.took_ms is not None)
    assert summed.slowest is not None
    worst, seed = summed.slowest
    assert worst == summed.added[-1]
    assert seed in range(40)
    found = summed.as_json()
    assert found["nodes"][0]["node"] == "step"
    assert found["duration"]["count"] == 40
    assert found["delays"]["sleeping"]["worst_ms"] == pytest.approx(3_600_000, abs=500)


def test_a_spread_tells_the_middle_and_the_worst() -> None:
    assert spread_of([]) is None
    spread = spread_of(list(range(1, 101)))
    assert spread is not None
    assert (spread.count, spread.typical, spread.most, spread.worst) == (100, 50, 95, 100)


def test_faults_are_read_off_their_names() -> None:
    names = ["crashed:delivery:r/0.1.1.2#3", "lost:put_head:start r#0", "late:send:s/0.1.1.2#0"]
    assert faults_by_token(RunKey("default", "r"), [*names, "slow:head:r/0.1.1.2#0"]) == {
        (0, 1, 1, 2): {"crashed", "slow"}
    }


def test_a_readable_history_names_nodes_and_keeps_the_names_of_faults() -> None:
    lines = [
        "00:00:00.035  queue          r/0.1.1.2 sent, delay 0 s",
        "00:00:00.035  dispatcher-1   actor of r (1, 0, 1, 1) begins",
        "00:00:00.100  !              crashed:delivery:r/0.1.1.3#0",
        "00:00:00.200  queue          r/0.9.1.1 sent, delay 0 s",
    ]
    assert list(readable(lines, ["draft", "ask"])) == [
        "00:00:00.035  queue          r/ask.1.2 sent, delay 0 s",
        "00:00:00.035  dispatcher-1   actor of r/draft.1.1 (epoch 1) begins",
        "00:00:00.100  !              crashed:delivery:r/0.1.1.3#0  (r/ask.1.3)",
        "00:00:00.200  queue          r/0.9.1.1 sent, delay 0 s",
    ]
