"""`tidestep deploy` and `tidestep env`: a thin layer over the SAM CLI, and what comes of it."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from engine.errors import AuthorError, Misconfigured
from infra.local.cli.children import how_it_ended, wait_for
from infra.local.cli.chosen import Chosen, chosen_stack, need_aws_packages
from infra.local.cli.exits import NotThere
from infra.local.cli.output import print_json, print_text, say
from infra.local.cli.sam import find_sam, run_sam
from infra.local.cli.stacks import DeployedStack, deployed_stack
from infra.local.cli.wording import count
from infra.local.project.reading import LAID_OUT, FirstRun, Project, read_project
from infra.stack.bytecode import BUILT, compile_layers
from infra.stack.layout import lay_out

DEFAULT_CONFIG = "default"
_STACK_OPTIONS = ("--stack-name", "--region", "--config-env", "--config-file", "--profile")


_SAID = range(1, 8)
"""The exit codes with which a command has said what is wrong with what it was given."""


class CannotRun(AuthorError):
    """The project cannot run as it is, and why has been said."""


@dataclass(frozen=True, slots=True)
class Target:
    """Which stack: as samconfig.toml says for `config_env`, but for what is given here."""

    config_env: str = DEFAULT_CONFIG
    stack: str | None = None
    region: str | None = None

    def chosen(self) -> Chosen:
        """Raises typer.BadParameter or Misconfigured."""
        return chosen_stack(self.stack, self.region, self.config_env)

    def given(self) -> list[str]:
        """The options of `tidestep env` as they must be given again."""
        options = {"--stack": self.stack, "--region": self.region}
        words = [word for name, value in options.items() if value for word in (name, value)]
        if self.stack is None and self.config_env != DEFAULT_CONFIG:
            return [*words, "--config-env", self.config_env]
        return words

    def for_sam(self) -> list[str]:
        options = {"--stack-name": self.stack, "--region": self.region}
        return [word for name, value in options.items() if value for word in (name, value)]


def prepare() -> None:
    """Lay our code and templates out. Raises NoProject or Misconfigured."""
    read_project(Path())
    changed = lay_out(LAID_OUT)
    say(f"{LAID_OUT}/ is as installed: {count(changed, 'file')} changed")


def deploy(target: Target, options: Sequence[str], *, guided: bool, checked: bool) -> None:
    """Check, build and deploy the project here, and print what is there then.

    Raises NoProject, Misconfigured, CannotRun, SamFailed, typer.BadParameter.
    """
    project = read_project(Path())
    need_aws_packages()
    sam = find_sam()
    _must_be_for_sam(options)
    asks = ["--guided"] if guided else []
    if not guided:
        target.chosen()  # before minutes are spent on building
    before = "" if guided else _changed_at(target)
    if checked:
        _check(project)
    prepare()
    config = ["--config-env", target.config_env]
    run_sam(sam, "build", *config)
    if not compile_layers(BUILT):
        say(f"no layers are in {BUILT}/: each cold start will compile what it imports")
    run_sam(sam, "deploy", *config, *target.for_sam(), *asks, *options)
    stack = asyncio.run(deployed_stack(target.chosen()))
    _must_stand(stack)
    if stack.changed_at == before:
        print_text(f"stack '{stack.name}' in {stack.region} is as it was: nothing was deployed")
    else:
        print_text(f"stack '{stack.name}' in {stack.region} is deployed")
    _print_next(stack, target, project)


def _check(project: Project) -> None:
    """As `tidestep validate` does. Raises CannotRun.

    In a process of its own: what a project's modules do while they are imported is not ours.
    """
    if unknown := project.unknown():
        names = " and ".join(unknown)
        say(f"not checked: {project.template} does not give {names} in plain text")
        return
    say("$ tidestep validate")
    # -P, or packages of the project's that are called as ours would be found before them.
    code = wait_for([sys.executable, "-P", "-m", "infra.local.cli", "validate"], os.environ)
    if code:
        why = "why is said above" if code in _SAID else f"`tidestep validate` {how_it_ended(code)}"
        raise CannotRun(
            f"nothing was built, for the project cannot run as it is: {why}; with --no-check it is "
            "deployed all the same"
        )


def _changed_at(target: Target) -> str:
    """Empty for a stack that is not there yet. Raises Misconfigured, StoreUnusable."""
    try:
        return asyncio.run(deployed_stack(target.chosen())).changed_at
    except NotThere:
        return ""


def _must_stand(stack: DeployedStack) -> None:
    """The SAM CLI ends well where its changes were declined. Raises Misconfigured."""
    if not stack.stands:
        raise Misconfigured(
            f"stack '{stack.name}' in {stack.region} is not deployed, it is {stack.status}: the "
            "changes were declined, or CloudFormation could not make them"
        )


def print_environment(target: Target, *, as_json: bool) -> None:
    """Raises NotThere, Misconfigured, StoreUnusable, typer.BadParameter."""
    stack = asyncio.run(deployed_stack(target.chosen()))
    variables = stack.environment()
    if as_json:
        print_json(variables)
        return
    for name, value in variables.items():
        print_text(f"export {name}={shlex.quote(value)}")
    if sys.stdout.isatty():
        say(f"# to set them in this shell: {_environment_command(target)}")


def first_command(command: str, run: FirstRun, *options: str) -> str:
    """`tidestep run` or `tidestep start` of a workflow, to copy."""
    words = [command, run.workflow.as_posix()]
    words += [word for path in run.actors for word in ("--actors", path)]
    words += [] if run.input is None else ["--input", json.dumps(run.input)]
    return shlex.join(("tidestep", *words, *options))


def _must_be_for_sam(options: Sequence[str]) -> None:
    """Which stack it is must be known here too, to print what came of it."""
    for option in options:
        if option.partition("=")[0] in _STACK_OPTIONS:
            raise typer.BadParameter(
                "which stack it is, is said before the --: as --stack, --region or --config-env, "
                "or by samconfig.toml",
                param_hint=option,
            )


def _environment_command(target: Target) -> str:
    return f'eval "$({shlex.join(("tidestep", "env", *target.given()))})"'


def _print_next(stack: DeployedStack, target: Target, project: Project) -> None:
    if "ApiUrl" in stack.outputs:
        print_text(f"its API, for signed requests: {stack.outputs['ApiUrl']}")
    print_text("to start a run:")
    print_text(f"  {_environment_command(target)}")
    run = project.first_run()
    command = "tidestep start FILE --actors MODULE --aws"
    print_text(f"  {command if run is None else first_command('start', run, '--aws')}")
