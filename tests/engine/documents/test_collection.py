"""Several documents together: what is wrong with one is its own affair."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.documents import Catalog, Workflows, load_workflows
from engine.errors import InvalidDefinition, UnknownWorkflow


class Load:
    def __init__(self, directory: Path, catalog: Catalog) -> None:
        self.directory = directory
        self.catalog = catalog

    def __call__(self, **texts: str) -> Workflows:
        for name, text in texts.items():
            (self.directory / f"{name}.yaml").write_text(text)
        return load_workflows([f"{name}.yaml" for name in texts], self.catalog)


@pytest.fixture
def load(tmp_path: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> Load:
    monkeypatch.chdir(tmp_path)
    return Load(tmp_path, catalog)


GOOD = "name: good\nnodes: [{id: a, actor: echo}]\n"
TYPO = "name: typo\nnodes: [{id: a, actor: ehco}]\n"


def test_each_is_found_by_the_name_that_it_says(load: Load) -> None:
    loaded = load(one=GOOD, two=GOOD.replace("good", "other"))
    assert list(loaded.definitions) == ["good", "other"]
    assert loaded.named("other").name == "other"
    loaded.check()


def test_one_that_cannot_run_is_no_obstacle_to_the_others(load: Load) -> None:
    loaded = load(typo=TYPO, good=GOOD, torn="name: [", list="- a")
    assert loaded.named("good").name == "good"
    with pytest.raises(InvalidDefinition, match=r"typo.yaml:2: node 'a', actor: .*'ehco'"):
        loaded.named("typo")


def test_who_asks_for_what_is_not_there_hears_which_files_are_broken(load: Load) -> None:
    loaded = load(list="- a", typo=TYPO, good=GOOD, torn="name: [")
    with pytest.raises(UnknownWorkflow) as raised:
        loaded.named("torn")
    assert str(raised.value) == (
        "there is no workflow 'torn'; there are: good; these cannot run: 'list.yaml', 'torn.yaml'"
    )


def test_all_problems_of_all_files_come_together(load: Load) -> None:
    with pytest.raises(InvalidDefinition) as raised:
        load(typo=TYPO, good=GOOD, torn="name: [", zz=TYPO.replace("typo", "zz")).check()
    files = [str(each).partition(":")[0] for each in raised.value.problems]
    assert list(dict.fromkeys(files)) == ["typo.yaml", "torn.yaml", "zz.yaml"], "as they came"


def test_each_refusal_is_an_error_of_its_own(load: Load) -> None:
    """One that is raised again keeps the frames of everybody who has asked."""
    loaded = load(typo=TYPO)
    refusals = []
    for _ in range(2):
        with pytest.raises(InvalidDefinition) as raised:
            loaded.named("typo")
        refusals.append(raised.value)
    assert refusals[0] is not refusals[1]


def test_of_two_of_one_name_neither_runs(load: Load) -> None:
    """A forgotten copy would otherwise decide, by the order of the files, what is run."""
    loaded = load(good=GOOD, copy=f"\n{GOOD}", other=GOOD.replace("good", "other"))
    assert list(loaded.definitions) == ["other"]
    with pytest.raises(InvalidDefinition) as raised:
        loaded.check()
    assert [str(each) for each in raised.value.problems] == [
        "good.yaml:1: name: 'good' is the name of 'copy.yaml' too; "
        "fix: give each workflow a name of its own",
        "copy.yaml:2: name: 'good' is the name of 'good.yaml' too; "
        "fix: give each workflow a name of its own",
    ]
    with pytest.raises(InvalidDefinition, match=r"good\.yaml:1"):
        loaded.named("good")


def test_a_file_that_cannot_be_read_is_no_obstacle_either(load: Load, catalog: Catalog) -> None:
    load(good=GOOD)
    loaded = load_workflows(["nowhere.yaml", "good.yaml"], catalog)
    assert list(loaded.definitions) == ["good"]
    with pytest.raises(InvalidDefinition, match=r"^nowhere\.yaml: there is no such file$"):
        loaded.check()
