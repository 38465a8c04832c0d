"""The stack, built once and deployed once for all tests of a session."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.stack.deployment import Deployment
from tests.stack.ministack import Ministack, serving
from tests.stack.sam import build, deploy
from tests.stack.tools import ROOT

NAME = "shop"
APP = ROOT / "tests" / "stack" / "app"
TOKEN = "the-runners-token"


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ministack]:
    """An empty one."""
    with serving(tmp_path_factory.mktemp("ministack")) as server:
        yield server


@dataclass(frozen=True)
class Built:
    template: Path
    parameters: dict[str, str]
    desk: Path
    """Where actors leave letters."""

    @property
    def stack(self) -> Path:
        """Functions and layers, a directory each."""
        return self.template.parent / "Tidestep"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The template of this repository, with the application of these tests."""
    desk = tmp_path_factory.mktemp("desk")
    given = {"SHOP": "Owl & Co.", "TIDESTEP_SECRET_SHOP_CODE": "7", "DESK": str(desk)}
    parameters = {
        "App": os.path.relpath(APP, ROOT / "infra" / "stack"),
        "Actors": "stackapp.actors",
        "Workflows": "stackapp/workflows",
        "AppEnvironment": json.dumps(given),
        "ExposeEnv": "SHOP",
        "StepTimeout": "10",
        "VisibilityTimeout": "6",
        "StatefulActors": "counter",
        "RunnerToken": TOKEN,
        "Dashboard": "on",
    }
    return Built(build(ROOT, tmp_path_factory.mktemp("built"), parameters), parameters, desk)


@pytest.fixture(scope="session")
def deployment(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with serving(tmp_path_factory.mktemp("deployed")) as server:
        deploy(built.template, NAME, built.parameters, server.environment)
        yield Deployment(server, NAME)


@pytest.fixture(scope="session")
def runner(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A process that hosts the stateful actors of the application."""
    settings = {"TIDESTEP_RUNNER_TOKEN": TOKEN, "PYTHONPATH": f"{APP}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "infra.local.cli", "runner", "--verbose"]
    command += ["--endpoint", deployment.sockets_url(), "--stateful", "stackapp.sleepers"]
    log = tmp_path_factory.mktemp("runner") / "log.txt"
    with log.open("w") as said:
        process = subprocess.Popen(
            command, env={**os.environ, **settings}, cwd=ROOT, stdout=said, stderr=said
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)
