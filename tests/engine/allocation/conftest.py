from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engine.allocation.yard import Yard


@pytest.fixture
def yard() -> Iterator[Yard]:
    yard = Yard()
    yield yard
    yard.close()
