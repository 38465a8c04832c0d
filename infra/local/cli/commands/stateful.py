"""The commands on stateful actors, and on who hosts them: actors, runners, pools."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from engine.allocation.config import CrashPolicy
from infra.local.cli import options
from infra.local.cli.help import add_command
from infra.local.embedded import DEFAULT_DATABASE

Actor = Annotated[
    str, typer.Argument(metavar="ACTOR", help="Its id, or NAME/KEY, like counter/main.")
]
RunnerId = Annotated[str, typer.Argument(metavar="RUNNER", help="The runner's id.")]
PoolName = Annotated[str, typer.Argument(metavar="POOL", help="The pool's name.")]
OnlyPool = Annotated[
    str | None, typer.Option("--pool", metavar="NAME", help="Only its own.", show_default=False)
]
Limit = Annotated[int, typer.Option(min=1, metavar="N", help="At most so many.")]


def add_to(app: typer.Typer) -> None:
    actors = typer.Typer(help="See, wake and end stateful actors.", no_args_is_help=True)
    add_command(
        actors, list_actors, "tidestep actors list", "tidestep actors list --aws", name="list"
    )
    add_command(actors, show_actor, "tidestep actors show counter/main", name="show")
    add_command(
        actors,
        create,
        "tidestep actors create counter/main",
        "tidestep actors create room/eu,lobby --input '{\"seats\": 8}' --crash restart",
    )
    add_command(
        actors,
        wake,
        "tidestep actors wake counter/main",
        "tidestep actors wake counter/main --no-wait",
    )
    add_command(actors, sleep, "tidestep actors sleep counter/main")
    add_command(actors, destroy, "tidestep actors destroy counter/main")
    app.add_typer(actors, name="actors")

    runners = typer.Typer(help="See and stop the runners of actors.", no_args_is_help=True)
    add_command(
        runners, list_runners, "tidestep runners list", "tidestep runners list --json", name="list"
    )
    add_command(runners, show_runner, "tidestep runners show n7Yx0aQ", name="show")
    add_command(runners, stop_runner, "tidestep runners stop n7Yx0aQ", name="stop")
    app.add_typer(runners, name="runners")

    pools = typer.Typer(help="See and set where runners come from.", no_args_is_help=True)
    add_command(pools, list_pools, "tidestep pools list", name="list")
    add_command(pools, show_pool, "tidestep pools show default", name="show")
    add_command(
        pools,
        set_pool,
        "tidestep pools set cloud --url https://runners.example.com --slots-per-runner 10",
        "tidestep pools set cloud --max-runners 20 --header 'authorization: Bearer abc'",
        name="set",
    )
    app.add_typer(pools, name="pools")


# -- actors ---------------------------------------------------------------------------------------


def list_actors(
    pool: OnlyPool = None,
    limit: Limit = 20,
    db: options.Db = DEFAULT_DATABASE,
    aws: options.Aws = False,
    as_json: options.AsJson = False,
) -> None:
    """List the newest stateful actors: their state, and what they wait for."""
    from infra.local.cli import stateful

    place = _place(db, aws)
    asyncio.run(stateful.list_actors(place, pool, limit, as_json=as_json))


def show_actor(
    actor: Actor,
    db: options.Db = DEFAULT_DATABASE,
    aws: options.Aws = False,
    as_json: options.AsJson = False,
) -> None:
    """Show a stateful actor: its state, where it runs, and what has happened to it lately."""
    from infra.local.cli import stateful

    asyncio.run(stateful.show_actor(actor, _place(db, aws), as_json=as_json))


def create(
    actor: Annotated[
        str,
        typer.Argument(
            metavar="NAME[/KEY]", help="Its name, and its key; without a key it has its id alone."
        ),
    ],
    input: Annotated[
        str | None,
        typer.Option(
            "--input",
            "-i",
            metavar="JSON|@FILE|-",
            help="What the actor is given: JSON, a JSON or YAML file, or stdin. By default null.",
            show_default=False,
        ),
    ] = None,
    pool: Annotated[
        str, typer.Option(metavar="NAME", help="The pool whose runners host it.")
    ] = options.DEFAULT_POOL,
    crash: Annotated[
        CrashPolicy, typer.Option(help="What becomes of it when it has crashed.")
    ] = CrashPolicy.SLEEP,
    db: options.Db = DEFAULT_DATABASE,
    aws: options.Aws = False,
    as_json: options.AsJson = False,
) -> None:
    """Create a stateful actor, and print its id.

    Addresses of `serve` create what is not there: this is for actors with an input, or without a
    key.
    """
    from infra.local.cli import commanding
    from infra.local.cli.inputs import read_payload

    value = read_payload(input, ())
    place = options.Place(db, aws)
    asyncio.run(commanding.create(actor, value, pool, crash, place, as_json=as_json))


def wake(
    actor: Actor,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Do not wait until the actor runs.")
    ] = False,
    timeout: Annotated[
        float, typer.Option(min=0, max=3600, metavar="SECONDS", help="How long to wait for that.")
    ] = 30,
    db: options.Db = DEFAULT_DATABASE,
    aws: options.Aws = False,
    as_json: options.AsJson = False,
) -> None:
    """Wake a stateful actor, and wait until it runs. Waking one that runs is harmless.

    Where it does not run in time, the command says what it waits for; the wake stands.
    """
    from infra.local.cli import commanding

    wait_s = 0.0 if no_wait else timeout
    asyncio.run(commanding.wake(actor, wait_s, _place(db, aws), as_json=as_json))


def sleep(
    actor: Actor,
    db: options.Db = DEFAULT_DATABASE,
    aws: options.Aws = False,
    as_json: options.AsJson = False,
) -> None:
    """Send a stateful actor to sleep. The next request wakes it."""
    from infra.local.cli import commanding

    asyncio.run(commanding.sleep(actor, _place(db, aws), as_json=as_json))


def destroy(
    actor: Actor,
    db: options.Db = DEFAULT_DATABASE,
    aws: options.Aws = False,
    as_json: options.AsJson = False,
) -> None:
    """End a stateful actor for good: its state is deleted, and its key is free."""
    from infra.local.cli import commanding

    asyncio.run(commanding.destroy(actor, _place(db, aws), as_json=as_json))


# -- runners --------------------------------------------------------------------------------------


def list_runners(
    pool: OnlyPool = None,
    limit: Limit = 20,
    db: options.Db = DEFAULT_DATABASE,
    aws: options.Aws = False,
    as_json: options.AsJson = False,
) -> None:
    """List the newest runners, also those that are gone, and why."""
    from infra.local.cli import stateful

    place = _place(db, aws)
    asyncio.run(stateful.list_runners(place, pool, limit, as_json=as_json))


def show_runner(
    runner: RunnerId,
    db: options.Db = DEFAULT_DATABASE,
    aws: options.Aws = False,
    as_json: options.AsJson = False,
) -> None:
    """Show a runner: its slots, when it was heard of, and what has happened to it lately."""
    from infra.local.cli import stateful

    asyncio.run(stateful.show_runner(runner, _place(db, aws), as_json=as_json))


def stop_runner(
    runner: RunnerId,
    db: options.Db = DEFAULT_DATABASE,
    aws: options.Aws = False,
    as_json: options.AsJson = False,
) -> None:
    """Have a runner give up its actors and end. Its pool starts another where one is wanted."""
    from infra.local.cli import commanding

    asyncio.run(commanding.stop_runner(runner, _place(db, aws), as_json=as_json))


# -- pools ----------------------------------------------------------------------------------------


def list_pools(
    limit: Limit = 20,
    db: options.Db = DEFAULT_DATABASE,
    aws: options.Aws = False,
    as_json: options.AsJson = False,
) -> None:
    """List the pools: how many runners each has and wants, and what keeps it from having them."""
    from infra.local.cli import stateful

    asyncio.run(stateful.list_pools(_place(db, aws), limit, as_json=as_json))


def show_pool(
    pool: PoolName,
    db: options.Db = DEFAULT_DATABASE,
    aws: options.Aws = False,
    as_json: options.AsJson = False,
) -> None:
    """Show a pool: its runners and slots, who waits, and what has happened lately."""
    from infra.local.cli import stateful

    asyncio.run(stateful.show_pool(pool, _place(db, aws), as_json=as_json))


def set_pool(
    pool: PoolName,
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Runners are started by GET URL/start; '' leaves them to come by themselves.",
            show_default=False,
        ),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(
            "--header",
            metavar="'NAME: VALUE'",
            help="Sent with each request, in place of all set before. May be repeated.",
            show_default=False,
        ),
    ] = None,
    slots_per_runner: Annotated[
        int | None, typer.Option(min=1, max=1000, metavar="N", show_default=False)
    ] = None,
    min_runners: Annotated[int | None, typer.Option(min=0, metavar="N", show_default=False)] = None,
    max_runners: Annotated[int | None, typer.Option(min=1, metavar="N", show_default=False)] = None,
    margin: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Runners beyond those needed.", show_default=False),
    ] = None,
    lifespan: Annotated[
        float | None,
        typer.Option(
            min=1,
            metavar="SECONDS",
            help="How long a runner may live before another takes its place.",
            show_default=False,
        ),
    ] = None,
    db: options.Db = DEFAULT_DATABASE,
    aws: options.Aws = False,
    as_json: options.AsJson = False,
) -> None:
    """Make a pool, or change how it works; what is not given stays as it is.

    `serve` sets the pool that it serves anew whenever it starts.
    """
    from infra.local.cli import commanding

    given: dict[str, Any] = {
        "url": url,
        "headers": None if header is None else commanding.headers_of(header),
        "slots_per_runner": slots_per_runner,
        "min_runners": min_runners,
        "max_runners": max_runners,
        "margin": margin,
        "lifespan_ms": None if lifespan is None else round(lifespan * 1000),
    }
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise typer.BadParameter("say what to set, as --max-runners 20", param_hint="pools set")
    place = options.Place(db, aws)
    asyncio.run(commanding.set_pool(pool, changes, place, as_json=as_json))


def _place(db: Any, aws: bool) -> options.Place:
    """Raises NotThere."""
    place = options.Place(db, aws)
    place.must_exist()
    return place
