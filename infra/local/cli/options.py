"""The options that several commands share, said once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.local.cli.exits import NotThere
from infra.local.embedded import DATABASE_VARIABLE, DEFAULT_DATABASE

if TYPE_CHECKING:
    from engine.actors import Registry

ACTORS_VARIABLE = "TIDESTEP_ACTORS"
STATEFUL_VARIABLE = "TIDESTEP_STATEFUL_MODULES"
TOKEN_VARIABLE = "TIDESTEP_RUNNER_TOKEN"
DEFAULT_POOL = "default"

File = Annotated[str, typer.Argument(metavar="FILE", help="The workflow: YAML or JSON.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]
Db = Annotated[
    Path,
    typer.Option(
        "--db",
        envvar=DATABASE_VARIABLE,
        metavar="FILE",
        help="The database file of the embedded backend.",
    ),
]
Actors = Annotated[
    list[str] | None,
    typer.Option(
        "--actors",
        envvar=ACTORS_VARIABLE,
        metavar="MODULE[:NAME]",
        help="Where your actors are: a module, or one name in it. May be repeated.",
        show_default=False,
    ),
]
Stateful = Annotated[
    list[str] | None,
    typer.Option(
        "--stateful",
        envvar=STATEFUL_VARIABLE,
        metavar="MODULE[:NAME]",
        help="Where your stateful actors are: a module, or one class in it. May be repeated.",
        show_default=False,
        rich_help_panel="Stateful actors",
    ),
]
Input = Annotated[
    str | None,
    typer.Option(
        "--input",
        "-i",
        metavar="JSON|@FILE|-",
        help="The run's input: JSON, a JSON or YAML file, or stdin. By default {}.",
        show_default=False,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Set one key of the input; a value that is not JSON is text. May be repeated.",
        show_default=False,
    ),
]
Id = Annotated[
    str | None,
    typer.Option(
        "--id",
        metavar="ID",
        help="The run's id, by default a new one. Starting the same run again is harmless.",
        show_default=False,
    ),
]
Payload = Annotated[
    str | None,
    typer.Option(
        "--input",
        "-i",
        metavar="JSON|@FILE|-",
        help="The signal's payload: JSON, a JSON or YAML file, or stdin. By default null.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show logs, with tracebacks of actors' errors.")
]
Aws = Annotated[
    bool,
    typer.Option(
        "--aws",
        help="Use DynamoDB, SQS and S3, as the TIDESTEP_* variables name them, instead of --db.",
    ),
]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the runs are: a database file, or AWS."""

    path: Path
    aws: bool = False

    def __str__(self) -> str:
        return "AWS" if self.aws else str(self.path)

    def given(self) -> list[str]:
        """The options as they must be given again."""
        if self.aws:
            return ["--aws"]
        return [] if self.path == DEFAULT_DATABASE else ["--db", str(self.path)]

    def must_exist(self) -> None:
        """Raises NotThere for a database that reading would only create."""
        if not self.aws and not self.path.exists():
            raise NotThere(
                f"there is no database '{self.path}': `tidestep run` or `tidestep start` creates "
                f"one; --db or {DATABASE_VARIABLE} names another"
            )


@dataclass(frozen=True, slots=True)
class Working:
    """How a run is worked on; and the options to type to go on with it."""

    path: Path
    actors: tuple[str, ...]
    as_json: bool
    verbose: bool

    @property
    def place(self) -> Place:
        return Place(self.path)

    def modules(self) -> list[str]:
        """`--actors` as it must be given again."""
        return [word for path in self.actors for word in ("--actors", path)]


def actor_paths(given: list[str] | None) -> tuple[str, ...]:
    """Import paths from options, or from the variable: separated by commas or white space."""
    from engine.actors import split_paths

    return tuple(path for text in given or () for path in split_paths(text))


def load_actors(paths: tuple[str, ...]) -> Registry:
    """The library's actors and those of `paths`. Raises Misconfigured or InvalidActor."""
    from engine.actors import load_registry

    return load_registry(paths)
