"""What the pages show is true: workflows are valid and do what stands below them, Python runs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from engine.actors import Actor, Registry
from engine.documents import parse_definition
from engine.documents.model import DocumentNode, Retry, WorkflowDocument
from engine.expressions.filters import FILTERS
from engine.expressions.methods import METHODS_BY_NAME
from engine.expressions.predicates import TESTS
from engine.layout import run_key
from engine.library import ACTORS
from engine.memory import MemoryBlobs, MemoryJournal
from engine.ports import Blobs, Journal, Source
from engine.signalling import Signaller
from tests.clock import ManualClock
from tests.scenarios.world import World

PAGES = {name: Path(f"docs/{name}.md").read_text() for name in ("workflow-actors", "workflows")}
README = Path("README.md").read_text()


def blocks(text: str) -> list[tuple[str, str]]:
    """Language and text of each block, in order."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def workflows() -> Iterator[Any]:
    """Page, workflow, and the runs that are shown below it."""
    for page, text in PAGES.items():
        found = blocks(text)
        for place, (language, body) in enumerate(found):
            if language == "yaml" and body.startswith("name:"):
                runs = []
                for following, run in found[place + 1 :]:
                    if following != "json":
                        break
                    runs.append(json.loads(run))
                yield pytest.param(page, body, runs, id=f"{page}-{body.split()[1]}")


def module(name: str, text: str) -> ModuleType:
    """The page's Python, run as one module."""
    made = ModuleType(name)
    sys.modules[name] = made  # where dataclasses and pydantic look names up
    try:
        for language, body in blocks(text):
            if language == "python":
                exec(compile(body, name, "exec"), vars(made))
    finally:
        del sys.modules[name]
    return made


@pytest.fixture(scope="module")
def modules() -> dict[str, ModuleType]:
    texts = {**PAGES, "readme": README}
    return {name: module(f"docs_{name}", text) for name, text in texts.items()}


@pytest.fixture
def world() -> Iterator[World]:
    async def memory(clock: ManualClock, exits: AsyncExitStack) -> tuple[Journal, Blobs, Source]:
        journal = MemoryJournal(clock)
        return journal, MemoryBlobs(), journal.source

    world = World(memory)
    yield world
    world.close()


def actors_of(modules: dict[str, ModuleType], *names: str) -> list[Actor[..., Any]]:
    found = [value for name in names for value in vars(modules[name]).values()]
    return [value for value in found if isinstance(value, Actor)]


@pytest.mark.parametrize(("page", "text", "runs"), list(workflows()))
def test_a_workflow_is_valid_and_does_what_stands_below_it(
    page: str, text: str, runs: list[Any], modules: dict[str, ModuleType], world: World
) -> None:
    world.actors = actors_of(modules, page, *(["readme"] if page == "workflows" else []))
    definition = parse_definition(text, f"docs/{page}.md", world.registry)
    for number, run in enumerate(runs):
        world.start(definition, run["input"], run=f"run{number}")
        for name, payload in run.get("signals", {}).items():
            world.do(Signaller(world.platform()).signal(run_key(f"run{number}"), name, payload))
        world.work()
        view = world.view(f"run{number}")
        assert (view.status, view.output) == ("completed", run["output"]), view


def test_the_tests_of_actors_pass(modules: dict[str, ModuleType]) -> None:
    page = vars(modules["workflow-actors"])
    tests = [value for name, value in page.items() if name.startswith("test_")]
    assert tests
    for test in tests:
        test()


def test_the_built_workflow_is_valid(modules: dict[str, ModuleType]) -> None:
    page = modules["workflows"]
    registry = Registry([*ACTORS, *actors_of(modules, "workflows")])
    assert parse_definition(page.flow.to_yaml(), "flow.yaml", registry).name == "desk"


@pytest.mark.parametrize("model", [WorkflowDocument, DocumentNode, Retry])
def test_every_field_is_described(model: Any) -> None:
    for name, field in model.model_fields.items():
        assert f"\n| `{field.alias or name}` |" in PAGES["workflows"]


def row(name: str) -> set[str]:
    (cells,) = re.findall(rf"^\| {name} \| (.*) \|$", PAGES["workflows"], re.MULTILINE)
    return set(re.findall(r"`([^`]+)`", cells))


def test_the_lists_of_what_expressions_can_do_are_complete() -> None:
    assert row("filters") == set(FILTERS)
    assert row("tests") == {name for name in TESTS if name.isalpha()}
    of_text, of_lists, of_mappings = (row(f"methods of {n}") for n in ("text", "lists", "mappings"))
    assert of_text | of_lists | of_mappings == set(METHODS_BY_NAME)
    assert row("functions") == {"range", "dict"}


def test_every_setting_of_a_request_is_described() -> None:
    (request,) = (each for each in ACTORS if each.name == "http.request")
    for parameter in request.signature.config:
        assert f"\n| `{parameter.name}` |" in PAGES["workflows"]
