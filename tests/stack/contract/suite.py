"""Which tests of a module are a contract of its backend, and not of an adapter's wording alone."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

Tests = dict[str, Callable[..., Any]]


def asking_for(fixtures: set[str], *modules: ModuleType) -> Tests:
    """The tests that ask for one of these fixtures, by name; not those for backends of their own.

    A test module that takes them up runs them with the fixtures of its own directory.
    """
    found: Tests = {}
    for module in modules:
        for name, function in vars(module).items():
            if not name.startswith("test_") or not inspect.isfunction(function):
                continue
            if fixtures & set(inspect.signature(function).parameters) and not _chooses(function):
                assert name not in found, f"two tests are called {name}"
                found[name] = function
    return found


def _chooses(function: Callable[..., Any]) -> bool:
    marks = getattr(function, "pytestmark", ())
    return any(mark.name == "parametrize" and mark.args[0] == "backend" for mark in marks)
