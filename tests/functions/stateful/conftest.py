"""The functions with stateful actors deployed, `counter` and `room`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from unittest.mock import patch

import pytest

from tests.functions.conftest import Stack
from tests.functions.stateful.parts import World, forget_everything
from tests.infra.aws.account import atomic_writes

ENVIRONMENT = {
    "TIDESTEP_WEBSOCKET_URL": "wss://def456.execute-api.us-east-1.amazonaws.com/live",
    "TIDESTEP_POOL_FUNCTION": "pool-function",
    "TIDESTEP_STATEFUL": "counter, room",
    "TIDESTEP_RUNNER_TOKEN": "secret",
    "TIDESTEP_ALLOCATION_DRAIN_SECONDS": "1",
}


@pytest.fixture(scope="module")
def environment(deployed: Stack) -> Iterator[None]:
    forget_everything()
    with patch.dict(os.environ, ENVIRONMENT), atomic_writes():
        yield
    forget_everything()


@pytest.fixture
def world(environment: None, stack: Stack) -> Iterator[World]:
    forget_everything()
    world = World(stack)
    with world.sockets.serving():
        yield world
