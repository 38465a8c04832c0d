"""A worker and its visitors, killed again and again while dozens of runs are under way.

The long version is `python -m tests.infra.local.torture --seconds 600`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.infra.local.torture import torture

pytestmark = pytest.mark.thorough


def test_nothing_is_lost_or_done_twice_however_often_processes_are_killed(tmp_path: Path) -> None:
    counted = torture(tmp_path, 1, runs=40, seconds=10)
    assert counted["worker killed"] >= 3
    assert counted["StepCrashed"] >= 1, "a bomb kills three processes with one attempt"
    assert counted["executed again"] > 0, "no kill has hit a running step"
