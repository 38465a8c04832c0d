"""`tidestep init`: a new project, and what to do with it."""

from __future__ import annotations

import shlex
from pathlib import Path

from infra.local.cli.output import print_text
from infra.local.cli.wording import count
from infra.local.project.making import make_project
from infra.local.project.naming import names_of
from infra.local.project.reading import read_project


def init(name: str) -> None:
    """Raises InvalidName, DirectoryTaken or Misconfigured; then nothing is written."""
    directory = Path(name)
    names = names_of(directory.resolve().name)
    made = make_project(directory, names)
    print_text(f"project '{names.project}' is made: {count(len(made), 'file')} in {directory}/")
    for path in made:
        print_text(f"  {path}")
    print_text("next:")
    for command in _next_commands(directory):
        print_text(f"  {command}")


def _next_commands(directory: Path) -> list[str]:
    from infra.local.cli.shipping import first_command

    run = read_project(directory).first_run()
    commands = [] if directory.resolve() == Path.cwd() else [shlex.join(("cd", str(directory)))]
    commands += ["pip install -e '.[dev]'", "pytest"]
    commands += [first_command("run", run)] if run else []
    return [*commands, "tidestep deploy  # to AWS, with: pip install aws-sam-cli"]
