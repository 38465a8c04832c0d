"""docs/limits.md says what is so: every limit with its default, variable, bound and test."""

from __future__ import annotations

import ast
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from engine.ports import Limits
from infra.limits import MOST, NAMES

PAGE = Path("docs/limits.md").read_text()
DEFAULTS = asdict(Limits())
UNITS = {"KiB": 1 << 10, "MiB": 1 << 20}
ROWS = re.findall(
    r"^\| `(\w+)`: [^|]+ \| ([^|]*) \| ([^|]*) \| ([^|]*)\| ([^|]*) \| ([^|]*) \|$", PAGE, re.M
)


def number(text: str) -> int:
    """`1,000` or `256 KiB`"""
    count, _, unit = text.partition(" ")
    return int(count.replace(",", "")) * UNITS.get(unit, 1)


def test_every_limit_has_its_row() -> None:
    assert [row[0] for row in ROWS] == list(DEFAULTS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_tells_default_variable_and_bound(row: tuple[str, ...]) -> None:
    name, default, variable, most, beyond, _ = row
    assert number(default) == DEFAULTS[name]
    assert NAMES[variable.strip("`")] == name
    assert (number(most.strip()) if most.strip() else None) == MOST.get(name)
    assert beyond.strip()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_names_the_test_that_shows_it(row: tuple[str, ...]) -> None:
    path, _, test = row[-1].strip("`").partition("::")
    functions = ast.parse(Path(path).read_text()).body
    assert test in {each.name for each in functions if isinstance(each, ast.FunctionDef)}
