"""Finding actors by import path."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from engine.actors import Registry, actor, load_registry, split_paths
from engine.errors import InvalidActor, Misconfigured

MODULE = """
from tidestep import actor

@actor("pack.one")
def one(): ...

@actor("pack.two")
def two(): ...

LIST = [one]
NUMBER = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    name = f"pack_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_a_module_gives_every_actor_that_it_holds(module: str) -> None:
    registry = load_registry([module])
    assert {"pack.one", "pack.two"} <= set(registry)


def test_the_library_is_always_there() -> None:
    assert {"flow.branch", "flow.switch", "flow.sleep", "transform.map", "http.request"} <= set(
        load_registry([])
    )


@pytest.mark.parametrize(("attribute", "found"), [("one", {"pack.one"}), ("LIST", {"pack.one"})])
def test_an_attribute_gives_one_actor_or_a_list_of_them(
    module: str, attribute: str, found: set[str]
) -> None:
    names = set(load_registry([f"{module}:{attribute}"]))
    assert {name for name in names if name.startswith("pack.")} == found


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("no_such_module", "there is no module 'no_such_module'"),
        ("no.such.module", "there is no module 'no'"),
        ("json", "nothing there is decorated with @actor"),
        ("MODULE:nothing", "has no 'nothing'"),
        ("MODULE:NUMBER", "neither an actor nor a list"),
    ],
)
def test_a_path_that_leads_nowhere_is_explained(module: str, path: str, words: str) -> None:
    with pytest.raises(Misconfigured, match=words):
        load_registry([path.replace("MODULE", module)])


def test_a_module_that_fails_to_import_is_named_with_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_pack.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Misconfigured, match="'broken_pack' failed: ZeroDivisionError"):
        load_registry(["broken_pack"])


def test_a_module_that_ends_the_process_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ending_pack.py").write_text("import sys\nsys.exit(0)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Misconfigured, match="'ending_pack' failed: SystemExit: 0"):
        load_registry(["ending_pack"])
    assert "broken_pack" not in sys.modules


def test_two_actors_of_one_name_are_refused_and_both_places_named() -> None:
    @actor("same")
    def first() -> None: ...

    @actor("same")
    def second() -> None: ...

    with pytest.raises(InvalidActor, match=r"first.*second"):
        Registry([first, second])
    assert len(Registry([first, first])) == 1


def test_paths_are_separated_by_commas_or_spaces() -> None:
    assert split_paths("a.b, c:d  e") == ["a.b", "c:d", "e"]
