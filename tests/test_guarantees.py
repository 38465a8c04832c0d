"""docs/guarantees.md is true: what it names exists, and its numbers are the code's.

Whoever adds a mutant of a rule names it in the page's table of rules.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.engine.simulation.mutants import RULES

PAGE = Path("docs/guarantees.md").read_text()
TEMPLATE = Path("infra/stack/template.yaml").read_text()
UNITS = {"": 1, "s": 1_000, "min": 60_000, "days": 86_400_000}
UNTESTABLE = {"U2", "N8"}
"""Claims about what lies outside; they say that no test shows them."""

NAMED = re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)
SECTIONS = dict(re.findall(r"^##+ (.+)\n((?:(?!^## |^### ).*\n)*)", PAGE, re.MULTILINE))
CLAIMS = re.findall(r"^- \*\*(\w+)\*\* ((?:.*\n(?!- |\n))*.*)", PAGE, re.MULTILINE)


def rows(section: str) -> list[list[str]]:
    """The cells of a section's tables, without their headings."""
    lines = [line for line in SECTIONS[section].splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    headings = {line.splitlines()[0] for line in re.findall(r"^\|.*\n\|-", PAGE, re.MULTILINE)}
    return [row for line, row in zip(lines, cells, strict=True) if line not in headings]


@cache
def functions(path: str) -> set[str]:
    tree = ast.parse(Path("tests", path).read_text())
    return {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}


def test_every_test_that_the_page_names_exists() -> None:
    assert len(NAMED) > 200
    assert len(NAMED) == PAGE.count(".py::"), "one of them is not written as the others are"
    assert [f"{path}::{test}" for path, test in NAMED if test not in functions(path)] == []


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim[0])
def test_a_claim_names_its_tests(claim: tuple[str, str]) -> None:
    name, text = claim
    assert ("::test_" in text) is (name not in UNTESTABLE)
    assert ("No test" in text) is (name in UNTESTABLE)


def test_claims_are_numbered_without_gaps() -> None:
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for name, _ in CLAIMS:
        numbers[name[0]].append(int(name[1:]))
    assert set(numbers) == set("RSKDATOLUN")
    for each in numbers.values():
        assert each == list(range(1, len(each) + 1))


@pytest.mark.parametrize(
    "section",
    [
        "1. The challenges",
        "Liveness: how long it takes",
        "4. What breaks if a setting is off",
        "5. The rules",
        "6. The failures that the rules prevent",
    ],
)
def test_every_row_names_its_tests(section: str) -> None:
    found = rows(section)
    assert found
    assert [row[0] for row in found if not any("::test_" in cell for cell in row)] == []


def test_every_rule_and_every_failure_has_its_row() -> None:
    rules = [row[0] for row in rows("5. The rules")]
    assert rules[:20] == [*map(str, range(1, 21))]
    failures = [row[0] for row in rows("6. The failures that the rules prevent")]
    assert failures == [f"W{number}" for number in range(1, 31)]


def test_a_rule_names_the_modules_that_enforce_it_and_all_of_its_mutants() -> None:
    mutants: defaultdict[str, set[str]] = defaultdict(set)
    for mutant in RULES:
        mutants[mutant.rule].add(mutant.name)
    for rule, _, modules, _, off in rows("5. The rules"):
        paths = re.findall(r"`([\w/]+\.py)`", modules)
        assert paths
        assert [path for path in paths if not Path(path).is_file()] == []
        assert set(off.split("<br>")) - {"*none*"} == mutants.pop(rule, set()), f"rule {rule}"
    assert not mutants, "mutants of rules that have no row"


def number(text: str) -> float:
    """`15 min` in milliseconds; a bare number as it is."""
    count, _, unit = text.partition(" ")
    return float(count) * UNITS[unit]


def value_of(name: str) -> float:
    """What the code or the template says, in milliseconds where it is a time."""
    place, _, rest = name.partition(".")
    if place == "template":
        found = re.search(rf"{rest}:(?: |\n +{{Type: Number, Default: )(\d+)[,\n]", TEMPLATE)
        assert found is not None
        return int(found[1]) * (1 if rest == "maxReceiveCount" else 1_000)
    module, attributes = re.fullmatch(r"([a-z_.]+?)\.([A-Z].*)", name).groups()  # type: ignore[union-attr]
    value: Any = importlib.import_module(module)
    for attribute in attributes.split("."):
        value = getattr(value() if isinstance(value, type) else value, attribute)
    last = attributes.rpartition(".")[2]
    return float(value) * (1_000 if last.endswith("_S") or last.islower() else 1)


NUMBERS = re.findall(r"^\| `([\w.]+)`(?:: [^|]*)? \| ([\d.]+(?: \w+)?) \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("name", "text"), NUMBERS)
def test_a_number_is_the_codes(name: str, text: str) -> None:
    assert number(text) == value_of(name)


def test_no_number_is_overlooked() -> None:
    assert len(NUMBERS) == len(rows("The numbers")) > 15


def test_the_doublings_end_where_the_page_says() -> None:
    from engine.sweeper import MAX_DOUBLINGS
    from engine.timing import LOOK_AFTER_MS

    assert LOOK_AFTER_MS * 2**MAX_DOUBLINGS == (42 * 60 + 40) * 60_000
    assert PAGE.count("42 h 40 min") == 2


def test_the_runs_are_as_many_as_the_page_says() -> None:
    makefile = Path("Makefile").read_text()
    assert "tests.soak --seeds 1000\n" in makefile
    assert "SEEDS ?= 20000\n" in makefile
    assert "STORMS ?= 100\n" in makefile
    assert {"make test", "make test-thorough"} <= set(Path(".ci/run").read_text().splitlines())
    assert "`make test` runs 1,000 of them, `make test-thorough` 20,000" in PAGE


def test_the_readme_states_the_same_guarantee_and_leads_here() -> None:
    readme = Path("README.md").read_text()
    (guarantee,) = re.findall(r"^> .*\n> .*$", PAGE, re.MULTILINE)
    assert guarantee in readme
    assert "(docs/guarantees.md)" in readme
