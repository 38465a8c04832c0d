"""Which actors a process can run: the built-in library, and those it was told to import.

Actors are registered by import path, like an ASGI application: `package.module` takes every actor
that the module holds, `package.module:name` takes that one, or all of a list or mapping of that
name. Importing is the operator's decision, never a document's.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

from engine.actors.actor import Actor
from engine.errors import InvalidActor, Misconfigured

AnyActor = Actor[..., Any]


class Registry(Mapping[str, AnyActor]):
    """Actors by name. Two different actors of one name are refused."""

    def __init__(self, actors: Iterable[AnyActor] = ()) -> None:
        self._actors: dict[str, AnyActor] = {}
        for each in actors:
            known = self._actors.setdefault(each.name, each)
            if known is not each:
                raise InvalidActor(
                    f"two actors are called '{each.name}': {_home(known)} and {_home(each)}"
                )

    def __getitem__(self, name: str) -> AnyActor:
        return self._actors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._actors)

    def __len__(self) -> int:
        return len(self._actors)


def load_registry(paths: Iterable[str]) -> Registry:
    """The library and the actors of these import paths.

    Raises Misconfigured for a path that cannot be imported or holds no actor, InvalidActor for a
    clash of names.
    """
    from engine.library import ACTORS

    found = list(ACTORS)
    for path in paths:
        found += _actors_at(path.strip())
    return Registry(found)


def split_paths(text: str) -> list[str]:
    """Import paths from a setting: separated by commas or white space."""
    return text.replace(",", " ").split()


def imported(path: str) -> tuple[ModuleType, str]:
    """The module of an import path, and the name in it, which may be empty.

    Raises Misconfigured where the module cannot be imported or has no such name.
    """
    module_name, _, attribute = path.partition(":")
    if "" not in sys.path and "." not in sys.path:
        sys.path.insert(0, "")  # as `python -m` does: actors beside the workflow are found
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        if not (module_name == missing or module_name.startswith(f"{missing}.")):
            raise Misconfigured(f"importing actors from '{path}': {error}") from error
        raise Misconfigured(
            f"actors '{path}': there is no module '{missing}' "
            "(the path is relative to the current directory or an installed package)"
        ) from error
    except (Exception, SystemExit) as error:
        raise Misconfigured(
            f"importing actors from '{path}' failed: {type(error).__name__}: {error}"
        ) from error
    if attribute and not hasattr(module, attribute):
        raise Misconfigured(f"actors '{path}': module '{module_name}' has no '{attribute}'")
    return module, attribute


def _actors_at(path: str) -> list[AnyActor]:
    module, attribute = imported(path)
    if attribute:
        actors = _flatten(getattr(module, attribute), path)
    else:
        actors = [value for value in vars(module).values() if isinstance(value, Actor)]
    if not actors:
        raise Misconfigured(f"actors '{path}': nothing there is decorated with @actor")
    return actors


def _flatten(value: Any, path: str) -> list[AnyActor]:
    if isinstance(value, Actor):
        return [value]
    if isinstance(value, Mapping):
        value = value.values()
    try:
        members = list(value)
    except TypeError:
        members = [None]
    if not all(isinstance(member, Actor) for member in members):
        raise Misconfigured(f"actors '{path}' is neither an actor nor a list or mapping of actors")
    return members


def _home(each: AnyActor) -> str:
    return f"{each.function.__module__}.{each.function.__qualname__}"
