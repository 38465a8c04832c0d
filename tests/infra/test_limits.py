"""Limits from the environment, and whether what they allow at most can be stored."""

from __future__ import annotations

import asyncio
import re
from dataclasses import asdict
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.errors import Misconfigured
from engine.ports import Limits
from engine.snapshot import Owed, State, Status, Token, Wait, encode_head
from engine.starting import first_head
from infra.aws.sizes import MAX_ITEM_BYTES
from infra.aws.worker import aws_backend
from infra.limits import MOST, NAMES, limits_from
from infra.local.embedded import visiting
from tests.engine.graphs import CREATED, graph


def test_without_settings_the_limits_are_as_they_are_by_default() -> None:
    assert limits_from({"PATH": "/bin", "TIDESTEP_DB": "x"}) == Limits()


@pytest.mark.parametrize(("variable", "limit"), NAMES.items())
def test_each_limit_has_its_variable(variable: str, limit: str) -> None:
    assert variable == f"TIDESTEP_LIMIT_{limit.upper()}"
    assert asdict(limits_from({variable: "3"})) == {**asdict(Limits()), limit: 3}


def test_several_limits_come_in_one_setting() -> None:
    """For a stack, where each variable of its own would be a parameter of its own."""
    given = {"TIDESTEP_LIMITS": '{"signals": 3, "nodes": 50}', "TIDESTEP_LIMIT_EDGES": "7"}
    assert asdict(limits_from(given)) == {**asdict(Limits()), "signals": 3, "nodes": 50, "edges": 7}


@pytest.mark.parametrize("text", ["", " ", "{}"])
def test_none_of_several_sets_no_limit(text: str) -> None:
    assert limits_from({"TIDESTEP_LIMITS": text}) == Limits()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("signals=3", "must be a JSON object of whole numbers, like"),
        ("3", "Expected `object`, got `int`"),
        ('{"signals": "3"}', "Expected `int`, got `str` - at `$[...]`"),
        ('{"signals": 1.5}', "Expected `int`, got `float`"),
        ('{"signals": 0}', "TIDESTEP_LIMIT_SIGNALS is '0'; it must be a whole number above 0"),
        ('{"signals": -1}', "TIDESTEP_LIMIT_SIGNALS is '-1'; it must be"),
        ('{"signal": 3}', "there is no setting TIDESTEP_LIMIT_SIGNAL;"),
        ('{"owed": 9999}', "TIDESTEP_LIMIT_OWED is 9,999; it can be 250 at most"),
        ('{"edges": 8}', "TIDESTEP_LIMIT_EDGES and TIDESTEP_LIMITS both set it"),
    ],
)
def test_several_that_cannot_be_understood_are_refused(text: str, said: str) -> None:
    with pytest.raises(Misconfigured) as raised:
        limits_from({"TIDESTEP_LIMITS": text, "TIDESTEP_LIMIT_EDGES": "7"})
    assert said in str(raised.value)


@pytest.mark.parametrize(
    "text", ["", " ", "0", "-1", "1.5", "1e3", "1 MiB", "1_000", "+5", "٣", "9" * 16, "9" * 9000]
)
def test_what_is_no_whole_number_above_zero_is_refused_by_name(text: str) -> None:
    with pytest.raises(Misconfigured, match="must be a whole number above 0") as raised:
        limits_from({"TIDESTEP_LIMIT_SIGNALS": text})
    assert str(raised.value).startswith("TIDESTEP_LIMIT_SIGNALS is ")
    assert len(str(raised.value)) < 120


def test_a_misspelt_setting_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(Misconfigured) as raised:
        limits_from({"TIDESTEP_LIMIT_INPUT": "5"})
    assert "there is no setting TIDESTEP_LIMIT_INPUT;" in str(raised.value)
    assert all(name in str(raised.value) for name in NAMES)


def test_everything_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(Misconfigured) as raised:
        limits_from({"TIDESTEP_LIMIT_NODES": "many", "TIDESTEP_LIMIT_OWED": "9999"})
    first, second = str(raised.value).splitlines()
    assert first == "TIDESTEP_LIMIT_NODES is 'many'; it must be a whole number above 0"
    assert second == f"TIDESTEP_LIMIT_OWED is 9,999; it can be {MOST['owed']:,} at most"


@pytest.mark.parametrize(("limit", "most"), MOST.items())
def test_no_setting_promises_more_than_the_platform_has(limit: str, most: int) -> None:
    variable = f"TIDESTEP_LIMIT_{limit.upper()}"
    assert asdict(limits_from({variable: str(most)}))[limit] == most
    with pytest.raises(Misconfigured, match=f"can be {most:,} at most"):
        limits_from({variable: str(most + 1)})


def test_a_full_head_fits_into_an_item_of_the_table() -> None:
    """With long names, joins of eight ports, and as many counters as the default has nodes."""
    later = CREATED * 2
    tokens = [
        Token(9999, 10**7, 10**6, State.WAITING, "s" * 11, later, (10**7,) * 8, later, 1000, 10)
        for _ in range(MOST["frontier"])
    ]
    waits = [Wait(9999, 10**7, "n" * 100, 1000) for _ in range(MOST["frontier"])]
    owed = [
        Owed(f"{10**7}.{place}", "r" * 100, 10**7, "n" * 100, b"v" * 96)
        for place in range(MOST["owed"])
    ]
    head = replace(
        first_head(graph("a -> b"), b"d" * 16, b"s" * 16, b"null", CREATED),
        status=Status.PAUSED,
        frontier=tuple(tokens),
        waits=tuple(waits),
        owed=tuple(owed),
        visits=(10**7,) * Limits().nodes,
    )
    room_for_the_tail = 16 << 10
    assert len(encode_head(head)) < MAX_ITEM_BYTES - room_for_the_tail


def test_a_definition_fits_into_an_item_with_its_names() -> None:
    room_for_names = 4 << 10
    assert MOST["definition_bytes"] <= MAX_ITEM_BYTES - room_for_names


def test_the_queue_of_the_template_outlasts_all_deaths() -> None:
    (most,) = re.findall(r"maxReceiveCount: (\d+)", Path("infra/stack/template.yaml").read_text())
    assert int(most) > MOST["deaths"] + 1


def test_the_embedded_backend_obeys_its_environment(tmp_path: Path) -> None:
    with visiting(tmp_path / "x.db", {"TIDESTEP_LIMIT_INPUT_BYTES": "5"}) as embedded:
        assert embedded.platform.limits == Limits(input_bytes=5)
    with (
        pytest.raises(Misconfigured, match="TIDESTEP_LIMIT_INPUTS"),
        visiting(tmp_path / "x.db", {"TIDESTEP_LIMIT_INPUTS": "5"}),
    ):
        raise AssertionError("opened with a setting that does not exist")


def test_a_worker_on_aws_obeys_its_environment() -> None:
    environment = {
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "TIDESTEP_TABLE": "table",
        "TIDESTEP_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/steps",
        "TIDESTEP_BUCKET": "bucket",
        "TIDESTEP_LIMIT_SIGNALS": "5",
    }

    async def opened() -> Limits:
        async with aws_backend(environment) as backend:
            return backend.platform.limits

    assert asyncio.run(opened()) == Limits(signals=5)
