"""Tidestep's public face: everything a workflow's author imports, and nothing else.

from tidestep import actor, Context
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.actors import Actor, Context, Emit, Retry, Sleep, actor
from engine.errors import PermanentFailure, TidestepError

if TYPE_CHECKING:
    from engine.documents import Workflow

__all__ = [
    "Actor",
    "Context",
    "Emit",
    "PermanentFailure",
    "Retry",
    "Sleep",
    "TidestepError",
    "Workflow",
    "actor",
]


def __getattr__(name: str) -> Any:
    """`Workflow` brings pydantic, which a function that runs steps should not pay for."""
    if name == "Workflow":
        from engine.documents import Workflow

        return Workflow
    raise AttributeError(f"module 'tidestep' has no attribute {name!r}")
