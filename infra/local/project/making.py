"""Write a new project: all of its files, or none."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template

from engine.errors import CallerError, Misconfigured
from infra.local.project.naming import Names

FILES: Mapping[str, str] = {
    "README.md": "readme",
    "pyproject.toml": "pyproject",
    "template.yaml": "template",
    "samconfig.toml": "samconfig",
    ".gitignore": "gitignore",
    "app/requirements.txt": "requirements",
    "app/$package/__init__.py": "init",
    "app/$package/actors.py": "actors",
    "app/$package/workflows/order.yaml": "workflow",
    "tests/test_order.py": "test",
}
"""Path in the project -> the file in `files` that is rendered for it."""

RUNTIMES = ("python3.11", "python3.12", "python3.13", "python3.14")
"""Those of Lambda's that the stack takes, the oldest first."""
VERSION_CONTROL = ".git"


class DirectoryTaken(CallerError):
    """There is something in the directory of the new project."""

    exit_code = 5
    http_status = 409


def make_project(directory: Path, names: Names) -> list[str]:
    """Write the project into `directory`, and return the paths in it.

    Raises DirectoryTaken where something is there, Misconfigured where it cannot be written; then
    nothing has been.
    """
    rendered = _rendered(names)
    there = _is_there(directory)
    try:
        directory.mkdir(exist_ok=True)
        for path, text in rendered.items():
            file = directory / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
    except BaseException as error:
        _take_back(directory, {Path(path).parts[0] for path in rendered}, there)
        if isinstance(error, OSError):
            reason = error.strerror or error
            raise Misconfigured(f"'{directory}' cannot be written: {reason}") from error
        raise
    return sorted(rendered)


def runtime() -> str:
    """Lambda's name of this Python; of one that it does not have, the nearest."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return name if name in RUNTIMES else RUNTIMES[-1]


def _rendered(names: Names) -> dict[str, str]:
    values = {
        "name": names.project,
        "package": names.package,
        "stack": names.stack,
        "runtime": runtime(),
        "version": version("tidestep"),
    }
    texts = files("infra.local.project") / "files"
    return {
        Template(path).substitute(values): Template(
            (texts / f"{name}.txt").read_text(encoding="utf-8")
        ).substitute(values)
        for path, name in FILES.items()
    }


def _is_there(directory: Path) -> bool:
    """Whether the directory is there, and empty but for version control. Raises DirectoryTaken."""
    try:
        found = sorted(each.name for each in directory.iterdir() if each.name != VERSION_CONTROL)
    except FileNotFoundError:
        return False
    except NotADirectoryError:
        raise DirectoryTaken(f"'{directory}' is a file: nothing was written") from None
    except OSError as error:
        raise Misconfigured(f"'{directory}' cannot be read: {error.strerror or error}") from error
    if found:
        raise DirectoryTaken(
            f"'{directory}' is not empty, it has '{found[0]}': nothing was written"
        )
    return True


def _take_back(directory: Path, names: set[str], there: bool) -> None:
    for name in names:
        place = directory / name
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)
    if not there and directory.is_dir():
        directory.rmdir()
