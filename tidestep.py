"""Tidestep's public face: everything a workflow's author imports, and nothing else.

from tidestep import actor, Context
"""

from engine.actors import Actor, Context, Emit, Retry, Sleep, actor
from engine.errors import PermanentFailure, TidestepError

__all__ = [
    "Actor",
    "Context",
    "Emit",
    "PermanentFailure",
    "Retry",
    "Sleep",
    "TidestepError",
    "actor",
]
