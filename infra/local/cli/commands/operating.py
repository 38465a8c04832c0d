"""The commands that act on runs from outside: signal, cancel, retry, fork, redrive."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Annotated

import typer

from engine.snapshot import Status
from infra.local.cli import options
from infra.local.cli.help import add_command
from infra.local.embedded import DEFAULT_DATABASE


class Redrivable(StrEnum):
    """How a run must have ended to be retried."""

    FAILED = Status.FAILED.value
    CANCELLED = Status.CANCELLED.value


def add_to(app: typer.Typer) -> None:
    add_command(
        app,
        signal,
        "tidestep signal order-7 approval --set approved=true",
        "tidestep signal order-7 approval --input @answer.json --id answer-1",
        "tidestep signal order-7 approval --aws",
    )
    add_command(
        app,
        cancel,
        "tidestep cancel order-7",
        "tidestep cancel order-7 --gracefully --grace 300",
    )
    add_command(app, retry, "tidestep retry order-7", "tidestep retry order-7 --aws")
    add_command(
        app,
        fork,
        "tidestep fork order-7 --step charge",
        "tidestep fork order-7 --step 5 --message '{\"amount\": 20}' --id order-7b",
    )
    add_command(
        app,
        redrive,
        "tidestep redrive --error ConnectionError --dry-run",
        "tidestep redrive --workflow order --limit 50",
    )


def signal(
    run: options.RunId,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the run waits for.")],
    payload: options.Payload = None,
    settings: options.Set = None,
    id: Annotated[
        str | None,
        typer.Option(
            "--id",
            metavar="ID",
            help="The signal's id: sending it again with the same payload is harmless.",
            show_default=False,
        ),
    ] = None,
    db: options.Db = DEFAULT_DATABASE,
    aws: options.Aws = False,
    as_json: options.AsJson = False,
) -> None:
    """Send a signal to a run that waits for it, or will.

    It is stored at once, and taken by an open wait of this name, or by the next one.
    """
    from infra.local.cli import operating
    from infra.local.cli.inputs import read_payload

    value = read_payload(payload, settings or ())
    place = options.Place(db, aws)
    place.must_exist()
    asyncio.run(operating.signal(run, name, value, id, place, as_json=as_json))


def cancel(
    run: options.RunId,
    gracefully: Annotated[
        bool,
        typer.Option("--gracefully", help="Begin nothing new, and let what is running end first."),
    ] = False,
    grace: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=31_622_400,
            metavar="SECONDS",
            help="With --gracefully: how long what is running may take, by default 60.",
            show_default=False,
        ),
    ] = None,
    db: options.Db = DEFAULT_DATABASE,
    aws: options.Aws = False,
    as_json: options.AsJson = False,
) -> None:
    """Cancel a run, at once or gracefully. Cancelling it again is harmless.

    At once, the results of what is running are dropped; gracefully, they are kept.
    """
    from infra.local.cli import operating

    if grace is not None and not gracefully:
        raise typer.BadParameter("it needs --gracefully", param_hint="--grace")
    place = options.Place(db, aws)
    place.must_exist()
    if gracefully:
        asyncio.run(operating.close(run, grace, place, as_json=as_json))
    else:
        asyncio.run(operating.cancel(run, place, as_json=as_json))


def retry(
    run: options.RunId,
    db: options.Db = DEFAULT_DATABASE,
    aws: options.Aws = False,
    as_json: options.AsJson = False,
) -> None:
    """Go on with a failed or cancelled run from where it ended.

    What has been done is not done again. A worker goes on with it, or `tidestep resume`.
    """
    from infra.local.cli import operating

    place = options.Place(db, aws)
    place.must_exist()
    asyncio.run(operating.retry(run, place, as_json=as_json))


def fork(
    run: options.RunId,
    step: Annotated[
        str,
        typer.Option(
            "--step",
            metavar="NUMBER|NODE",
            help="The step to begin before: its number in the history, or a node for its latest.",
        ),
    ],
    message: Annotated[
        str | None,
        typer.Option(
            "--message",
            metavar="JSON|@FILE|-",
            help="What the step gets instead; of a join, an object from port to message.",
            show_default=False,
        ),
    ] = None,
    input: Annotated[
        str | None,
        typer.Option(
            "--input",
            "-i",
            metavar="JSON|@FILE|-",
            help="Another run input, for the expressions from that step on.",
            show_default=False,
        ),
    ] = None,
    id: Annotated[
        str | None,
        typer.Option(
            "--id",
            metavar="NEW",
            help="The new run's id, by default a new one. The same fork again is harmless.",
            show_default=False,
        ),
    ] = None,
    db: options.Db = DEFAULT_DATABASE,
    aws: options.Aws = False,
    as_json: options.AsJson = False,
) -> None:
    """Make a new run that begins before a step of this one, and print its id.

    The steps before it are taken over with their results; the original is left as it is.
    `tidestep show RUN --history` lists the steps with their numbers.
    """
    from infra.local.cli import operating
    from infra.local.cli.inputs import read_changes

    changes = read_changes(message, input)
    place = options.Place(db, aws)
    place.must_exist()
    asyncio.run(operating.fork(run, step, changes, id, place, as_json=as_json))


def redrive(
    status: Annotated[
        Redrivable, typer.Option(help="Retry runs that ended so.")
    ] = Redrivable.FAILED,
    workflow: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only its runs.", show_default=False)
    ] = None,
    error: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS", help="Only runs that ended with this error.", show_default=False
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, metavar="N", help="Retry no more than N runs, the newest first.")
    ] = 1000,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; say which runs it would be.")
    ] = False,
    db: options.Db = DEFAULT_DATABASE,
    aws: options.Aws = False,
    as_json: options.AsJson = False,
) -> None:
    """Retry many failed or cancelled runs, each from where it ended."""
    from infra.local.cli import redriving

    place = options.Place(db, aws)
    place.must_exist()
    wanted = redriving.Wanted(Status(status.value), workflow, error, limit)
    asyncio.run(redriving.redrive(wanted, place, dry_run=dry_run, as_json=as_json))
