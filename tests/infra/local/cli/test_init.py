"""`tidestep init`: what it makes works as it is, and it overwrites nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from infra.local.cli import main
from infra.local.project.making import FILES, RUNTIMES, runtime
from infra.local.project.reading import LOCATION, read_project
from tests.functions.templates import load_template
from tests.infra.local.cli.conftest import Tidestep

ROOT = Path(__file__).parents[4]
STACK = ROOT / "infra" / "stack"
ORDER = ("app/my_shop/workflows/order.yaml", "--actors", "my_shop.actors")


@pytest.fixture
def project(tidestep: Tidestep, directory: Path) -> Path:
    assert tidestep("init", "my-shop").code == 0
    return directory / "my-shop"


@pytest.fixture
def inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project is the current directory, and installed."""
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(project / "app")
    for name in [name for name in sys.modules if name.startswith("my_shop")]:
        monkeypatch.delitem(sys.modules, name)
    return project


def files_in(directory: Path) -> set[str]:
    return {str(file.relative_to(directory)) for file in directory.rglob("*") if file.is_file()}


def test_it_says_what_it_made_and_what_to_do_next(tidestep: Tidestep, directory: Path) -> None:
    ran = tidestep("init", "my-shop")
    made, _, following = ran.out.partition("next:\n")
    assert (ran.code, ran.err) == (0, "")
    assert made.splitlines()[0] == "project 'my-shop' is made: 10 files in my-shop/"
    assert {line.strip() for line in made.splitlines()[1:]} == files_in(directory / "my-shop")
    assert [line.split()[0:2] for line in following.splitlines()] == [
        ["cd", "my-shop"],
        ["pip", "install"],
        ["pytest"],
        ["tidestep", "run"],
        ["tidestep", "deploy"],
    ]


def test_nothing_is_left_to_fill_in(project: Path) -> None:
    for file in files_in(project):
        text = (project / file).read_text()
        assert not re.search(r"\$(name|package|stack|runtime|version)|\$\{(?!Orders)", text), file
    assert len(files_in(project)) == len(FILES)


def in_python(project: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A module as a program, in the project's directory."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", *words],
        cwd=project,
        env={**os.environ, "PYTHONPATH": "", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_its_tests_pass(project: Path) -> None:
    done = in_python(project, "pytest", "-q", "-W", "error")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "24 passed" in done.stdout


def test_its_workflow_is_valid(inside: Path, tidestep: Tidestep) -> None:
    ran = tidestep("validate", *ORDER)
    assert "ok, workflow 'order' with 5 nodes, 5 edges" in ran.out


def test_its_workflow_runs_here(project: Path) -> None:
    words = ("run", *ORDER, "--input", '{"item": "cup", "quantity": 2}')
    done = in_python(project, "infra.local.cli", *words, PYTHONPATH=f"app{os.pathsep}{ROOT}")
    assert done.returncode == 0, done.stderr
    assert '"confirmed": "2 x cup for 16.00"' in done.stdout


def test_the_commands_of_its_readme_are_ours(project: Path) -> None:
    readme = (project / "README.md").read_text()
    typed = re.findall(r"^tidestep (.+)$", readme, re.MULTILINE)
    assert {line.split()[0] for line in typed} == {"validate", "run", "deploy", "start", "show"}
    for line in typed:
        assert main([line.split()[0], "--help"]) == 0


def test_what_it_deploys_as_is_lambdas_name_of_this_python(project: Path) -> None:
    template = load_template(project / "template.yaml")
    stack = load_template(STACK / "template.yaml")
    given = template["Resources"]["Tidestep"]["Properties"]["Parameters"]
    assert given["Runtime"] == runtime()
    assert tuple(stack["Parameters"]["Runtime"]["AllowedValues"]) == RUNTIMES
    assert f"python3.{min(sys.version_info.minor, 14)}" == runtime()


def nested(template: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = template["Resources"]["Tidestep"]["Properties"]
    return properties


def test_its_template_passes_on_what_the_stack_takes_and_gives(project: Path) -> None:
    template = load_template(project / "template.yaml")
    stack = load_template(STACK / "template.yaml")
    assert nested(template)["Location"] == LOCATION
    assert set(nested(template)["Parameters"]) <= set(stack["Parameters"])
    assert set(template["Outputs"]) <= set(stack["Outputs"])
    for name in set(template["Parameters"]):
        assert nested(template)["Parameters"][name] == name
    assert (project / LOCATION).parent / nested(template)["Parameters"]["App"]


def test_what_stands_in_the_comments_of_its_template_is_right(project: Path) -> None:
    """Whoever takes the # away has a template with a table, and a permission that is passed on."""
    text = (project / "template.yaml").read_text()
    opened = re.sub(r"^( *)# (?=( *)(AppPolicy|AppEnvironment):)", r"\1", text, flags=re.MULTILINE)
    before, place, after = opened.partition("  # Orders:\n")
    end = after.index("\nOutputs:")
    block = re.sub(r"^  # ", "  ", place + after[:end], flags=re.MULTILINE)
    (project / "template.yaml").write_text(before + block + after[end:])
    template = load_template(project / "template.yaml")
    stack = load_template(STACK / "template.yaml")
    assert set(template["Resources"]) == {"Tidestep", "Orders", "Permissions"}
    assert nested(template)["Parameters"]["AppPolicy"] == "Permissions"
    assert {"AppPolicy", "AppEnvironment"} <= set(stack["Parameters"])


def test_development_and_production_are_two_stacks_whose_parameters_there_are(
    project: Path,
) -> None:
    config = tomllib.loads((project / "samconfig.toml").read_text())
    parameters = load_template(project / "template.yaml")["Parameters"]
    names = [config[each]["global"]["parameters"]["stack_name"] for each in ("default", "prod")]
    assert names == ["my-shop-dev", "my-shop"]
    for stage in ("default", "prod"):
        for override in config[stage]["global"]["parameters"]["parameter_overrides"]:
            assert override.partition("=")[0] in parameters


def test_the_first_run_is_told_from_the_template(project: Path) -> None:
    run = read_project(project).first_run()
    assert run is not None
    assert run.workflow == Path(ORDER[0])
    assert run.actors == ("my_shop.actors",)
    assert run.input == {"item": "cup", "quantity": 2}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("9lives", "use at most 64 letters, digits, - and _, a letter first"),
        ("my shop", "use at most 64 letters"),
        ("my.shop", "use at most 64 letters"),
        ("s" * 65, "use at most 64 letters"),
        ("class", "'class', and that is a word of Python's"),
        ("JSON", "its package would be 'json', and Python has a module of that name"),
        ("engine", "Tidestep has a package of that name"),
        ("pydantic", "a package of that name is installed already"),
    ],
)
def test_a_name_that_no_package_can_have_is_refused(
    tidestep: Tidestep, directory: Path, name: str, reason: str
) -> None:
    before = files_in(directory)
    ran = tidestep("init", name)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"error: a project cannot be called '{name}': ")
    assert reason in ran.err
    assert files_in(directory) == before
    assert not (directory / name).exists()


def test_a_directory_with_something_in_it_is_left_as_it_is(
    tidestep: Tidestep, directory: Path
) -> None:
    taken = directory / "shop"
    taken.mkdir()
    (taken / "notes.txt").write_text("mine")
    ran = tidestep("init", "shop")
    assert ran.code == 5
    assert ran.err == "error: 'shop' is not empty, it has 'notes.txt': nothing was written\n"
    assert files_in(taken) == {"notes.txt"}


def test_a_file_of_that_name_is_left_as_it_is(tidestep: Tidestep, directory: Path) -> None:
    (directory / "shop").write_text("mine")
    ran = tidestep("init", "shop")
    assert (ran.code, ran.err) == (5, "error: 'shop' is a file: nothing was written\n")
    assert (directory / "shop").read_text() == "mine"


def test_an_empty_repository_will_do(
    tidestep: Tidestep, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / "shop" / ".git").mkdir(parents=True)
    monkeypatch.chdir(directory / "shop")
    ran = tidestep("init", ".")
    assert ran.code == 0
    assert "project 'shop' is made" in ran.out
    assert "  cd " not in ran.out
    assert (directory / "shop" / "app" / "shop" / "actors.py").exists()


def test_nothing_is_half_written(
    tidestep: Tidestep, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_text

    def full(path: Path, *given: Any, **more: Any) -> int:
        if path.name == "samconfig.toml":
            raise OSError(28, "No space left on device")
        return write(path, *given, **more)

    monkeypatch.setattr(Path, "write_text", full)
    ran = tidestep("init", "shop")
    assert ran.code == 6
    assert ran.err == "error: 'shop' cannot be written: No space left on device\n"
    assert not (directory / "shop").exists()


def test_a_directory_that_is_nowhere_is_an_error(tidestep: Tidestep) -> None:
    ran = tidestep("init", "nowhere/shop")
    assert ran.code == 6
    assert ran.err == "error: 'nowhere/shop' cannot be written: No such file or directory\n"
