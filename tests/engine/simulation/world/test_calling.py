"""Everything that callers from outside may ask for, on a run that is going on."""

from __future__ import annotations

from functools import partial
from typing import Any

from engine.actors import Context, Registry, Wait, actor
from engine.errors import RunEnded, SignalConflict
from engine.layout import RunKey
from engine.simulation import STORM, Api, Faults, Observer, Simulation
from engine.snapshot import Status
from tests.engine.simulation.chains import ACTORS, chain


@actor
async def approval(message: Any, context: Context) -> Any:
    return context.signal if context.resumed == "signal" else Wait(name="approval")


WITH_WAIT = Registry([*ACTORS.values(), approval])


class Answers(Observer):
    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def answered(self, call: str, key: RunKey, result: Any, at: int) -> None:
        self.calls.append((call, type(result).__name__))


def waiting(faults: Faults, answers: Answers, seed: int = 1) -> Simulation:
    simulation = Simulation(
        actors=WITH_WAIT, faults=faults, observers=[answers], seed=seed, calm_after=3600
    )
    simulation.start(chain(2, approval.name), "please", run="r")
    return simulation


def test_a_run_that_waits_for_somebody_lets_the_simulation_come_to_rest() -> None:
    with waiting(Faults(), Answers()) as simulation:
        report = simulation.run()
        assert simulation.head("r").status is Status.PAUSED
    assert report.quiet
    assert report.unsettled == ()


def test_signals_are_sent_and_their_ids_remembered() -> None:
    answers = Answers()
    with waiting(Faults(), answers) as simulation:
        for at, id, payload in ((60, "a", 1), (70, "a", 1), (80, "a", 2), (120, "b", 2)):
            simulation.at(at, partial(Api.signal, run="r", name="approval", payload=payload, id=id))
        simulation.run()
        assert simulation.view("r").output == {"n1": 2}
    assert [kind for call, kind in answers.calls if call == "signal"] == [
        "Answered",
        "Answered",
        SignalConflict.__name__,
        "Answered",
    ]


def test_signals_arrive_through_a_storm() -> None:
    for seed in range(20):
        with waiting(STORM, Answers(), seed) as simulation:
            simulation.at(100, lambda api: api.signal("r", "approval", 1, "a"))
            simulation.at(5000, lambda api: api.signal("r", "approval", 2, "b"))
            report = simulation.run()
            assert simulation.view("r").output == {"n1": 2}, simulation.history
        assert report.violation is None


def test_a_run_is_cancelled_retried_and_forked() -> None:
    answers = Answers()
    with waiting(Faults(), answers) as simulation:
        simulation.at(60, lambda api: api.cancel("r"))
        simulation.at(70, lambda api: api.signal("r", "approval", 1, "a"))
        simulation.at(80, lambda api: api.retry("r"))
        simulation.at(90, lambda api: api.signal("r", "approval", 1, "b"))
        simulation.at(100, lambda api: api.fork("r", 1, "s"))
        simulation.at(120, lambda api: api.close("r", 10))
        simulation.run()
        assert simulation.head("r").status is Status.CANCELLED
        assert simulation.head("s").status is Status.PAUSED
    calls = ["start", "cancel", "signal", "retry", "signal", "fork", "close"]
    assert [call for call, _ in answers.calls] == calls
    assert answers.calls[2] == ("signal", RunEnded.__name__)
