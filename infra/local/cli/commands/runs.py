"""The commands that look at runs: list, show."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from engine.snapshot import Status
from infra.local.cli import options
from infra.local.cli.help import add_command
from infra.local.embedded import DEFAULT_DATABASE


def add_to(app: typer.Typer) -> None:
    add_command(
        app,
        list_runs,
        "tidestep list",
        "tidestep list --status failed --limit 5",
        "tidestep list --json | jq -r '.[].run'",
        name="list",
    )
    add_command(
        app,
        show,
        "tidestep show order-7",
        "tidestep show order-7 --history",
        "tidestep show order-7 --outputs",
        "tidestep show order-7 --json | jq .output",
    )


def list_runs(
    status: Annotated[
        Status | None, typer.Option(help="Only runs of this status.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="At most so many runs.")] = 20,
    db: options.Db = DEFAULT_DATABASE,
    aws: options.Aws = False,
    as_json: options.AsJson = False,
) -> None:
    """List the newest runs."""
    from infra.local.cli.listing import list_runs

    place = options.Place(db, aws)
    place.must_exist()
    asyncio.run(list_runs(place, status, limit, as_json=as_json))


def show(
    run: options.RunId,
    history: Annotated[
        bool, typer.Option("--history", help="List every result, in order.")
    ] = False,
    outputs: Annotated[
        bool, typer.Option("--outputs", help="List every result with what it put out.")
    ] = False,
    db: options.Db = DEFAULT_DATABASE,
    aws: options.Aws = False,
    as_json: options.AsJson = False,
) -> None:
    """Show a run: its status, input and output, what each node did, what is pending."""
    from infra.local.cli import showing

    place = options.Place(db, aws)
    place.must_exist()
    detail = showing.Detail(history=history or outputs, outputs=outputs)
    asyncio.run(showing.show(run, place, detail, as_json=as_json))
