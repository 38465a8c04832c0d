"""What a project is called, and what its package and its stack are called after it."""

from __future__ import annotations

import keyword
import re
import sys
import sysconfig
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from engine.errors import InvalidName

LONGEST = 64
OURS = frozenset({"engine", "functions", "infra", "tidestep"})
"""Lie beside the application's code on Lambda."""
_NAME = re.compile(r"[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Names:
    """`my-shop` is the project and its stack, `my_shop` its package."""

    project: str
    package: str
    stack: str


def names_of(project: str) -> Names:
    """Raises InvalidName for a name that no package can have."""
    if not _NAME.fullmatch(project) or len(project) > LONGEST:
        raise InvalidName(
            f"a project cannot be called '{project}': use at most {LONGEST} letters, digits, - and "
            "_, a letter first, and no - or _ last"
        )
    package = project.replace("-", "_").lower()
    problem = _problem_of(package)
    if problem:
        raise InvalidName(
            f"a project cannot be called '{project}': its package would be '{package}', and "
            f"{problem}"
        )
    return Names(project, package, project.replace("_", "-"))


def _problem_of(package: str) -> str | None:
    if keyword.iskeyword(package):
        return "that is a word of Python's"
    if package in sys.stdlib_module_names:
        return "Python has a module of that name"
    if package in OURS:
        return "Tidestep has a package of that name"
    if _is_installed(package):
        return "a package of that name is installed already"
    return None


def _is_installed(package: str) -> bool:
    """Not so for the project itself, which is installed as a link to its directory."""
    spec = find_spec(package)
    if spec is None:
        return False
    places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or ())
    installed = [Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")]
    return any(Path(place).is_relative_to(each) for place in places for each in installed)
