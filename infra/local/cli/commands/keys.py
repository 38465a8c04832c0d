"""The commands on the keys that sign callbacks: keys list, keys rotate."""

from __future__ import annotations

import asyncio

import typer

from infra.local.cli import options
from infra.local.cli.help import add_command
from infra.local.embedded import DEFAULT_DATABASE


def add_to(app: typer.Typer) -> None:
    keys = typer.Typer(help="See and change the keys that sign callbacks.", no_args_is_help=True)
    add_command(keys, list_keys, "tidestep keys list", "tidestep keys list --aws", name="list")
    add_command(keys, rotate, "tidestep keys rotate", "tidestep keys rotate --db shop.db")
    app.add_typer(keys, name="keys")


def list_keys(
    db: options.Db = DEFAULT_DATABASE,
    aws: options.Aws = False,
    as_json: options.AsJson = False,
) -> None:
    """List the keys that sign callbacks, never their secrets. The first one signs."""
    from infra.local.cli import keys

    place = options.Place(db, aws)
    place.must_exist()
    asyncio.run(keys.show(place, as_json=as_json))


def rotate(
    db: options.Db = DEFAULT_DATABASE,
    aws: options.Aws = False,
    as_json: options.AsJson = False,
) -> None:
    """Sign callbacks with a new key from now on.

    Older keys are kept, so that what they have signed stays good; the oldest goes when there are
    more than five. Workers that run use the new key within five minutes.
    """
    from infra.local.cli import keys

    place = options.Place(db, aws)
    place.must_exist()
    asyncio.run(keys.rotate(place, as_json=as_json))
