"""The pytest plugin: a fixture that runs workflows in a simulated world, with time that skips.

    def test_nobody_answers(simulation):
        sim = simulation("approval.yaml", actors="desk")
        sim.start({"title": "Owls"})
        sim.after(days=30)
        assert sim.view().output == {"published": False}

    @pytest.mark.simulated(seeds=50, faults="storm")
    def test_nothing_is_published_twice(simulation): ...

A marked test is run once for each seed, as an item of its own: `--last-failed` repeats the seeds
that failed. A test that fails shows the history of its simulations.

What must stay true: pytest loads this for every test session of whoever has Tidestep installed, so
nothing of the engine is imported before a test asks for the fixture. That is why it does not lie in
`engine.simulation`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from engine.simulation.trials.testing import Rehearsal, Simulate

SEEDS = 20
FAULTS = "mild"
"""Of a marked test that does not say otherwise."""
LONGEST_HISTORY = 200
"""Lines that a failed test shows: the newest."""

_REHEARSALS = pytest.StashKey[list["Rehearsal"]]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"simulated(seeds={SEEDS}, faults={FAULTS!r}): run the test once for each seed, with these "
        "faults in what the `simulation` fixture makes; seeds is a number or a list of seeds",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("simulated")
    if marker is None or "simulation" not in metafunc.fixturenames:
        return
    seeds, _ = _asked(marker)
    metafunc.parametrize("simulation", seeds, indirect=True, ids=[f"seed{each}" for each in seeds])


@pytest.fixture
def simulation(request: pytest.FixtureRequest) -> Iterator[Simulate]:
    """Makes simulations of a workflow: `simulation("order.yaml", actors="shop")`."""
    from engine.simulation.trials.testing import Simulate

    marker = request.node.get_closest_marker("simulated")
    faults = "none" if marker is None else _asked(marker)[1]
    made: list[Rehearsal] = request.node.stash.setdefault(_REHEARSALS, [])
    yield Simulate(getattr(request, "param", 0), faults, request.path.parent, made)
    for each in made:
        each.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and report.failed:
        for rehearsal in item.stash.get(_REHEARSALS, []):
            report.sections.append((f"simulation, {rehearsal}", _newest(rehearsal.lines())))
    return report


def _newest(lines: Iterable[str]) -> str:
    known = list(lines)
    left_out = len(known) - LONGEST_HISTORY
    if left_out <= 0:
        return "\n".join(known)
    hint = f"({left_out} lines before these; `print(sim.history)` shows all)"
    return "\n".join([hint, *known[-LONGEST_HISTORY:]])


def _asked(marker: pytest.Mark) -> tuple[Sequence[int], Any]:
    """Seeds and faults that a marker asks for."""
    return _arguments(*marker.args, **marker.kwargs)


def _arguments(seeds: int | Iterable[int] = SEEDS, faults: Any = FAULTS) -> tuple[list[int], Any]:
    return list(range(seeds) if isinstance(seeds, int) else seeds), faults
