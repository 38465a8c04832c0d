"""`tidestep start`: write a run down for somebody else to work on."""

from __future__ import annotations

from typing import Any

from engine.definition import Definition
from engine.starting import Starter
from infra.local.cli.exits import command_line
from infra.local.cli.options import Place
from infra.local.cli.output import print_json, print_text, say
from infra.local.cli.places import visited


async def start(
    definition: Definition, input: Any, run: str | None, place: Place, *, as_json: bool
) -> None:
    async with visited(place) as platform:
        started = await Starter(platform).start(definition, input, run)
    name = started.key.run
    if as_json:
        print_json({"run": name, "status": started.status, "created": started.created})
        return
    print_text(name)
    if not started.created:
        say(f"it exists already, with this workflow and input; its status is {started.status}")
    say(f"see how it goes: {command_line('show', name, *place.given())}")
