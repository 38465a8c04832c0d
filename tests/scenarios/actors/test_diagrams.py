"""The two diagrams of the seed, for real: processes, sockets, HTTP, and what the server logs of it.

What the steps are in every interleaving, and in which order each party takes them, the simulator's
golden traces say (`tests/engine/simulation/allocation`). Here the order is whatever comes about.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from pathlib import Path

import httpx

from tests.scenarios.actors.stage import Server, eventually, serving

IDEAL = (
    r"actor .* \[Wake\] Sleeping => Pending: allocate, no runners available, start pending",
    r"pool .* \[Bump\] .*: desired: 1, start -> Request",
    r"runner .* Connected: allocate pending actors -> actor .*: Allocate",
    r"actor .* \[Allocate\] Pending => Starting: allocate, send StartActor",
    r"runner .* \[Start\] Connected: proxy StartActor",
    r"runner .* \[Happened\] Connected: forward Running",
    r"actor .* \[Running\] Starting => Running: publish Ready",
)
MESSY = (
    r"\[Sleep\] Running => SleepIntent: mark as sleeping, send StopActor",
    r"\[Sleep\] SleepIntent: ignored: already marked as sleeping",
    r"\[Wake\] SleepIntent: defer wake after stop",
    r"\[Stopped\] SleepIntent => Sleeping: deallocate, publish Stopped",
    r"\[(Wake|Timer)\] Sleeping => (Starting|Pending): .*allocate",
    r"\[StopRunner\] Connected => Draining: stop, remove from alloc idx",
    r"\[Timer\] Draining => Gone: after grace, evict WS",
)
ASLEEP = ("Draining => Gone", "[RequestEnded]")
"""There is no runner any more, and its pool knows that the request for it has ended."""
QUICK = {
    "TIDESTEP_ALLOCATION_SCALE_DOWN_SECONDS": "0.2",
    "TIDESTEP_ALLOCATION_DRAIN_SECONDS": "1",
}
WORDS = ("--slots-per-runner", "1", "--max-runners", "10", "--verbose")
ROUNDS = 20


def test_a_request_to_a_sleeping_actor_goes_the_way_of_the_ideal_diagram(tmp_path: Path) -> None:
    with serving(tmp_path, *WORDS, **QUICK) as server:
        ask(server, "/sleep")
        eventually(lambda: all(each in server.log() for each in ASLEEP), server)
        before = len(server.log())
        assert ask(server, "/ping") == 200
        told = server.log()[before:]
        place = 0
        for step in IDEAL:
            found = re.compile(step).search(told, place)
            assert found is not None, f"{step} is missing in\n{told}"
            place = found.end()


def test_sleep_again_and_again_at_once_goes_the_way_of_the_messy_diagram(tmp_path: Path) -> None:
    with serving(tmp_path, *WORDS, **QUICK) as server:
        for _ in range(ROUNDS):
            assert asyncio.run(ask_together(server, "/sleep", 3)) == [200, 200, 200]
            assert [ask(server, "/sleep?takes=0.1") for _ in range(4)] == [200] * 4
            if all(re.search(step, server.log()) for step in MESSY[:5]):
                break
        eventually(lambda: "Draining => Gone" in server.log(), server)
        assert [step for step in MESSY if not re.search(step, server.log())] == []
        ordered = re.findall(r"\[Sleep\] Running => SleepIntent", server.log())
        stops = Counter(re.findall(r"proxy (StopActor)", server.log()))
        assert stops["StopActor"] == len(ordered)  # once for each stay


def ask(server: Server, path: str) -> int:
    return httpx.get(server.actor("main", path), timeout=40, trust_env=False).status_code


async def ask_together(server: Server, path: str, times: int) -> list[int]:
    async with httpx.AsyncClient(timeout=40, trust_env=False) as client:
        asking = [client.get(server.actor("main", path)) for _ in range(times)]
        return [answer.status_code for answer in await asyncio.gather(*asking)]
