"""The commands on what is deployed to AWS: doctor."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from infra.local.cli import options
from infra.local.cli.help import add_command


def add_to(app: typer.Typer) -> None:
    add_command(
        app,
        doctor,
        "tidestep doctor",
        "tidestep doctor --config-env prod",
        "tidestep doctor --stack orders --region eu-west-1 --json",
    )


def doctor(
    stack: Annotated[
        str | None,
        typer.Option(
            "--stack",
            metavar="NAME",
            help="The stack, by default the one of samconfig.toml; it may nest Tidestep's.",
            show_default=False,
        ),
    ] = None,
    config_env: Annotated[
        str,
        typer.Option("--config-env", metavar="NAME", help="Which part of samconfig.toml counts."),
    ] = "default",
    region: Annotated[
        str | None,
        typer.Option(
            metavar="REGION",
            help="By default that of samconfig.toml, of AWS_REGION or of the profile.",
            show_default=False,
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", "-a", help="Show what is well, too.")
    ] = False,
    as_json: options.AsJson = False,
) -> int:
    """Check a deployed stack and its account for what breaks in production.

    It says what it sees, and how to mend it, and changes nothing. What you may not look at is
    listed as unknown, with the IAM action that it takes. The exit code is 6 if there is a problem.
    """
    from infra.local.cli import doctoring

    chosen = doctoring.chosen_stack(stack, region, config_env)
    return asyncio.run(doctoring.doctor(chosen, everything=everything, as_json=as_json))
