from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.aws.client import ThreadedClients
from tests.scenarios.backends import BACKENDS, aws, memory, sqlite, stand_in
from tests.scenarios.world import World


@pytest.fixture(scope="module")
def clients() -> Iterator[ThreadedClients]:
    with stand_in() as clients:
        yield clients


@pytest.fixture(
    params=[
        # moto takes as long as all the rest together; the contract of the store runs on it anyway
        pytest.param(name, marks=pytest.mark.thorough) if name == "aws" else name
        for name in BACKENDS
    ]
)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """The engine on one backend after the other."""
    if request.param == "memory":
        opener = memory()
    elif request.param == "sqlite":
        opener = sqlite(tmp_path)
    else:
        opener = aws(request.getfixturevalue("clients"))
    world = World(opener)
    yield world
    world.close()
