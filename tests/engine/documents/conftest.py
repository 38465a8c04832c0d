"""A small catalog of actors, and short ways to a document's problems and definition."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import pytest

from engine.definition import Definition
from engine.documents import Catalog, Problem, parse_definition, parse_source, validate


class FakeActor:
    """An `ActorSpec` whose config must hold `needs`; its `cases`, if any, are further outports."""

    def __init__(
        self,
        name: str,
        inports: tuple[str, ...] = ("in",),
        outports: tuple[str, ...] = ("out",),
        needs: frozenset[str] = frozenset(),
        keeps_state: bool = False,
    ) -> None:
        self.name = name
        self.inports = inports
        self.keeps_state = keeps_state
        self._outports = outports
        self._needs = needs

    def outports_for(self, config: Any) -> tuple[str, ...]:
        return (*self._outports, *config.get("cases", ()))

    def config_problems(self, config: Any) -> list[tuple[tuple[str | int, ...], str]]:
        if not isinstance(config, dict):
            return [((), "config must be a mapping")]
        return [((), f"actor '{self.name}' needs '{key}'") for key in self._needs - config.keys()]


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    actors = [
        FakeActor("echo"),
        FakeActor("charge", outports=("out", "declined"), needs=frozenset({"amount"})),
        FakeActor("switch", outports=("default",)),
        FakeActor("join", inports=("right", "left")),
        FakeActor("collect", inports=("first", "*")),
        FakeActor("count", keeps_state=True),
    ]
    return {actor.name: actor for actor in actors}


Check = Callable[[str], list[Problem]]
Compile = Callable[[str], Definition]


@pytest.fixture
def check(catalog: Catalog) -> Check:
    """The problems of a YAML text, which may be indented."""
    return lambda text: validate(parse_source(textwrap.dedent(text), "flow.yaml"), catalog)


@pytest.fixture
def compiled(catalog: Catalog) -> Compile:
    return lambda text: parse_definition(textwrap.dedent(text), "flow.yaml", catalog)
