"""What a document is checked against: the actors that exist, as far as a document can see them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

ANY_PORT = "*"
"""Among an actor's `inports`: it also accepts ports of any other name."""


class ActorSpec(Protocol):
    """The ports and the config of one actor."""

    @property
    def name(self) -> str: ...

    @property
    def inports(self) -> tuple[str, ...]:
        """Declared inports, in order; never empty. May hold ANY_PORT."""
        ...

    @property
    def keeps_state(self) -> bool:
        """Whether a state goes from each visit of a node to the next."""
        ...

    def outports_for(self, config: Any) -> tuple[str, ...]:
        """Declared outports for this config, without the `error` port that every node has.

        The config is as it stands in the document, its expressions not rendered.
        """
        ...

    def config_problems(self, config: Any) -> list[tuple[tuple[str | int, ...], str]]:
        """What is wrong whatever the expressions yield: (path inside the config, message)."""
        ...


Catalog: TypeAlias = Mapping[str, ActorSpec]
"""Actors by name. `engine.actors.registry.Registry` is one."""


def is_library_only(catalog: Catalog) -> bool:
    """Whether nobody has loaded actors beside the built-in ones."""
    from engine.library import ACTORS  # not with the package: it imports an HTTP client

    return {actor.name for actor in ACTORS}.issuperset(catalog)


def accepts(actor: ActorSpec, inport: str) -> bool:
    return inport in actor.inports or ANY_PORT in actor.inports


def inport_order(actor: ActorSpec, connected: set[str]) -> tuple[str, ...]:
    """The connected inports as tokens list them: as declared, then any others by name."""
    declared = [port for port in dict.fromkeys(actor.inports) if port in connected]
    return (*declared, *sorted(connected.difference(declared)))
