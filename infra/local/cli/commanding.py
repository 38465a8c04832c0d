"""`tidestep actors wake`, `sleep`, `destroy`, `create`, `runners stop` and `pools set`.

Each says in one line on stdout what has come of it, and on stderr what to do next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from msgspec.structs import replace

from engine.allocation.board import CONFIG_ITEM, board_partition, decode_config
from engine.allocation.config import CrashPolicy, PoolConfig
from engine.allocation.directory import ActorNotFound, Directory
from engine.allocation.operating import Operator, Ready, parse_actor
from engine.errors import InvalidInput, RunNotFound
from engine.layout import DEFAULT_TENANT, RunKey
from engine.ports import Platform
from infra.local.cli.exits import NotReady, command_line
from infra.local.cli.options import Place
from infra.local.cli.output import print_json, print_text, say
from infra.local.cli.places import visited

POLL_S = 0.1


async def create(
    text: str, input: Any, pool: str, crash: CrashPolicy, place: Place, *, as_json: bool
) -> None:
    """Raises ActorExists, InvalidName or InvalidInput."""
    name, key = parse_actor(text)
    async with visited(place) as platform:
        made = await Directory(platform).create(name, key, pool=pool, input=input, crash=crash)
    id = made.key.run
    if as_json:
        print_json({"actor": id, "name": name, "key": list(key), "pool": pool})
        return
    print_text(id)
    say(f"see how it goes: {command_line('actors', 'show', text if key else id, *place.given())}")


async def wake(text: str, wait_s: float, place: Place, *, as_json: bool) -> None:
    """Raises ActorNotFound, InvalidName, or NotReady where it does not run in time."""
    async with visited(place) as platform:
        with _explained(place):
            operator = Operator(platform)
            key = await operator.find(text)
            woken = await operator.wake(key)
            ready = await _ready(operator, key, wait_s)
    if as_json:
        print_json({"actor": key.run, "woken": woken, "ready": ready.ready, "why": ready.why})
    elif ready.ready:
        print_text(f"actor {text} runs" if woken else f"actor {text} runs already")
    elif not wait_s:
        print_text(f"actor {text} is told to wake")
        say(f"see how it goes: {command_line('actors', 'show', text, *place.given())}")
    if wait_s and not ready.ready:
        raise NotReady(f"actor {text} does not run after {wait_s:g} s: {ready.why}")


async def _ready(operator: Operator, key: RunKey, wait_s: float) -> Ready:
    loop = asyncio.get_running_loop()
    give_up = loop.time() + wait_s
    while True:
        ready = await operator.readiness(key)
        if ready.ready or loop.time() >= give_up:
            return ready
        await asyncio.sleep(POLL_S)


async def sleep(text: str, place: Place, *, as_json: bool) -> None:
    """Raises ActorNotFound or InvalidName."""
    async with visited(place) as platform:
        with _explained(place):
            operator = Operator(platform)
            key = await operator.find(text)
            changed = await operator.sleep(key)
    if as_json:
        print_json({"actor": key.run, "changed": changed})
    elif changed:
        print_text(f"actor {text} is told to sleep: the next request wakes it")
    else:
        print_text(f"actor {text} sleeps already, or is about to: nothing has changed")


async def destroy(text: str, place: Place, *, as_json: bool) -> None:
    """Raises ActorNotFound or InvalidName."""
    async with visited(place) as platform:
        with _explained(place):
            operator = Operator(platform)
            key = await operator.find(text)
            changed = await operator.destroy(key)
    if as_json:
        print_json({"actor": key.run, "changed": changed})
    elif changed:
        print_text(f"actor {text} is told to end for good: what it has stored goes with it")
    else:
        print_text(f"actor {text} was destroyed before: nothing has changed")


async def stop_runner(id: str, place: Place, *, as_json: bool) -> None:
    """Raises RunNotFound or InvalidName."""
    async with visited(place) as platform:
        with _explained(place):
            changed = await Operator(platform).stop_runner(id)
    if as_json:
        print_json({"runner": id, "changed": changed})
    elif changed:
        print_text(f"runner {id} is told to stop: its actors move, or sleep until they are wanted")
    else:
        print_text(f"runner {id} is gone: nothing has changed")


async def set_pool(name: str, changes: Mapping[str, Any], place: Place, *, as_json: bool) -> None:
    """Raises InvalidPool or InvalidName."""
    async with visited(place) as platform:
        before = await _config(platform, name)
        if "url" in changes and "command" not in changes:
            changes = {**changes, "command": ()}
        after = replace(before, **changes)
        await Directory(platform).configure(name, after)
    if as_json:
        print_json({"pool": name, "changed": after != before})
    elif after == before:
        print_text(f"pool {name} is set so already: nothing has changed")
    else:
        print_text(f"pool {name} is set")
        say(f"see how it goes: {command_line('pools', 'show', name, *place.given())}")


async def _config(platform: Platform, name: str) -> PoolConfig:
    partition = board_partition(DEFAULT_TENANT, name)
    found = await platform.journal.items(partition, [CONFIG_ITEM])
    return decode_config(found[CONFIG_ITEM]) if found else PoolConfig()


def headers_of(given: list[str]) -> dict[str, str]:
    """Of `NAME: VALUE`, as curl takes them. Raises InvalidInput."""
    headers = {}
    for text in given:
        name, colon, value = text.partition(":")
        if not (colon and name.strip()):
            raise InvalidInput("--header: write it as 'NAME: VALUE'")
        headers[name.strip().lower()] = value.strip()
    return headers


@contextmanager
def _explained(place: Place) -> Iterator[None]:
    """Add to what the engine refuses what to do about it."""
    try:
        yield
    except (ActorNotFound, RunNotFound) as error:
        what = "runners" if isinstance(error, RunNotFound) else "actors"
        where = command_line(what, "list", *place.given())
        raise type(error)(f"{error} in {place}: see {where}") from None
