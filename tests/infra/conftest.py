"""Fixtures for adapters: an event loop that a plain test drives, and every backend in turn."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.ports import Journal, Source
from tests.infra.backends import BACKENDS, Backend


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """Runs coroutines on one event loop for the whole test."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(params=sorted(BACKENDS))
def backend(
    request: pytest.FixtureRequest, runner: asyncio.Runner, tmp_path: Path
) -> Iterator[Backend]:
    opening = BACKENDS[request.param](tmp_path)
    yield runner.run(opening.__aenter__())
    runner.run(opening.__aexit__(None, None, None))


@pytest.fixture
def journal(backend: Backend) -> Journal:
    return backend.journal


@pytest.fixture
def source(backend: Backend) -> Source:
    return backend.source
