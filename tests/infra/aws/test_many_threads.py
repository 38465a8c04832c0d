"""Several functions at once on one table and one queue, while requests fail in every way.

The long version is `python -m tests.infra.aws.many_threads --seconds 600`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.infra.aws.many_threads import torture

pytestmark = pytest.mark.thorough


def test_nothing_is_lost_or_done_twice_however_requests_fail(tmp_path: Path) -> None:
    counted = torture(tmp_path, 1, runs=20, seconds=8, unit_s=150)
    assert counted["fault timeout after"] > 0
    assert counted["Dispatcher lost"] > 0, "no two deliveries have raced for a token"
