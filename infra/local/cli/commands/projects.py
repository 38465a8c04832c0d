"""The commands on a project of one's own and its stack: init, deploy, env, doctor."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from infra.local.cli import options
from infra.local.cli.help import add_command

Stack = Annotated[
    str | None,
    typer.Option(
        "--stack",
        metavar="NAME",
        help="The stack, by default the one of samconfig.toml.",
        show_default=False,
    ),
]
ConfigEnv = Annotated[
    str,
    typer.Option("--config-env", metavar="NAME", help="Which part of samconfig.toml counts."),
]
Region = Annotated[
    str | None,
    typer.Option(
        metavar="REGION",
        help="By default that of samconfig.toml, of AWS_REGION or of the profile.",
        show_default=False,
    ),
]


def add_to(app: typer.Typer) -> None:
    add_command(app, init, "tidestep init my-shop")
    add_command(
        app,
        deploy,
        "tidestep deploy",
        "tidestep deploy --config-env prod",
        "tidestep deploy -- --no-confirm-changeset",
        "tidestep deploy --prepare && sam build && sam deploy",
    )
    add_command(
        app,
        env,
        'eval "$(tidestep env)"',
        "tidestep env --config-env prod",
        "tidestep env --stack my-shop --region eu-west-1 --json",
    )
    add_command(
        app,
        doctor,
        "tidestep doctor",
        "tidestep doctor --config-env prod",
        "tidestep doctor --stack orders --region eu-west-1 --json",
    )


def init(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The project, and its new directory.")
    ],
) -> None:
    """Make a small project in a new directory, which runs here and deploys to AWS.

    It has two actors, a workflow, tests, and a template that nests Tidestep's stack. The package is
    called as the project: my_shop of my-shop. Nothing that is there is overwritten.
    """
    from infra.local.cli import beginning

    beginning.init(name)


def deploy(
    sam_options: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="-- SAM_OPTIONS",
            help="More options for `sam deploy`, after a --.",
            show_default=False,
        ),
    ] = None,
    config_env: ConfigEnv = "default",
    stack: Stack = None,
    region: Region = None,
    guided: Annotated[
        bool, typer.Option("--guided", help="Be asked for everything, and write samconfig.toml.")
    ] = False,
    no_check: Annotated[
        bool,
        typer.Option("--no-check", help="Do not import the actors here, nor check workflows."),
    ] = False,
    prepare: Annotated[
        bool,
        typer.Option("--prepare", help="Only lay .tidestep out, for `sam build` and `sam deploy`."),
    ] = False,
) -> None:
    """Deploy the project in this directory to AWS, with the SAM CLI.

    Checks the project's workflows, lays Tidestep's code and templates out in .tidestep, runs
    `sam build` and `sam deploy`, and prints where the stack is and how to start a run there.
    """
    from infra.local.cli import shipping

    if prepare:
        shipping.prepare()
    else:
        target = shipping.Target(config_env, stack, region)
        shipping.deploy(target, sam_options or (), guided=guided, checked=not no_check)


def env(
    config_env: ConfigEnv = "default",
    stack: Stack = None,
    region: Region = None,
    as_json: options.AsJson = False,
) -> None:
    """Print the variables that commands with --aws need, as a deployed stack says them.

    They are lines for a shell: eval "$(tidestep env)" sets them.
    """
    from infra.local.cli import shipping

    shipping.print_environment(shipping.Target(config_env, stack, region), as_json=as_json)


def doctor(
    stack: Stack = None,
    config_env: ConfigEnv = "default",
    region: Region = None,
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
    from infra.local.cli.chosen import chosen_stack

    chosen = chosen_stack(stack, region, config_env)
    return asyncio.run(doctoring.doctor(chosen, everything=everything, as_json=as_json))
