"""Many actors on few runners, woken, sent to sleep and moved, and no request may fail.

python -m tests.scenarios.actors.moving --seconds 60
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.scenarios.actors.stage import Server, serving

ACTORS = 100
CLIENTS = 20
MOVE_EVERY_S = 2.0
WORDS = ("--slots-per-runner", "60", "--max-runners", "2")


@dataclass
class Tally:
    """What has happened. `counts` are the acknowledged additions of each actor."""

    requests: int = 0
    moved: int = 0
    failures: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    uncertain: Counter[str] = field(default_factory=Counter)
    """Additions that a retry may have made twice."""
    slowest_s: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.requests:,} requests, {self.moved} runners stopped, "
            f"{len(self.failures)} failed, the slowest took {self.slowest_s:.1f} s"
        )


async def play(server: Server, seconds: float, seed: int) -> Tally:
    """Every actor has one client at a time, so that it is known what its count must be."""
    tally = Tally()
    give_up = time.monotonic() + seconds
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        keys = [f"a{number}" for number in range(ACTORS)]
        clients = [
            _visit(
                server, client, keys[number::CLIENTS], random.Random(seed + number), give_up, tally
            )
            for number in range(CLIENTS)
        ]
        await asyncio.gather(_move(server, give_up, tally), *clients)
        for key in keys:
            await _check(server, client, key, tally)
    return tally


async def _visit(
    server: Server,
    client: httpx.AsyncClient,
    keys: list[str],
    chance: random.Random,
    give_up: float,
    tally: Tally,
) -> None:
    while time.monotonic() < give_up:
        key = chance.choice(keys)
        path = chance.choice(["/add", "/add", "/add", "/sleep", "/ping"])
        answer = await _ask(server, client, key, path, tally)
        if path == "/add" and answer is not None:
            tally.counts[key] += 1
            count = answer.json()["count"]
            most = tally.counts[key] + tally.uncertain[key]
            if count < tally.counts[key]:
                tally.failures.append(f"{key}: an acknowledged addition is lost: {count} < {most}")
            tally.counts[key] = count


async def _ask(
    server: Server, client: httpx.AsyncClient, key: str, path: str, tally: Tally
) -> httpx.Response | None:
    began = time.monotonic()
    try:
        answer = await client.get(server.actor(key, path))
    except httpx.HTTPError as error:
        tally.failures.append(f"{key}{path}: {error!r}")
        return None
    tally.requests += 1
    tally.slowest_s = max(tally.slowest_s, time.monotonic() - began)
    if answer.status_code != 200:
        tally.failures.append(f"{key}{path}: {answer.status_code} {answer.text}")
        return None
    return answer


async def _move(server: Server, give_up: float, tally: Tally) -> None:
    while time.monotonic() + MOVE_EVERY_S < give_up:
        await asyncio.sleep(MOVE_EVERY_S)
        listed = json.loads(await asyncio.to_thread(server.command, "runners", "list", "--json"))
        open_ones = [runner["id"] for runner in listed if runner["state"] == "connected"]
        if open_ones:
            await asyncio.to_thread(server.command, "runners", "stop", open_ones[-1])
            tally.moved += 1


async def _check(server: Server, client: httpx.AsyncClient, key: str, tally: Tally) -> None:
    answer = await _ask(server, client, key, "/", tally)
    if answer is not None and answer.json()["count"] < tally.counts[key]:
        tally.failures.append(f"{key}: {answer.text}, acknowledged {tally.counts[key]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, serving(Path(name), *WORDS) as server:
        tally = asyncio.run(play(server, asked.seconds, asked.seed))
    print(tally)
    for failure in tally.failures[:20]:
        print(failure)
    return 1 if tally.failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
