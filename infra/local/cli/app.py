"""The commands of `tidestep`, put together."""

from __future__ import annotations

import typer

from infra.local.cli.commands import documents, runs, working
from infra.local.cli.exits import EXIT_CODES

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

working.add_to(app)
runs.add_to(app)
documents.add_to(app)
