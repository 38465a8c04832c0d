"""docs/actors.md says what is so: its code runs, and its tables are those of the code."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from engine.allocation import directory, errors, keyvalue, tunnel
from engine.allocation.config import CrashPolicy, PoolConfig
from engine.allocation.diagrams import BLOCKS, redrawn
from engine.allocation.settings import AllocationSettings
from engine.errors import InvalidInput, InvalidName, PayloadTooLarge, PlatformError
from engine.ports import MAX_ALSO
from engine.stateful import StatefulActor, sockets
from engine.stateful.declaring import HANDLERS, IDLE_S
from infra.allocation import NAMES
from infra.aws.allocation import SETTINGS
from tests.test_docs import blocks

PAGE = Path("docs/actors.md").read_text()


def rows(title: str) -> list[list[str]]:
    """The cells of the first table below a title, without its head."""
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def number(text: str) -> int:
    """`1,000`, `96 KiB` or `512 bytes`"""
    count, _, unit = text.partition(" ")
    return int(count.replace(",", "")) * {"KiB": 1 << 10, "MiB": 1 << 20}.get(unit, 1)


@pytest.fixture(scope="module")
def code() -> Iterator[ModuleType]:
    """The page's Python, run as one module."""
    made = ModuleType("docs_actors")
    sys.modules["docs_actors"] = made
    for language, body in blocks(PAGE):
        if language == "python":
            exec(compile(body, "docs/actors.md", "exec"), vars(made))
    yield made
    del sys.modules["docs_actors"]


def test_the_code_on_the_page_runs_and_its_tests_pass(code: ModuleType) -> None:
    assert issubclass(code.Counter, StatefulActor)
    code.test_counter()


def test_the_pictures_and_tables_are_those_of_the_transition_tables() -> None:
    assert set(re.findall(r"<!-- generated: ([a-z ]+) -->", PAGE)) == set(BLOCKS)
    assert redrawn(PAGE) == PAGE, "run: python -m engine.allocation.diagrams docs/actors.md"


def test_a_stale_page_is_redrawn() -> None:
    stale = PAGE.replace("Pending --> Sleeping", "Pending --> Nowhere")
    assert stale != PAGE
    assert redrawn(stale) == PAGE


def test_every_transition_is_drawn_once_and_no_label_breaks_the_syntax() -> None:
    for name, text in BLOCKS.items():
        if name.endswith("diagram"):
            arrows = [line.partition(":")[0] for line in text.splitlines() if "-->" in line]
            assert len(arrows) == len(set(arrows))
            line = r" {4}[\w\[\]*]+( --> [\w\[\]*]+)?(: [\w, ]+)?\n"
            assert re.fullmatch(rf"```mermaid\nstateDiagram-v2\n({line})+```", text)


def test_every_time_is_listed_with_its_defaults() -> None:
    found = {row[0].strip("`"): row[1:] for row in rows("Times")}
    defaults, aws = asdict(AllocationSettings()), asdict(SETTINGS)
    assert list(found) == list(defaults)
    assert {name: number(row[0]) for name, row in found.items()} == defaults
    for name, (_, on_aws, _) in found.items():
        assert number(on_aws or found[name][0]) == aws[name]
    assert {"TIDESTEP_ALLOCATION_START_SECONDS", "TIDESTEP_ALLOCATION_TRIES"} <= set(NAMES)


def test_every_answer_of_the_gateway_is_listed() -> None:
    found: dict[str, str] = {}
    for codes, statuses, *_ in rows("Errors"):
        for code, status in zip(codes.split(", "), statuses.split(", "), strict=True):
            found[code.strip("`")] = status
    own: dict[str, Any] = {kind.code: kind for kind in errors.GatewayError.__subclasses__()}
    others = (directory.ActorNotFound, InvalidName, InvalidInput, PayloadTooLarge)
    own |= {kind.__name__: kind for kind in others} | {"Unavailable": PlatformError}
    assert found == {code: str(kind.http_status) for code, kind in own.items()}


def test_every_limit_is_listed() -> None:
    assert [number(row[1]) for row in rows("Limits")] == [
        keyvalue.STATE_BYTES,
        keyvalue.VALUE_BYTES,
        keyvalue.KEY_BYTES,
        MAX_ALSO - 1,
        keyvalue.WRITE_BYTES,
        directory.INPUT_BYTES,
        directory.KEY_BYTES,
        directory.SLOTS,
        tunnel.BODY_BYTES,
        sockets.MESSAGE_BYTES,
    ]


def test_every_setting_of_a_pool_is_listed() -> None:
    listed = [name.strip("` ") for row in rows("Pools") for name in row[0].split(",")]
    assert listed == [field.name for field in msgspec.structs.fields(PoolConfig)]


def test_every_crash_policy_and_every_handler_is_listed() -> None:
    policies = [re.findall(r"`(\w+)`", row[0])[0] for row in rows("Crashes")]
    assert policies == list(CrashPolicy)
    named = [match for row in rows("The class") for match in re.findall(r"^`(on_\w+)\(", row[0])]
    assert named == list(HANDLERS)
    assert f"goes to sleep, {IDLE_S:g};" in PAGE


def test_all_decisions_are_told() -> None:
    assert [row[0] for row in rows("Decisions")] == [f"D{number}" for number in range(1, 9)]


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", PAGE))
def test_every_link_leads_somewhere(link: str) -> None:
    assert (Path("docs") / link).exists()
