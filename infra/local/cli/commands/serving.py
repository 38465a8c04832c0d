"""The command that works and listens: serve."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from infra.local.cli import options
from infra.local.cli.help import add_command
from infra.local.embedded import DEFAULT_DATABASE
from infra.system import collect_garbage_less_often


def add_to(app: typer.Typer) -> None:
    add_command(
        app,
        serve,
        "tidestep serve --actors shop",
        "tidestep serve --actors shop --port 9000 --public-url https://flows.example.com",
    )


def serve(
    actors: options.Actors = None,
    db: options.Db = DEFAULT_DATABASE,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; by default, this machine only.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="The port; 0 picks a free one.")
    ] = 8080,
    public_url: Annotated[
        str | None,
        typer.Option(
            envvar="TIDESTEP_CALLBACK_URL",
            metavar="URL",
            help="How the server is reached from outside, where that is not its own address.",
            show_default=False,
        ),
    ] = None,
    concurrency: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many steps may run at the same time.")
    ] = 200,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print every event to stdout, one JSON object a line.")
    ] = False,
    verbose: options.Verbose = False,
) -> None:
    """Work on all runs of a database and serve callbacks over HTTP, until Ctrl-C or SIGTERM.

    It is `work` with a server: whoever holds the address of a callback may answer that one wait,
    and everything else is refused.
    """
    from infra.local.cli import serving

    registry = options.load_actors(options.actor_paths(actors))
    how = serving.Serving(db, host, port, public_url, concurrency)
    collect_garbage_less_often()
    asyncio.run(serving.serve(how, registry, as_json=as_json, verbose=verbose))
