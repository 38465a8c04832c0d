"""What `tidestep deploy` lays out is what is installed, from a checkout and from a wheel alike."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest

from engine.errors import Misconfigured
from infra.stack.layout import ROOT, TEMPLATE, lay_out
from tests.functions.templates import load_template
from tests.wheel import built_wheel

Contents = dict[str, bytes]


def contents(directory: Path) -> Contents:
    files = [file for file in directory.rglob("*") if file.is_file()]
    return {file.relative_to(directory).as_posix(): file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Site-packages with a wheel of this repository in it."""
    place = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(built_wheel(place / "wheel")) as wheel:
        wheel.extractall(place / "site-packages")
    return place / "site-packages"


@pytest.fixture(scope="module")
def from_checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("checkout") / ".tidestep"
    lay_out(directory)
    return directory


def test_this_is_a_checkout() -> None:
    assert (ROOT / "pyproject.toml").exists()


def test_a_wheel_is_laid_out_as_a_checkout_is(
    installed: Path, from_checkout: Path, tmp_path: Path
) -> None:
    lay_out(tmp_path / ".tidestep", installed)
    laid_out, expected = contents(tmp_path / ".tidestep"), contents(from_checkout)
    # By hand alone: `sam local invoke -e functions/events/...` in the checkout.
    for_hands = {name for name in expected if name.startswith("functions/events/")}
    assert set(expected) - set(laid_out) == for_hands
    assert set(laid_out) <= set(expected)
    assert {n for n in laid_out if laid_out[n] != expected[n]} == set()


def test_what_the_templates_refer_to_is_there(installed: Path, tmp_path: Path) -> None:
    lay_out(tmp_path, installed)
    stack = (tmp_path / TEMPLATE).parent
    for template in stack.glob("*.yaml"):
        for resource in load_template(template)["Resources"].values():
            properties = resource.get("Properties", {})
            if resource["Type"] == "AWS::Serverless::Application":
                assert (stack / properties["Location"]).is_file()
            elif str(properties.get("ContentUri", "App")) != "App":
                assert (stack / properties["ContentUri"] / "requirements.txt").is_file()
    assert (stack / "Makefile").is_file()


def test_the_makefile_builds_a_function_from_it(installed: Path, tmp_path: Path) -> None:
    lay_out(tmp_path / ".tidestep", installed)
    built = tmp_path / "built"
    built.mkdir()
    stack = (tmp_path / ".tidestep" / TEMPLATE).parent
    # Without the Pythons that compile it, which takes seconds for each.
    command = ["make", "-C", str(stack), "build-DispatcherFunction", "PYTHONS="]
    subprocess.run([*command, f"ARTIFACTS_DIR={built}"], check=True, capture_output=True)
    assert (built / "functions" / "dispatcher.py").is_file()
    assert (built / "tidestep.py").is_file()
    assert not (built / "infra" / "local").exists()
    assert not (built / "infra" / "stack").exists()


def test_there_is_no_bytecode_in_it(from_checkout: Path) -> None:
    assert [name for name in contents(from_checkout) if "__pycache__" in name] == []


def source(root: Path) -> Path:
    """An installation as small as can be."""
    for name in ("tidestep.py", "engine/a.py", "functions/b.py", str(TEMPLATE)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def test_only_what_differs_is_written_again(tmp_path: Path) -> None:
    root, directory = source(tmp_path / "site-packages"), tmp_path / ".tidestep"
    assert lay_out(directory, root) == 4
    times = {file: file.stat().st_mtime_ns for file in directory.rglob("*.py")}
    assert lay_out(directory, root) == 0
    (root / "engine" / "a.py").write_text("newer")
    assert lay_out(directory, root) == 1
    assert (directory / "engine" / "a.py").read_text() == "newer"
    changed = [file for file, time in times.items() if file.stat().st_mtime_ns != time]
    assert changed == [directory / "engine" / "a.py"]


def test_what_is_not_installed_any_more_is_removed(tmp_path: Path) -> None:
    root, directory = source(tmp_path / "site-packages"), tmp_path / ".tidestep"
    (root / "engine" / "old").mkdir()
    (root / "engine" / "old" / "c.py").write_text("c")
    lay_out(directory, root)
    (root / "engine" / "old" / "c.py").unlink()
    (directory / "engine" / "left.py").write_text("of somebody else")
    assert lay_out(directory, root) == 2
    assert not (directory / "engine" / "old").exists()
    assert contents(directory) == contents(root)


def test_a_package_takes_the_place_of_a_module_and_a_module_that_of_a_package(
    tmp_path: Path,
) -> None:
    root, directory = source(tmp_path / "site-packages"), tmp_path / ".tidestep"
    (directory / "tidestep.py").mkdir(parents=True)
    (directory / "tidestep.py" / "x").write_text("x")
    (directory / "engine").write_text("a file")
    lay_out(directory, root)
    assert contents(directory) == contents(root)


def test_a_link_is_replaced_by_the_file(tmp_path: Path) -> None:
    root, directory = source(tmp_path / "site-packages"), tmp_path / ".tidestep"
    directory.mkdir()
    (directory / "tidestep.py").symlink_to(root / "tidestep.py")
    lay_out(directory, root)
    assert not (directory / "tidestep.py").is_symlink()


def test_an_installation_without_the_stack_says_so(tmp_path: Path) -> None:
    root = source(tmp_path / "site-packages")
    (root / TEMPLATE).unlink()
    with pytest.raises(Misconfigured, match=r"has no infra/stack/template\.yaml"):
        lay_out(tmp_path / ".tidestep", root)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    root = source(tmp_path / "site-packages")
    (tmp_path / ".tidestep").write_text("a file")
    with pytest.raises(Misconfigured, match="cannot be laid out"):
        lay_out(tmp_path / ".tidestep", root)
