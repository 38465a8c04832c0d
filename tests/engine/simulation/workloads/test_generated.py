"""Random workloads: what is drawn, that it is valid, and that it can be made smaller."""

from __future__ import annotations

import statistics
from collections import Counter

import pytest

from engine.definition import ERROR_PORT
from engine.documents import parse_definition
from engine.simulation.checks.results import fault_free
from engine.simulation.workloads.generated import RandomWorkload, Tightness, generate
from engine.simulation.workloads.happenings import (
    Answer,
    Cancel,
    Fork,
    Newer,
    Redrive,
    Retry,
    Signal,
    Start,
)
from engine.simulation.workloads.scripted import SCRIPTED, Script, act_of, returned
from engine.snapshot import Status
from tests.engine.simulation.randomly import simulated

SEEDS = range(400)


def test_the_same_seed_draws_the_same_workload_and_another_seed_another() -> None:
    assert generate(17) == generate(17)
    assert generate(17) != generate(18)


def test_every_drawn_workflow_is_valid_and_of_the_stated_size() -> None:
    sizes = [len(generate(seed).sketch.definition().nodes) for seed in SEEDS]
    assert min(sizes) >= 2
    assert max(sizes) <= 30


def test_a_drawn_workflow_is_a_document_that_can_be_printed_and_run_again() -> None:
    for seed in range(30):
        sketch = generate(seed).sketch
        text = sketch.workflow().to_yaml()
        assert parse_definition(text, "printed", SCRIPTED) == sketch.definition()


def test_everything_that_a_workflow_can_be_made_of_is_drawn() -> None:
    drawn: Counter[str] = Counter()
    for seed in SEEDS:
        workload = generate(seed)
        sketch, definition = workload.sketch, workload.sketch.definition()
        for kind in (Start, Signal, Answer, Cancel, Retry, Redrive, Fork, Newer):
            drawn[kind.__name__] += any(isinstance(h, kind) for h in workload.happenings)
        starts = [h for h in workload.happenings if isinstance(h, Start)]
        drawn["again"] += len({start.run for start in starts}) < len(starts)
        drawn["conflict"] += len({(start.run, start.version) for start in starts}) > len(
            {start.run for start in starts}
        )
        drawn["tight"] += workload.tightness != Tightness()
        drawn["deadline"] += bool(sketch.deadline)
        drawn["confluent"] += sketch.confluent
        drawn["not confluent"] += not sketch.confluent
        drawn["continue"] += sketch.on_failure == "continue"
        for node, compiled in zip(sketch.nodes, definition.nodes, strict=True):
            drawn["join"] += len(compiled.inports) > 1
            drawn["optional"] += bool(node.optional)
            drawn["loop"] += bool(node.script.rounds)
            drawn["branch"] += len(node.script.ports) > 1
            drawn["parallel"] += any(len(to) > 1 for to in compiled.successors.values())
            drawn["handler"] += ERROR_PORT in compiled.successors
            drawn["retry"] += node.retry is not None
            drawn["sleep"] += any(seconds > 900 for seconds in node.script.sleeps)
            drawn["wait"] += bool(node.script.waits)
            drawn["tells"] += bool(node.script.tells)
            drawn["large"] += node.script.pad > 96
            drawn["wide"] += compiled.concurrency > 1
            drawn[node.manner] += 1
    assert [what for what, times in drawn.items() if times < 5] == []


def test_most_runs_are_short() -> None:
    steps = [simulated(seed, "none").steps for seed in range(60)]
    assert statistics.median(steps) <= 40


def test_an_act_depends_on_nothing_but_seed_run_node_visit_and_attempt() -> None:
    script = Script(7, attempts=4, fails=0.7, ports=("left", "right"), sleeps=(1.0,))
    acts = [act_of(script, "r", "n", 1, attempt) for attempt in range(1, 5)]
    assert acts == [act_of(script, "r", "n", 1, attempt) for attempt in range(1, 5)]
    others = {act_of(script, "r", "n", visit, 4) for visit in range(50)}
    assert len(others) > 2


def test_a_result_tells_what_it_was_made_of() -> None:
    script = Script(7)
    one = returned(script, "r", "n", 1, 1, {"a": "x"}, "k")
    assert one["got"] == {"a": "x"}
    assert one["tag"] != returned(script, "r", "n", 1, 1, {"a": "y"}, "k")["tag"]
    assert one["tag"] != returned(script, "r", "n", 2, 1, {"a": "x"}, "k")["tag"]


def test_a_confluent_run_ends_as_the_model_says() -> None:
    for seed in SEEDS:
        workload = generate(seed)
        if workload.sketch.confluent:
            status, _ = fault_free(workload.sketch.definition(), "r", {"tag": "in"})
            assert status in (Status.COMPLETED, Status.FAILED)


@pytest.mark.parametrize("seed", range(20))
def test_smaller_workloads_are_valid_and_always_the_same(seed: int) -> None:
    workload = generate(seed)
    simpler = list(workload.smaller())
    assert simpler == list(workload.smaller())
    assert all(_size(each) < _size(workload) for each in simpler)
    for each in simpler:
        each.sketch.definition()


def test_a_workload_can_be_made_minimal() -> None:
    workload = generate(3)
    while (smaller := next(iter(workload.smaller()), None)) is not None:
        workload = smaller
    assert len(workload.sketch.nodes) == 1
    assert len(workload.happenings) == 1


def _size(workload: RandomWorkload) -> tuple[int, ...]:
    """Less in any of these, and more in none, is smaller; so is less of their sum."""
    nodes = workload.sketch.nodes
    trouble = sum(
        bool(getattr(node.script, name))
        for node in nodes
        for name in ("fails", "breaks", "sleeps", "pad", "lasts", "limit", "waits", "tells")
    )
    kept = sum((n.retry is not None) + (n.manner != "plain") + (n.concurrency > 1) for n in nodes)
    late = sum(happening.at > 0 for happening in workload.happenings)
    late += workload.tightness != Tightness()
    edges = len(workload.sketch.edges)
    return (100 * len(nodes) + edges + trouble + kept + late + 50 * len(workload.happenings),)
