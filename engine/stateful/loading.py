"""Which stateful actors a process can host: those that it was told to import.

They are named by import path, as actors are (`engine.actors.registry`): `package.module` takes
every class of the module's that is decorated with `@stateful_actor`, `package.module:Name` that
one, or all of a list of that name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engine.actors.registry import imported
from engine.errors import InvalidActor, Misconfigured
from engine.stateful.actor import StatefulActor
from engine.stateful.declaring import AnyActor, definition_of
from engine.stateful.runner import definitions

Kind = type[AnyActor]


def load_stateful(paths: Iterable[str]) -> dict[str, Kind]:
    """The actors of these import paths, by name.

    Raises Misconfigured for a path that cannot be imported or holds no stateful actor, InvalidActor
    for a clash of names.
    """
    found = [kind for path in paths for kind in _at(path.strip())]
    unique = list(dict.fromkeys(found))
    return {name: each.kind for name, each in definitions(unique).items()} if unique else {}


def _at(path: str) -> list[Kind]:
    module, attribute = imported(path)
    if attribute:
        return _named(getattr(module, attribute), path)
    found = [value for value in vars(module).values() if _is_stateful(value)]
    if not found:
        raise Misconfigured(f"actors '{path}': nothing there is decorated with @stateful_actor")
    return found


def _named(value: Any, path: str) -> list[Kind]:
    try:
        members = [value] if isinstance(value, type) else list(value)
        for member in members:
            definition_of(member)
    except (TypeError, InvalidActor):
        members = []
    if not members:
        raise Misconfigured(
            f"actors '{path}' is neither a class that is decorated with @stateful_actor nor a list "
            "of them"
        )
    return members


def _is_stateful(value: Any) -> bool:
    if not (isinstance(value, type) and issubclass(value, StatefulActor)):
        return False
    try:
        definition_of(value)
    except InvalidActor:
        return False
    return True
