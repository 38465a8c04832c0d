"""What a report says: costs, repeats with their causes, the longest delay; and the trace."""

from __future__ import annotations

import logging

import pytest

from engine.simulation import NONE, Faults, Report, Settings, Simulation, Trace
from engine.simulation.world.trace import clock_time
from tests.engine.simulation.chains import ACTORS, chain


def report_of(
    faults: Faults, seed: int = 1, actor: str = "step", settings: Settings | None = None
) -> Report:
    with Simulation(
        actors=ACTORS, faults=faults, seed=seed, settings=settings or Settings()
    ) as simulation:
        simulation.start(chain(6, actor), 0, run="r")
        return simulation.run(until=86_400)


def test_costs_are_counted() -> None:
    report = report_of(NONE)
    assert report.counts == {
        "messages": 6,
        "deliveries": 6,
        "executions": 6,
        "deaths": 0,
        "dead letters": 0,
        "saves": 7,
        "items": 1,
    }
    assert (report.messages_per_step, report.executions_per_step) == (1.0, 1.0)
    assert report.repeats == ()


def test_a_repeat_after_a_death_says_so() -> None:
    causes = {
        repeat.cause
        for seed in range(30)
        for repeat in report_of(Faults(crashed=0.3), seed).repeats
    }
    assert causes == {"its process died while it ran", "its process died after it had ended"}


def test_a_repeat_beside_a_running_attempt_says_so() -> None:
    reports = [
        report_of(Faults(duplicated=0.5, late_ms=10_000), seed, "slow") for seed in range(10)
    ]
    causes = {repeat.cause for report in reports for repeat in report.repeats}
    assert causes <= {"another delivery came while it ran"}


def test_the_longest_delay_is_that_of_the_crash() -> None:
    settings = Settings(visibility=500)
    reports = [report_of(Faults(crashed=0.1), seed, settings=settings) for seed in range(20)]
    crashed = [report.longest for report in reports if report.counts["deaths"] == 1]
    assert any(longest is not None and longest.ms >= 500_000 for longest in crashed)
    calm = report_of(NONE).longest
    assert calm is not None
    assert calm.ms < 100


def test_what_the_engine_logs_is_part_of_the_history_and_not_of_the_console(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Simulation(actors=ACTORS) as simulation:
        simulation.stage.later(5, logging.getLogger("tidestep").warning, "look here")
        simulation.run()
        assert "look here" in str(simulation.history)
    assert caplog.records == []
    logging.getLogger("tidestep").warning("afterwards")
    assert [record.getMessage() for record in caplog.records] == ["afterwards"]


def test_a_trace_is_formatted_only_when_it_is_read() -> None:
    trace = Trace(epoch=1000)
    trace.note(1000, "a", "one {}", 1)
    trace.note(90_061_234 + 1000, "b", "two")
    lines = list(trace.lines())
    assert lines == ["00:00:00.000  a              one 1", "1d 01:01:01.234  b              two"]
    other = Trace(epoch=1000)
    other.note(1000, "a", "one {}", 1)
    assert other.digest() != trace.digest()


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0, "00:00:00.000"), (3_661_001, "01:01:01.001"), (86_400_000, "1d 00:00:00.000")],
)
def test_times_read_as_clock_times(ms: int, text: str) -> None:
    assert clock_time(ms) == text
