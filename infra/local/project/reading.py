"""A project as it is: what its template says of the code that is deployed.

What must stay true: the template may say anything beside; of values that only CloudFormation knows
(`!Ref`, `!Sub`), nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import CallerError, Misconfigured, TidestepError
from infra.stack.layout import TEMPLATE

LAID_OUT = Path(".tidestep")
"""Where our code and templates are laid out, in the project's directory."""
LOCATION = (LAID_OUT / TEMPLATE).as_posix()
TEMPLATES = ("template.yaml", "template.yml")
"""Where the SAM CLI looks."""

_CODE = {"App": "app", "Actors": "", "Workflows": ""}
"""The stack's parameters that say what code is deployed, with its defaults."""


class NoProject(CallerError):
    """The directory is not that of a project."""

    exit_code = 4
    http_status = 404


@dataclass(frozen=True, slots=True)
class FirstRun:
    """A workflow of the project that can be started: its file, actors, and an input as JSON."""

    workflow: Path
    actors: tuple[str, ...]
    input: Any


@dataclass(frozen=True, slots=True)
class App:
    """What is deployed: where the code is, the actors in it, its workflow files.

    `limits` is None where only CloudFormation knows them.
    """

    code: Path
    actors: tuple[str, ...]
    workflows: tuple[Path, ...]
    limits: str | None


@dataclass(frozen=True, slots=True)
class Project:
    """What the template passes to the stack: texts, or None for what is no plain text there."""

    directory: Path
    template: str
    parameters: Mapping[str, str | None]

    def unknown(self) -> list[str]:
        """The parameters that say what code is deployed, and do not say it in plain text."""
        return [name for name in _CODE if self._given(name) is None]

    def app(self) -> App:
        """Raises Misconfigured for what is unknown, and for what is not there."""
        from engine.actors import split_paths
        from infra.aws.deployed import workflow_files

        if unknown := self.unknown():
            raise Misconfigured(
                f"{self.template} does not give {' and '.join(unknown)} in plain text: what only "
                "CloudFormation knows cannot be checked here"
            )
        app, actors, workflows = (self._given(name) or "" for name in _CODE)
        code = (self.directory.resolve() / LOCATION).parent.joinpath(app).resolve()
        if not code.is_dir():
            raise Misconfigured(f"App in {self.template} is {app}: there is no directory '{code}'")
        files = workflow_files(split_paths(workflows), [str(code)])
        for file in files:
            if not file.resolve().is_relative_to(code):
                raise Misconfigured(
                    f"Workflows in {self.template} names '{file}', which is not deployed: it is "
                    f"not in App, '{code}'"
                )
        limits = self.parameters.get("Limits", "")
        return App(code, tuple(split_paths(actors)), tuple(files), limits)

    def first_run(self) -> FirstRun | None:
        """The first of its workflows, or None where that cannot be known.

        The input is the first example of the workflow's input schema, or else null.
        """
        with suppress(TidestepError, OSError, ValueError):
            app = self.app()
            return self._first_run(app) if app.workflows else None
        return None

    def _given(self, name: str) -> str | None:
        return self.parameters.get(name, _CODE[name])

    def _first_run(self, app: App) -> FirstRun:
        from engine.documents import read_source

        file = app.workflows[0]
        document = read_source(str(file)).value
        schema = document.get("input_schema") if isinstance(document, dict) else None
        examples = schema.get("examples") if isinstance(schema, dict) else None
        input = examples[0] if isinstance(examples, list) and examples else None
        return FirstRun(file.relative_to(self.directory.resolve()), app.actors, input)


def read_project(directory: Path) -> Project:
    """Raises NoProject where no template nests ours, Misconfigured for one that is no YAML."""
    file = next((directory / name for name in TEMPLATES if (directory / name).is_file()), None)
    if file is None:
        raise NoProject(
            f"there is no {TEMPLATES[0]} here: go to the directory of your project, or make one "
            "with `tidestep init NAME`"
        )
    resources = _mapping(_mapping(_loaded(file)).get("Resources"))
    for resource in resources.values():
        properties = _mapping(_mapping(resource).get("Properties"))
        if Path(str(properties.get("Location"))) == Path(LOCATION):
            given = _mapping(properties.get("Parameters"))
            texts = {str(name): _text(each) for name, each in given.items()}
            return Project(directory, file.name, texts)
    raise NoProject(
        f"{file.name} here has no resource whose Location is {LOCATION}, which is how a project "
        "nests Tidestep's stack: `tidestep init NAME` makes one to look at"
    )


def _loaded(file: Path) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        # Not the safe loader: it refuses the tags of CloudFormation. This one makes no objects.
        return YAML(typ="rt").load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, YAMLError) as error:
        raise Misconfigured(f"{file.name} cannot be read: {error}") from error


def _text(value: Any) -> str | None:
    """A number is passed on as it is written; nothing, and whatever has a tag, is not."""
    return str(value) if isinstance(value, str | int | float) else None


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}
