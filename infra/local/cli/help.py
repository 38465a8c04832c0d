"""Help texts: what a command is for, from its docstring, and commands to copy at the end."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import typer


def add_command(
    app: typer.Typer, function: Callable[..., Any], *examples: str, name: str | None = None
) -> None:
    """Make `function` a command, called what the function is called or `name`."""
    epilog = "\n".join(("Examples:", *(f"  {example}" for example in examples)))
    app.command(name, help=_paragraphs(inspect.getdoc(function) or ""), epilog=epilog)(function)


def _paragraphs(text: str) -> str:
    """Lines are broken where the source code is full, and must not be on a screen."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))
