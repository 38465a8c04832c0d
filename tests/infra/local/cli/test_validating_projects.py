"""`tidestep validate` without a file: the project here, as its stack would have it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.infra.local.cli.conftest import Tidestep

WORKFLOWS = Path("app/my_shop/workflows")
ORDER = WORKFLOWS / "order.yaml"
ACTORS = Path("app/my_shop/actors.py")


@pytest.fixture
def project(tidestep: Tidestep, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current directory. Nothing of it is installed, and nothing stays imported."""
    assert tidestep("init", "my-shop").code == 0
    monkeypatch.chdir(directory / "my-shop")
    monkeypatch.setattr(sys, "path", list(sys.path))
    forget()
    yield directory / "my-shop"
    forget()


def forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_shop"]:
        del sys.modules[name]


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def append(file: Path, line: str) -> None:
    file.write_text(f"{file.read_text()}\n{line}\n")


def test_each_workflow_is_listed(project: Path, tidestep: Tidestep) -> None:
    (WORKFLOWS / "nap.json").write_text(
        '{"name": "nap", "nodes": [{"id": "nap", "actor": "flow.sleep", "config": {"seconds": 1}}]}'
    )
    ran = tidestep("validate")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (
        "ok: workflow 'nap' with 1 node, 0 edges\nok: workflow 'order' with 5 nodes, 5 edges\n"
    )
    ran = tidestep("validate", "--json")
    assert json.loads(ran.out) == {
        "ok": True,
        "problems": [],
        "workflows": [
            {"workflow": "nap", "nodes": 1, "edges": 0},
            {"workflow": "order", "nodes": 5, "edges": 5},
        ],
    }


def test_the_problems_of_all_workflows_come_with_their_files(
    project: Path, tidestep: Tidestep
) -> None:
    change(ORDER, "actor: my_shop.price", "actor: my_shop.prize")
    (WORKFLOWS / "copy.yaml").write_text(ORDER.read_text().replace("order", "copy"))
    ran = tidestep("validate")
    assert ran.code == 3
    first, *problems = ran.err.splitlines()
    assert first == "error: the workflows have 2 problems"
    assert [problem.partition(": ")[0] for problem in problems] == [
        f"{WORKFLOWS}/copy.yaml:14",
        f"{ORDER}:14",
    ]
    ran = tidestep("validate", "--json")
    assert (ran.code, ran.err) == (3, "")
    told = json.loads(ran.out)
    assert told["ok"] is False
    assert [each["file"] for each in told["problems"]] == [f"{WORKFLOWS}/copy.yaml", str(ORDER)]


def test_actors_that_cannot_be_imported_are_an_error(project: Path, tidestep: Tidestep) -> None:
    append(ACTORS, "import stripe_of_nobody")
    ran = tidestep("validate")
    assert ran.code == 6
    assert ran.err == (
        "error: importing actors from 'my_shop.actors': No module named 'stripe_of_nobody'\n"
    )


def test_what_lies_beside_the_applications_code_is_not_deployed(
    project: Path, tidestep: Tidestep
) -> None:
    Path("beside_the_app.py").write_text("")
    append(ACTORS, "import beside_the_app")
    ran = tidestep("validate")
    assert ran.code == 6
    assert "No module named 'beside_the_app'" in ran.err


def test_the_limits_are_those_of_the_template(project: Path, tidestep: Tidestep) -> None:
    template = Path("template.yaml")
    change(template, "App:", "Limits: '{\"nodes\": 4}'\n        App:")
    ran = tidestep("validate")
    assert ran.code == 3
    assert "there are more than 4 nodes, which is the limit" in ran.err
    change(template, "nodes", "nods")
    ran = tidestep("validate")
    assert ran.code == 6
    assert ran.err.startswith("error: the template's Limits: there is no setting TIDESTEP_LIMIT_N")


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        (
            "App: ../../../app",
            "App: ../../../code",
            6,
            "App in template.yaml is ../../../code: there",
        ),
        ("Workflows: my_shop/workflows", "Workflows: my_shop/flows", 6, "names 'my_shop/flows'"),
        (
            "Workflows: my_shop/workflows",
            "Workflows: ../flows",
            6,
            "which is not deployed: it is not",
        ),
        ("Actors: my_shop.actors", "Actors: !Ref Actors", 6, "does not give Actors in plain text"),
        ("Actors: my_shop.actors", "Actors: [a, b]", 6, "does not give Actors in plain text"),
        ("Actors: my_shop.actors", "Actors: shop.actors", 6, "there is no module 'shop'"),
    ],
)
def test_a_template_that_names_what_is_not_there_is_an_error(
    project: Path, tidestep: Tidestep, old: str, new: str, code: int, said: str
) -> None:
    (project / "flows").mkdir()
    (project / "flows" / "nap.yaml").write_text("name: nap\nnodes: []\n")
    change(Path("template.yaml"), old, new)
    ran = tidestep("validate")
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err


def test_limits_that_only_cloudformation_knows_are_those_by_default_here(
    project: Path, tidestep: Tidestep
) -> None:
    change(Path("template.yaml"), "App:", "Limits: !Ref Limits\n        App:")
    ran = tidestep("validate")
    assert (ran.code, ran.out) == (0, "ok: workflow 'order' with 5 nodes, 5 edges\n")
    assert ran.err.startswith("the template does not give Limits in plain text")


def test_what_modules_print_is_not_among_the_results(project: Path, tidestep: Tidestep) -> None:
    append(ACTORS, "print('imported')")
    ran = tidestep("validate", "--json")
    assert json.loads(ran.out)["ok"] is True
    assert ran.err == "imported\n"


def test_a_module_that_ends_the_process_has_not_been_checked(
    project: Path, tidestep: Tidestep
) -> None:
    append(ACTORS, "raise SystemExit(0)")
    ran = tidestep("validate")
    assert ran.code == 6
    assert ran.err == "error: importing actors from 'my_shop.actors' failed: SystemExit: 0\n"


def test_a_project_without_workflows_is_one(project: Path, tidestep: Tidestep) -> None:
    change(Path("template.yaml"), "Workflows: my_shop/workflows", "Workflows: ''")
    ran = tidestep("validate")
    assert (ran.code, ran.out) == (0, "ok: no workflows\n")


def test_other_actors_than_the_templates_are_for_a_file(
    project: Path, tidestep: Tidestep, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tidestep("validate", "--actors", "shop")
    assert ran.code == 2
    assert "without FILE the project here is checked" in ran.err
    monkeypatch.setenv("TIDESTEP_ACTORS", "shop")
    assert tidestep("validate").code == 0


def test_elsewhere_a_file_must_be_given(directory: Path, tidestep: Tidestep) -> None:
    ran = tidestep("validate")
    assert ran.code == 4
    assert "there is no template.yaml here" in ran.err
    assert ran.err.endswith("\nto check one workflow, say which: tidestep validate FILE\n")
