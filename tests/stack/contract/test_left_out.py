"""The list of what is left out names tests that there are."""

from __future__ import annotations

import pytest

from tests.stack.contract import test_journal, test_queue, test_store, test_units
from tests.stack.contract.left_out import LEFT_OUT


@pytest.mark.parametrize("name", sorted(LEFT_OUT))
def test_what_is_left_out_is_here(name: str) -> None:
    here = {
        name
        for module in (test_journal, test_queue, test_store, test_units)
        for name in vars(module)
    }
    assert set(LEFT_OUT[name]) <= here
