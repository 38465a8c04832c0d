"""Many actors that move while they are used: no request fails, and nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.scenarios.actors.moving import WORDS, play
from tests.scenarios.actors.stage import serving

pytestmark = pytest.mark.thorough

SECONDS = 5.0


def test_actors_move_from_runner_to_runner_and_no_request_fails(tmp_path: Path) -> None:
    with serving(tmp_path, *WORDS) as server:
        tally = asyncio.run(play(server, SECONDS, seed=1))
        assert not tally.failures, tally.failures[:10]
        assert tally.moved > 0
        assert "Traceback" not in server.log()
