"""The fixture's simulations: time skips, calls act at once, and what is refused is raised."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from engine.actors import Context, Retry, Sleep, Wait, actor
from engine.documents import Workflow
from engine.errors import (
    InvalidCallback,
    InvalidInput,
    RunEnded,
    RunExists,
    RunNotFound,
)
from engine.layout import RunKey
from engine.simulation import STORM, Observer, Violation
from engine.simulation.trials.testing import Rehearsal, Simulate, gathered
from engine.snapshot import Head, Status


@actor("t.ask", retry=Retry(max_attempts=10))
async def ask(message: Any, context: Context) -> Any:
    return context.signal if context.resumed else Wait("yes", 30 * 86_400)


@actor("t.nap")
async def nap(message: Any, context: Context) -> Any:
    return message if context.resumed else Sleep(3600)


@actor("t.secret")
async def secret(message: Any, *, key: str) -> int:
    return len(key)


WAITING: dict[str, Any] = {"name": "w", "nodes": [{"id": "ask", "actor": "t.ask"}]}
SLEEPING: dict[str, Any] = {"name": "s", "nodes": [{"id": "nap", "actor": "t.nap"}]}


def test_a_signal_ends_a_wait(simulation: Simulate) -> None:
    sim = simulation(WAITING, actors=ask)
    sim.start()
    sim.signal("yes", {"by": "Ada"})
    sim.run()
    assert sim.view().output == {"ask": {"by": "Ada"}}
    assert sim.calls == {"ask": 2}


def test_time_passes_where_it_is_told_to_and_nowhere_else(simulation: Simulate) -> None:
    sim = simulation(WAITING, actors=[ask])
    begun = sim.now
    sim.start()
    assert (sim.now - begun).total_seconds() < 1
    sim.after(days=29, hours=23, minutes=59, seconds=50)
    assert sim.view().status == "paused"
    assert (sim.now - begun).total_seconds() == pytest.approx(30 * 86_400 - 10, abs=1)
    sim.after(minutes=2)
    assert sim.view().output == {"ask": None}


def test_a_run_may_end_before_anybody_looks(simulation: Simulate) -> None:
    sim = simulation(SLEEPING, actors=nap)
    sim.start("x")
    sim.run()
    assert sim.view().output == {"nap": "x"}
    with pytest.raises(RunEnded):
        sim.signal("yes")


def test_what_the_api_refuses_is_raised(simulation: Simulate) -> None:
    sim = simulation({**SLEEPING, "input_schema": {"type": "object"}}, actors=nap)
    with pytest.raises(InvalidInput):
        sim.start("no object")
    with pytest.raises(RunNotFound):
        sim.view()
    sim.start({"a": 1})
    sim.start({"a": 1})  # the same again is harmless
    with pytest.raises(RunExists):
        sim.start({"a": 2})
    with pytest.raises(InvalidCallback):
        sim.answer("https://elsewhere.example/nothing")


def test_several_runs_live_in_one_world(simulation: Simulate) -> None:
    sim = simulation(WAITING, actors=ask)
    sim.start(run="a")
    sim.start(run="b")
    sim.signal("yes", 1, run="b")
    sim.after(hours=1)
    assert [sim.view(run).status for run in ("a", "b")] == ["paused", "completed"]


def test_anything_else_is_asked_of_the_api(simulation: Simulate) -> None:
    sim = simulation(WAITING, actors=ask)
    sim.start()
    assert sim.ask(lambda api: api.cancel("run")).status is Status.CANCELLED
    assert sim.view().status == "cancelled"


def test_in_a_storm_calls_are_repeated_until_they_are_answered(tmp_path: Path) -> None:
    made: list[Any] = []
    for seed in range(20):
        sim = Simulate(seed, STORM, tmp_path, made)(WAITING, actors=ask)
        sim.start()
        sim.signal("yes", seed)
        sim.run()
        assert sim.view().output == {"ask": seed}
        sim.close()


def test_the_later_actor_of_a_name_counts(simulation: Simulate) -> None:
    @actor("t.ask")
    async def fake(message: Any) -> str:
        return "faked"

    sim = simulation(WAITING, actors=[ask, nap, fake])
    sim.start()
    sim.run()
    assert sim.view().output == {"ask": "faked"}


def test_actors_come_from_wherever_they_are() -> None:
    module = ModuleType("mine")
    module.nap = nap  # type: ignore[attr-defined]
    found = gathered(["examples.approval.actors", module, {"x": ask}])
    assert {"approval.ask", "t.nap", "t.ask", "flow.wait"} <= set(found)
    with pytest.raises(TypeError, match="no import path"):
        gathered([7])


def test_a_workflow_may_be_built_or_lie_beside_the_test(
    simulation: Simulate, tmp_path: Path
) -> None:
    flow = Workflow("built")
    flow.node("key", secret, config={"key": "{{ secrets.KEY }}"})
    (tmp_path / "beside.yaml").write_text(flow.to_yaml())
    beside = Simulate(0, "none", tmp_path, [])("beside.yaml", actors=secret, secrets={"KEY": "abc"})
    for sim in (simulation(flow, actors=secret, secrets={"KEY": "abc"}), beside):
        sim.start()
        sim.run()
        assert sim.view().output == {"key": 3}
    beside.close()


def test_a_broken_rule_is_raised(simulation: Simulate) -> None:
    class Objects(Observer):
        def sent(self, body: str, delay_ms: int, at: int) -> None:
            raise Violation("silence", "something was sent")

    sim = simulation(SLEEPING, actors=nap)
    sim.world.stage.observers.append(Objects())
    with pytest.raises(Violation, match="silence"):
        sim.start()
    assert "VIOLATION" in sim.history


def test_a_rule_that_breaks_while_time_passes_is_raised_too(simulation: Simulate) -> None:
    class Endless(Observer):
        def head_saved(self, key: RunKey, before: Head | None, after: Head, at: int) -> None:
            if after.status.terminal:
                raise Violation("endless", "a run has ended")

    for pass_time in (Rehearsal.run, lambda sim: sim.after(days=1)):
        sim = simulation(SLEEPING, actors=nap)
        sim.world.stage.observers.append(Endless())
        sim.start()
        with pytest.raises(Violation, match="endless"):
            pass_time(sim)


def test_the_history_names_nodes(simulation: Simulate) -> None:
    sim = simulation(SLEEPING, actors=nap)
    sim.start()
    assert "run/nap.1.1" in sim.history
