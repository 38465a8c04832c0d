"""A runner's process that is killed: what its actor has acknowledged is there, elsewhere."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.scenarios.actors.stage import eventually, serving

pytestmark = pytest.mark.thorough

SOON = {
    "TIDESTEP_ALLOCATION_BACKOFF_SECONDS": "0.2",
    "TIDESTEP_ALLOCATION_DRAIN_SECONDS": "1",
}


def test_what_was_acknowledged_outlives_the_process_that_is_killed(tmp_path: Path) -> None:
    reached = tmp_path / "reached"
    with (
        serving(tmp_path, "--slots-per-runner", "1", **SOON) as server,
        httpx.Client(timeout=40, trust_env=False) as client,
        ThreadPoolExecutor() as threads,
    ):
        first = client.post(server.actor("main", "/add")).json()
        assert (first["count"], first["generation"]) == (1, 1)
        hanging = threads.submit(
            httpx.get,
            server.actor("main", "/hang"),
            params={"reached": str(reached)},
            timeout=40,
            trust_env=False,
        )
        eventually(reached.exists, server)
        os.kill(first["process"], signal.SIGKILL)
        answer = hanging.result(timeout=40)  # sent again, where the actor has woken
        assert answer.status_code == 200, answer.text
        assert answer.json()["count"] == 1
        assert answer.json()["generation"] > 1
        assert answer.json()["process"] != first["process"]
        assert client.post(server.actor("main", "/add")).json()["count"] == 2
        assert "was killed by SIGKILL" in server.log()


def test_a_server_that_was_killed_leaves_nothing_that_a_new_one_waits_for(tmp_path: Path) -> None:
    with (
        serving(tmp_path, **SOON) as server,
        httpx.Client(timeout=40, trust_env=False) as client,
    ):
        before = client.post(server.actor("main", "/add")).json()
        server.process.kill()
        server.process.wait()
        with serving(tmp_path, **SOON) as again:
            after = client.post(again.actor("main", "/add")).json()
            assert (after["count"], after["process"] != before["process"]) == (2, True)
            eventually(lambda: not is_alive(before["process"]), again)


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
