"""The commands that listen, or connect to what listens: serve, runner."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated

import typer

from engine.allocation.config import CrashPolicy
from infra.local.cli import options
from infra.local.cli.help import add_command
from infra.local.embedded import DEFAULT_DATABASE
from infra.system import collect_garbage_less_often

_ACTORS = "Stateful actors"


def add_to(app: typer.Typer) -> None:
    add_command(
        app,
        serve,
        "tidestep serve --actors shop",
        "tidestep serve --actors shop --port 9000 --public-url https://flows.example.com",
        "tidestep serve --stateful game",
        "tidestep serve --stateful game --slots-per-runner 10 --max-runners 4 --crash restart",
        "tidestep serve --stateful game --pool cloud --pool-url https://runners.example.com",
    )
    add_command(
        app,
        runner,
        "tidestep runner --stateful game --endpoint http://127.0.0.1:8080 --slots 50",
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
    stateful: options.Stateful = None,
    pool: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="The pool whose runners host them.", rich_help_panel=_ACTORS
        ),
    ] = options.DEFAULT_POOL,
    pool_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Runners are started by GET URL/start, and are no processes of this machine.",
            show_default=False,
            rich_help_panel=_ACTORS,
        ),
    ] = None,
    no_runners: Annotated[
        bool,
        typer.Option(
            "--no-runners",
            help="Start none: runners come by themselves (tidestep runner).",
            rich_help_panel=_ACTORS,
        ),
    ] = False,
    slots_per_runner: Annotated[
        int,
        typer.Option(
            min=1,
            max=1000,
            metavar="N",
            help="How many actors one runner hosts at a time.",
            rich_help_panel=_ACTORS,
        ),
    ] = 100,
    max_runners: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="How many runners there are at most.", rich_help_panel=_ACTORS
        ),
    ] = 2,
    crash: Annotated[
        CrashPolicy,
        typer.Option(help="What becomes of an actor that has crashed.", rich_help_panel=_ACTORS),
    ] = CrashPolicy.SLEEP,
) -> None:
    """Work on all runs of a database and serve callbacks over HTTP, until Ctrl-C or SIGTERM.

    It is `work` with a server: whoever holds the address of a callback may answer that one wait,
    and everything else is refused.

    With --stateful it serves actors too, at /actors/NAME/KEY: each is woken by the first request,
    and sleeps when it is idle. The processes that host them are started as they are needed.
    """
    from infra.local.cli import serving

    registry = options.load_actors(options.actor_paths(actors))
    hosted = None
    if paths := options.actor_paths(stateful):
        from infra.local.cli import hosting

        if no_runners and pool_url:
            raise typer.BadParameter("give --pool-url or --no-runners", param_hint="--no-runners")
        if no_runners and not os.environ.get(options.TOKEN_VARIABLE):
            needs = f"runners need a token to connect: set {options.TOKEN_VARIABLE}, here and there"
            raise typer.BadParameter(needs, param_hint="--no-runners")
        hosted = hosting.Stateful(
            paths, pool, pool_url or "", not no_runners, slots_per_runner, max_runners, crash
        )
    elif pool_url or no_runners:
        given = "--pool-url" if pool_url else "--no-runners"
        raise typer.BadParameter("it needs --stateful", param_hint=given)
    how = serving.Serving(db, host, port, public_url, concurrency, hosted)
    collect_garbage_less_often()
    asyncio.run(serving.serve(how, registry, as_json=as_json, verbose=verbose))


def runner(
    stateful: options.Stateful = None,
    endpoint: Annotated[
        str,
        typer.Option(
            envvar="TIDESTEP_ENDPOINT",
            metavar="URL",
            help="Where to connect: the address of `tidestep serve`, or wss://... of AWS.",
        ),
    ] = "http://127.0.0.1:8080",
    pool: Annotated[
        str, typer.Option(envvar="TIDESTEP_POOL", metavar="NAME", help="The pool to belong to.")
    ] = options.DEFAULT_POOL,
    slots: Annotated[
        int,
        typer.Option(
            envvar="TIDESTEP_SLOTS", min=1, max=1000, metavar="N", help="How many actors to host."
        ),
    ] = 100,
    version: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="The pool's newest version is given the actors."),
    ] = 0,
    verbose: options.Verbose = False,
) -> int:
    """Host stateful actors for a server, until Ctrl-C or SIGTERM: then they are given back first.

    The server and its runners share the token in TIDESTEP_RUNNER_TOKEN.
    """
    from infra.local.cli import hosted

    paths = options.actor_paths(stateful)
    if not paths:
        raise typer.BadParameter("say where your actors are", param_hint="--stateful")
    how = hosted.Hosted(paths, endpoint, pool, slots, version)
    collect_garbage_less_often()
    return asyncio.run(hosted.host(how, verbose=verbose))
