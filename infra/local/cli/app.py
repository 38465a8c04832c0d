"""The commands of `tidestep`, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.local.cli.commands import (
    documents,
    keys,
    operating,
    projects,
    runs,
    serving,
    simulating,
    stateful,
    working,
)
from infra.local.cli.exits import EXIT_CODES
from infra.local.cli.output import print_text

_EPILOG = "\n".join(("Exit codes:", *(f"{code:5}  {text}" for code, text in EXIT_CODES.items())))

app = typer.Typer(
    name="tidestep",
    help="Durable workflows, one step at a time.",
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print_text(f"tidestep {version('tidestep')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    """The options that stand before a command."""


working.add_to(app)
serving.add_to(app)
runs.add_to(app)
operating.add_to(app)
stateful.add_to(app)
documents.add_to(app)
simulating.add_to(app)
keys.add_to(app)
projects.add_to(app)
