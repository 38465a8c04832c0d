"""The commands that start runs and work on them: run, resume, start, work."""

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
        run,
        "tidestep run order.yaml --actors shop --input '{\"items\": 3}'",
        "tidestep run order.yaml --actors shop --input @order-7.json --id order-7",
        "tidestep run order.yaml --actors shop --set items=3 --json",
    )
    add_command(
        app,
        resume,
        "tidestep resume order-7 --actors shop",
        "tidestep resume order-7 --db shop.db --actors shop --json",
    )
    add_command(
        app,
        start,
        "tidestep start order.yaml --actors shop --input @order-7.json",
        "tidestep start order.yaml --actors shop --aws --id order-7",
    )
    add_command(
        app,
        work,
        "tidestep work --actors shop --actors billing.actors",
        "tidestep work --actors shop --concurrency 20 --verbose",
        "tidestep work --actors shop --aws",
    )


def run(
    file: options.File,
    input: options.Input = None,
    settings: options.Set = None,
    id: options.Id = None,
    actors: options.Actors = None,
    db: options.Db = DEFAULT_DATABASE,
    as_json: options.AsJson = False,
    verbose: options.Verbose = False,
) -> int:
    """Start a run and work on it here, to its end.

    Progress is shown on stderr, the output is printed to stdout as JSON. Ctrl-C leaves the run as
    it is, and says how to resume it; so does a crash.
    """
    from infra.local.cli import foreground
    from infra.local.cli.checking import load_workflow
    from infra.local.cli.inputs import one_stdin, read_input

    one_stdin(file, input)
    how = options.Working(db, options.actor_paths(actors), as_json, verbose)
    registry = options.load_actors(how.actors)
    definition = load_workflow(file, registry)
    value = read_input(input, settings or ())
    collect_garbage_less_often()
    return asyncio.run(foreground.start_and_work(definition, value, id, registry, how))


def resume(
    run: options.RunId,
    actors: options.Actors = None,
    db: options.Db = DEFAULT_DATABASE,
    as_json: options.AsJson = False,
    verbose: options.Verbose = False,
) -> int:
    """Go on with a run that was interrupted or only started, to its end.

    The workflow is kept with the run; its actors must be named again. Of a run that has ended, the
    result is printed.
    """
    from infra.local.cli import foreground

    how = options.Working(db, options.actor_paths(actors), as_json, verbose)
    collect_garbage_less_often()
    return asyncio.run(foreground.resume(run, how))


def start(
    file: options.File,
    input: options.Input = None,
    settings: options.Set = None,
    id: options.Id = None,
    actors: options.Actors = None,
    db: options.Db = DEFAULT_DATABASE,
    aws: options.Aws = False,
    as_json: options.AsJson = False,
) -> None:
    """Start a run for a worker to work on, and print its id.

    FILE may be - for stdin. Works while another process is the database's worker.
    """
    from infra.local.cli import starting
    from infra.local.cli.checking import load_workflow
    from infra.local.cli.inputs import one_stdin, read_input

    one_stdin(file, input)
    definition = load_workflow(file, options.load_actors(options.actor_paths(actors)))
    value = read_input(input, settings or ())
    place = options.Place(db, aws)
    asyncio.run(starting.start(definition, value, id, place, as_json=as_json))


def work(
    actors: options.Actors = None,
    db: options.Db = DEFAULT_DATABASE,
    aws: options.Aws = False,
    concurrency: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many steps may run at the same time.")
    ] = 200,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print every event to stdout, one JSON object a line.")
    ] = False,
    verbose: options.Verbose = False,
) -> None:
    """Work on all runs of a database, until Ctrl-C or SIGTERM.

    One process at a time is the worker of a database file; with --aws there may be many.
    """
    from infra.local.cli import worker

    registry = options.load_actors(options.actor_paths(actors))
    place = options.Place(db, aws)
    collect_garbage_less_often()
    asyncio.run(worker.work(place, registry, concurrency, as_json=as_json, verbose=verbose))
