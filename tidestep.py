"""Tidestep's public face: everything a workflow's author imports, and nothing else.

from tidestep import actor, Context

`visiting` opens a database file for programs that start, signal, cancel, retry and fork runs;
`run_key` makes the address of a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.actors import Actor, Context, Emit, Retry, Sleep, Wait, actor
from engine.errors import PermanentFailure, TidestepError
from engine.layout import run_key

if TYPE_CHECKING:
    from engine.documents import Workflow
    from infra.local.embedded import visiting

__all__ = [
    "Actor",
    "Context",
    "Emit",
    "PermanentFailure",
    "Retry",
    "Sleep",
    "TidestepError",
    "Wait",
    "Workflow",
    "actor",
    "run_key",
    "visiting",
]


def __getattr__(name: str) -> Any:
    """`Workflow` brings pydantic and `visiting` SQLite, which running steps should not cost."""
    if name == "Workflow":
        from engine.documents import Workflow

        return Workflow
    if name == "visiting":
        from infra.local.embedded import visiting

        return visiting
    raise AttributeError(f"module 'tidestep' has no attribute {name!r}")
