"""`tidestep keys`: which keys sign callbacks, without their secrets, and a new one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.callbacks import SigningKey
from engine.keys import KeyRing
from engine.ports import Platform
from infra.callbacks import callbacks_from
from infra.local.cli.options import Place
from infra.local.cli.output import print_json, print_table, print_text, say
from infra.local.cli.places import visited
from infra.local.cli.tables import plain_table
from infra.local.cli.wording import moment

if TYPE_CHECKING:
    from rich.table import Table


async def show(place: Place, *, as_json: bool) -> None:
    async with visited(place) as platform:
        keys = await _ring(platform).keys()
        now = platform.clock.now()
    if as_json:
        print_json(_rows(keys))
    elif not keys:
        say("no key yet: the first callback makes one")
    else:
        print_table(_table(keys, now))


async def rotate(place: Place, *, as_json: bool) -> None:
    """Raises Misconfigured where the keys are given by the environment."""
    async with visited(place) as platform:
        ring = _ring(platform)
        before = await ring.keys()
        keys = await ring.rotate()
    if as_json:
        print_json(_rows(keys))
    else:
        print_text(keys[0].id)
    kept = {key.id for key in keys}
    for key in before:
        if key.id not in kept:
            say(f"key {key.id} is gone: what it has signed is refused from now on")


def _ring(platform: Platform) -> KeyRing:
    return callbacks_from(os.environ, platform.journal, platform.clock, platform.entropy).keys


def _rows(keys: Sequence[SigningKey]) -> list[dict[str, object]]:
    return [
        {"key": key.id, "created_at": key.created_at or None, "signs": place == 0}
        for place, key in enumerate(keys)
    ]


def _table(keys: Sequence[SigningKey], now: int) -> Table:
    table = plain_table("key", "created", "use")
    for place, key in enumerate(keys):
        created = moment(key.created_at, now) if key.created_at else "by the environment"
        table.add_row(key.id, created, "signs" if place == 0 else "verifies")
    return table
