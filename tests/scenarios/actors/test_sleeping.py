"""The seed's own trial: an actor is told to sleep and wanted again at once, again and again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
from websockets.asyncio.client import connect

from tests.scenarios.actors.stage import Server, serving

ROUNDS = 10


def test_an_actor_that_is_told_to_sleep_is_there_for_the_next_who_wants_it(tmp_path: Path) -> None:
    words = ("--slots-per-runner", "1", "--max-runners", "10")
    with serving(tmp_path, *words) as server:
        asyncio.run(play(server))
        assert server.stop() == 0
        assert "Traceback" not in server.log()


async def play(server: Server) -> None:
    socket_url = server.actor("main", "/socket").replace("http://", "ws://")
    async with httpx.AsyncClient(timeout=40, trust_env=False) as client:
        for number in range(ROUNDS):
            async with connect(socket_url, proxy=None) as socket:
                await socket.send(f"hello {number}")
                assert await socket.recv() == f"hello {number}"
            slept = await client.get(server.actor("main", "/sleep"))
            assert (slept.status_code, slept.text) == (200, "sleeping")
        pinged = await client.get(server.actor("main", "/ping"))
        assert (pinged.status_code, pinged.json()["pong"]) == (200, True)
