"""Actors: the code behind nodes, and how it is declared, checked and found."""

from engine.actors.actor import Actor, Retry, actor
from engine.actors.context import Context
from engine.actors.outcomes import Emit, Sleep, Wait
from engine.actors.registry import Registry, load_registry, split_paths

__all__ = [
    "Actor",
    "Context",
    "Emit",
    "Registry",
    "Retry",
    "Sleep",
    "Wait",
    "actor",
    "load_registry",
    "split_paths",
]
