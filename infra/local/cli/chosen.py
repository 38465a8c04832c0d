"""Which deployed stack a command is about, and the AWS clients to ask about it."""

from __future__ import annotations

import importlib.util
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from engine.errors import Misconfigured
from infra.aws.client import ThreadedClients

SAMCONFIG = Path("samconfig.toml")


@dataclass(frozen=True, slots=True)
class Chosen:
    """A stack's name or ARN, and its region where one was named."""

    stack: str
    region: str | None

    def __str__(self) -> str:
        return f"{self.stack} in {self.region}" if self.region else self.stack


def chosen_stack(stack: str | None, region: str | None, config_env: str) -> Chosen:
    """What the options say, or else ./samconfig.toml. Raises typer.BadParameter, Misconfigured."""
    if stack is not None:
        return Chosen(stack, region)
    if not SAMCONFIG.exists():
        raise typer.BadParameter(
            f"name the stack, or go where its {SAMCONFIG} is", param_hint="--stack"
        )
    settings = _settings(config_env)
    if not settings.get("stack_name"):
        raise typer.BadParameter(
            f"{SAMCONFIG} has no stack_name for '{config_env}': name the stack",
            param_hint="--stack",
        )
    if settings.get("profile"):
        # whose account it is: as for the SAM CLI, and for all that AWS's clients do from here on
        os.environ.setdefault("AWS_PROFILE", str(settings["profile"]))
    return Chosen(str(settings["stack_name"]), region or settings.get("region"))


def _settings(config_env: str) -> dict[str, Any]:
    """What the SAM CLI would deploy with: a command's own settings go before those of all."""
    try:
        config = tomllib.loads(SAMCONFIG.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Misconfigured(f"{SAMCONFIG} cannot be read: {error}") from error
    there = {name: each for name, each in config.items() if isinstance(each, dict)}
    if config_env not in there:
        raise typer.BadParameter(
            f"{SAMCONFIG} has no '{config_env}', but {', '.join(there) or 'nothing'}",
            param_hint="--config-env",
        )
    parts = (there[config_env].get(name, {}) for name in ("global", "deploy"))
    return {name: value for part in parts for name, value in part.get("parameters", {}).items()}


def need_aws_packages() -> None:
    """Raises Misconfigured."""
    if importlib.util.find_spec("botocore") is None:
        raise Misconfigured("this needs the AWS packages: pip install 'tidestep[aws]'")


def clients_of(chosen: Chosen) -> ThreadedClients:
    """Those of its region; whoever asks for them closes them. Raises Misconfigured."""
    need_aws_packages()
    environment = dict(os.environ)
    if chosen.region:
        environment["AWS_REGION"] = chosen.region
    return ThreadedClients(environment=environment)
