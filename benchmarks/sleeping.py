"""Sleeping actors, from end to end: HTTP through `tidestep serve` to a runner process and back.

A wake is a request to an actor that is asleep on a live runner; the yardstick beside it is the same
request to the same actor awake. Both go the whole way: gateway, store, WebSocket, runner.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import httpx

from benchmarks.report import Aim, Report, table
from engine.allocation.actor_state import Sleeping
from engine.allocation.directory import Directory
from engine.layout import RunKey
from infra.local.embedded import Embedded, visiting

WAKES = 300
TOGETHER = 200
IN_FLIGHT = 50
ROUNDS = 5
AWAKE = 500
MULTIPLE = 10.0
_SERVING = re.compile(r"serving (http://\S+?)/callbacks")


@dataclass(frozen=True, slots=True)
class _Server:
    url: str
    pid: int
    database: Path


def run(scratch: Path) -> Report:
    with _serving(scratch) as server, visiting(server.database, os.environ) as embedded:
        return asyncio.run(_measure(server, embedded))


async def _measure(server: _Server, embedded: Embedded) -> Report:
    directory = Directory(embedded.platform)
    limits = httpx.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=IN_FLIGHT)
    async with httpx.AsyncClient(base_url=server.url, timeout=60, limits=limits) as client:
        one, many, of_runner = await _memory(client, server)
        asleep, awake, counted = await _one(client, directory)
        rate = await _many(client, directory)
    p50, p99 = _percentiles(asleep)
    awake50, awake99 = _percentiles(awake)
    counted50, counted99 = _percentiles(counted)
    rows = [
        ["awake", "1.00", "1.00", _ms(awake50), _ms(awake99)],
        [
            "awake, and its state changes",
            f"{counted50 / awake50:.1f}",
            f"{counted99 / awake99:.1f}",
            _ms(counted50),
            _ms(counted99),
        ],
        ["asleep", f"{p50 / awake50:.1f}", f"{p99 / awake99:.1f}", _ms(p50), _ms(p99)],
    ]
    columns = ["a request to an actor that is", "p50, ratio", "p99, ratio", "p50, ms", "p99, ms"]
    title = "Sleeping actors, end to end over HTTP; as a multiple of an actor that is awake"
    notes = [
        f"{TOGETHER} wakes with {IN_FLIGHT} at a time: {rate:,.0f} a second.",
        f"A runner process takes {of_runner:,.0f} KiB with one actor; each further one that is "
        f"awake {one:.1f} KiB there and {many:.1f} KiB in the server. Asleep: no process, a row.",
    ]
    aim = Aim(
        "wake of a sleeping actor, as a multiple of an awake request (p50)",
        p50 / awake50,
        MULTIPLE,
        "Nine saves of the store lie between the request and its answer, one after the other.",
    )
    return Report([table(title, columns, rows)], [aim], notes)


async def _one(
    client: httpx.AsyncClient, directory: Directory
) -> tuple[list[float], list[float], list[float]]:
    """Seconds of requests that find it asleep, awake, and that change its state."""
    asleep, awake, counted = [], [], []
    await _get(client, "one", "/")
    actor = await directory.find("sleeper", ["one"])
    for _ in range(WAKES):
        await _get(client, "one", "/sleep")
        await _until_asleep(directory, actor)
        asleep.append(await _timed(client, "one", "/"))
        awake.append(await _timed(client, "one", "/"))
        counted.append(await _timed(client, "one", "/count"))
    return asleep, awake, counted


async def _many(client: httpx.AsyncClient, directory: Directory) -> float:
    """Wakes a second, the median of some rounds."""
    keys = [f"m{number}" for number in range(TOGETHER)]
    rates = []
    for _ in range(ROUNDS):
        await asyncio.gather(*(_get(client, key, "/sleep") for key in keys))
        for key in keys:
            await _until_asleep(directory, await directory.find("sleeper", [key]))
        began = time.perf_counter()
        await asyncio.gather(*(_get(client, key, "/") for key in keys))
        rates.append(TOGETHER / (time.perf_counter() - began))
    return median(rates)


async def _memory(client: httpx.AsyncClient, server: _Server) -> tuple[float, float, float]:
    """KiB of an awake actor in the runner and in the server, and of a runner with hardly any.

    In fresh processes: what was used before and given back would hide what more actors take.
    """
    for _ in range(20):
        await _get(client, "first", "/count")
    (runner,) = _children(server.pid)
    before, server_before = _resident(runner), _resident(server.pid)
    await asyncio.gather(*(_get(client, f"w{number}", "/count") for number in range(AWAKE)))
    after, server_after = _resident(runner), _resident(server.pid)
    return (after - before) / AWAKE, (server_after - server_before) / AWAKE, before


async def _get(client: httpx.AsyncClient, key: str, path: str) -> None:
    (await client.get(f"/actors/sleeper/{key}{path}")).raise_for_status()


async def _timed(client: httpx.AsyncClient, key: str, path: str) -> float:
    began = time.perf_counter()
    await _get(client, key, path)
    return time.perf_counter() - began


async def _until_asleep(directory: Directory, actor: RunKey) -> None:
    """Looked for in the file: nobody outside is told."""
    while not isinstance(  # noqa: ASYNC110
        (await directory.actor(actor)).state.phase, Sleeping
    ):
        await asyncio.sleep(0.001)


def _percentiles(seconds: list[float]) -> tuple[float, float]:
    cuts = quantiles(seconds, n=100)
    return cuts[49], cuts[98]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f}"


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()]


def _resident(pid: int) -> float:
    """KiB of memory that the process holds."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return float(line.split()[1])
    raise ProcessLookupError(pid)


@contextmanager
def _serving(scratch: Path) -> Iterator[_Server]:
    database = scratch / "sleeping.db"
    log = scratch / "serve.log"
    command = [
        *(sys.executable, "-m", "infra.local.cli", "serve"),
        *("--stateful", "benchmarks.sleepers", "--db", str(database), "--port", "0"),
        *("--slots-per-runner", "1000", "--max-runners", "1"),
    ]
    with log.open("w") as written:
        process = subprocess.Popen(command, stdout=written, stderr=subprocess.STDOUT)
        try:
            yield _Server(_address(log, process), process.pid, database)
        finally:
            process.terminate()
            process.wait(60)


def _address(log: Path, process: subprocess.Popen[bytes]) -> str:
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up and process.poll() is None:
        found = _SERVING.search(log.read_text())
        if found:
            return found[1]
        time.sleep(0.05)
    raise RuntimeError(f"the server has not begun to serve:\n{log.read_text()}")
