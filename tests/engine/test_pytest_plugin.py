"""The plugin in a user's test suite: seeds as items, histories on failure, light to load."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

SUITE = """
import pytest
from tidestep import actor

@actor("t.step")
async def step(message):
    return message

FLOW = {"name": "w", "nodes": [{"id": "step", "actor": "t.step"}]}

def test_fine(simulation):
    sim = simulation(FLOW, actors=step)
    sim.start(7)
    sim.run()
    assert sim.view().output == {"step": 7}

@pytest.mark.simulated(seeds=5, faults="storm")
def test_seeds(simulation):
    sim = simulation(FLOW, actors=step)
    sim.start(7)
    sim.run()
    assert simulation.seed != 3, "three is not to be"

@pytest.mark.simulated(seeds=[11, 12])
def test_chosen(simulation):
    assert simulation.seed in (11, 12)

@pytest.mark.simulated
def test_without_the_fixture():
    pass
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(test_flow=SUITE)
    return pytester


def run(suite: pytest.Pytester, *words: str) -> pytest.RunResult:
    return suite.runpytest_subprocess("-p", "no:cacheprovider", "--strict-markers", *words)


def test_each_seed_is_a_test_and_the_failing_one_shows_its_history(suite: pytest.Pytester) -> None:
    result = run(suite)
    result.assert_outcomes(passed=8, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*three is not to be*",
            "*- simulation, seed 3, faults: storm -*",
            "*called: start run*",
            "*run/step.1.1*",
            "FAILED test_flow.py::test_seeds[[]seed3[]]*",
        ]
    )


def test_one_seed_can_be_chosen(suite: pytest.Pytester) -> None:
    run(suite, "test_flow.py::test_seeds[seed3]").assert_outcomes(failed=1)


def test_the_marker_is_described(suite: pytest.Pytester) -> None:
    run(suite, "--markers").stdout.fnmatch_lines(["@pytest.mark.simulated(*"])


def test_the_test_in_the_readme_passes(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(__file__).parents[2]
    readme = (root / "README.md").read_text()
    (shown,) = re.findall(r"```python\n# test_approval.py\n(.*?)```", readme, re.DOTALL)
    pytester.makepyfile(test_approval=shown)
    shutil.copytree(root / "examples" / "approval", pytester.path / "examples" / "approval")
    monkeypatch.setenv("PYTHONPATH", str(root))
    run(pytester, "test_approval.py").assert_outcomes(passed=50)


def test_loading_it_imports_nothing_of_the_engine() -> None:
    code = (
        "import sys, engine.pytest_plugin; "
        "print(sorted(m for m in sys.modules if m.startswith(('engine.', 'infra', 'msgspec'))))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "['engine.pytest_plugin']"
