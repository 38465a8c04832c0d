"""The stack, built once and deployed once for all tests of a session."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.functions.templates import load_template
from tests.stack.deployment import Deployment
from tests.stack.ministack import Ministack, free_port, serving
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
        "Limits": json.dumps({"input_bytes": 1_010_000, "signal_bytes": 20_000}),
        "StepTimeout": "10",
        "VisibilityTimeout": "6",
        "StatefulActors": "counter,tally:made",
        "RunnerToken": TOKEN,
        "Dashboard": "on",
    }
    known = load_template(ROOT / "template.yaml")["Parameters"]
    assert set(parameters) <= set(known), "CloudFormation would refuse what the stand-in ignores"
    return Built(build(ROOT, tmp_path_factory.mktemp("built"), parameters), parameters, desk)


@pytest.fixture(scope="session")
def deployment(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with serving(tmp_path_factory.mktemp("deployed")) as server:
        deploy(built.template, NAME, built.parameters, server.environment)
        yield Deployment(server, NAME)


@pytest.fixture(scope="session")
def runner(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A process that hosts the actors of pool `default`."""
    command = ["infra.local.cli", "runner", "--verbose", "--stateful", "stackapp.sleepers:Counter"]
    command += ["--endpoint", deployment.sockets_url()]
    with program(tmp_path_factory.mktemp("runner") / "log.txt", *command):
        yield


@pytest.fixture(scope="session")
def made_runners(
    deployment: Deployment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """A process that starts runners of pool `made` when the pool asks for them."""
    port = str(free_port())
    command = ["tests.stack.serverless_runner", port, deployment.sockets_url()]
    with program(tmp_path_factory.mktemp("made") / "log.txt", *command):
        url = f"http://127.0.0.1:{port}"
        deployment.tidestep("pools", "set", "made", "--url", url, "--slots-per-runner", "2")
        yield


@contextmanager
def program(log: Path, *command: str) -> Iterator[None]:
    """A module as a process, ended at the end."""
    settings = {"TIDESTEP_RUNNER_TOKEN": TOKEN, "PYTHONPATH": f"{APP}{os.pathsep}{ROOT}"}
    with log.open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env={**os.environ, **settings},
            cwd=ROOT,
            stdout=said,
            stderr=said,
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)
