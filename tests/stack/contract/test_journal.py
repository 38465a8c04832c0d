"""What every journal promises, and what heads with swaps do, on both stand-ins."""

from __future__ import annotations

from tests.infra import test_journal_contract, test_journal_kinds, test_journal_swaps
from tests.stack.contract.suite import asking_for

globals().update(
    asking_for({"journal"}, test_journal_contract, test_journal_kinds, test_journal_swaps)
)
