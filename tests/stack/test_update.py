"""A deploy while runs are in flight, and the way back: no run is lost, none is done twice.

The second version has another greeting in its code, and another step in its workflow.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.stack.conftest import NAME, Built
from tests.stack.deployment import Deployment
from tests.stack.sam import deploy

HOPS = 150


@pytest.fixture(scope="module")
def second(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built template with another version of the application."""
    directory = tmp_path_factory.mktemp("second") / "built"
    shutil.copytree(built.template.parent, directory)
    app = directory / "Tidestep" / "AppLayer" / "python" / "stackapp"
    changed(app / "actors.py", "thanks", "is deeply grateful to")
    changed(app / "workflows" / "nap.yaml", "seconds: 3", "seconds: 4")
    changed(app / "workflows" / "count.yaml", "name: count\n", "name: count\nmax_steps: 900\n")
    return directory / "template.yaml"


def changed(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_runs_in_flight_survive_a_deploy_and_the_way_back(
    deployment: Deployment, built: Built, second: Path
) -> None:
    begin(deployment, "before")
    deployment.start("nap", "twice", 1)
    deploy(second, NAME, built.parameters, deployment.server.environment)
    deployment.start("greet", "after", {"customer": "Ada"})
    assert "is deeply grateful" in deployment.end("after")["output"]["greet"]["greeting"]
    status, answer = deployment.api("POST", "/workflows/nap/runs", {"id": "twice", "input": 1})
    assert (status, answer["error"]["type"]) == (409, "RunExists"), "of another definition"
    begin(deployment, "between")
    deploy(built.template, NAME, built.parameters, deployment.server.environment)
    deployment.start("greet", "back", {"customer": "Ada"})
    assert "thanks" in deployment.end("back")["output"]["greet"]["greeting"]
    for when in ("before", "between"):
        deployment.tidestep("signal", f"ask-{when}", "answer")
        assert deployment.end(f"count-{when}", 120)["output"]["count"]["left"] == 0
        assert deployment.end(f"nap-{when}")["status"] == "completed"
        assert deployment.end(f"ask-{when}")["status"] == "completed"
        assert steps(deployment, f"count-{when}") == HOPS


def begin(deployment: Deployment, when: str) -> None:
    """Runs that are on their way, and one that waits, when the next deploy comes."""
    deployment.start("count", f"count-{when}", {"left": HOPS})
    deployment.start("nap", f"nap-{when}", 1)
    deployment.start("ask", f"ask-{when}", 1)


def steps(deployment: Deployment, run: str) -> int:
    """How many results are recorded."""
    number: int = deployment.view(run)["steps"]
    return number
