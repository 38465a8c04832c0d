"""The commands about documents and actors, which touch no run: validate, graph, catalog, schema."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from infra.local.cli import options
from infra.local.cli.help import add_command


class Direction(StrEnum):
    """Mermaid's names."""

    TD = "TD"
    LR = "LR"


def add_to(app: typer.Typer) -> None:
    add_command(
        app,
        validate,
        "tidestep validate order.yaml --actors shop",
        "tidestep validate order.yaml --actors shop --json",
        "tidestep validate",
    )
    add_command(
        app,
        graph,
        "tidestep graph order.yaml",
        "tidestep graph order.yaml --direction LR > order.mmd",
    )
    add_command(app, catalog, "tidestep catalog --actors shop", "tidestep catalog flow.switch")
    add_command(app, schema, "tidestep schema > tidestep.schema.json")


def validate(
    context: typer.Context,
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="The workflow: YAML or JSON.", show_default=False),
    ] = None,
    actors: options.Actors = None,
    as_json: options.AsJson = False,
) -> int:
    """Check a workflow, and list all its problems with their lines.

    Without FILE, the project in this directory is checked as `tidestep deploy` would deploy it: all
    of its workflows, with the actors that its template names.
    """
    from infra.local.cli import checking

    if file is None:
        source = context.get_parameter_source("actors")
        if source is not None and source.name == "COMMANDLINE":  # and not the variable
            raise typer.BadParameter(
                "without FILE the project here is checked, with the actors that its template names",
                param_hint="--actors",
            )
        return checking.validate_project(as_json=as_json)
    registry = options.load_actors(options.actor_paths(actors))
    return checking.validate_file(file, registry, as_json=as_json)


def graph(
    file: options.File,
    direction: Annotated[
        Direction, typer.Option(help="Draw from the top down, or from left to right.")
    ] = Direction.TD,
    as_json: Annotated[
        bool, typer.Option("--json", help='Print {"mermaid": "..."}, for programs.')
    ] = False,
) -> None:
    """Draw a workflow, as text for Mermaid."""
    from infra.local.cli import checking

    checking.draw(file, direction.value, as_json=as_json)


def catalog(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One actor.", show_default=False)
    ] = None,
    actors: options.Actors = None,
    as_json: options.AsJson = False,
) -> None:
    """List the actors that workflows can use; of one, show ports, config and schemas."""
    from infra.local.cli import cataloguing

    registry = options.load_actors(options.actor_paths(actors))
    cataloguing.show_catalog(registry, name, as_json=as_json)


def schema(
    as_json: Annotated[
        bool, typer.Option("--json", help="Has no effect: the schema is JSON.", hidden=True)
    ] = False,
) -> None:
    """Print the JSON Schema of workflow documents, for editors."""
    from engine.documents import document_schema
    from infra.local.cli.output import print_json

    print_json(document_schema())
