"""A stand-in of AWS for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stack.ministack import Ministack, serving


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ministack]:
    """An empty one."""
    with serving(tmp_path_factory.mktemp("ministack")) as server:
        yield server
