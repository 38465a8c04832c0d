"""The settings of allocation, from the environment."""

from __future__ import annotations

from dataclasses import fields

import pytest

from engine.allocation.settings import DEFAULTS, AllocationSettings
from engine.errors import Misconfigured
from infra.allocation import NAMES, settings_from


def test_without_variables_the_settings_are_those_by_default() -> None:
    assert settings_from({"TIDESTEP_LIMIT_NODES": "1", "PATH": "/bin"}) == DEFAULTS


def test_every_setting_has_a_variable() -> None:
    assert set(NAMES.values()) == {field.name for field in fields(AllocationSettings)}


def test_times_are_seconds_and_counts_are_counts() -> None:
    found = settings_from(
        {
            "TIDESTEP_ALLOCATION_DRAIN_SECONDS": "0.25",
            "TIDESTEP_ALLOCATION_PENDING_SECONDS": "90",
            "TIDESTEP_ALLOCATION_TRIES": "3",
        }
    )
    assert (found.drain_ms, found.pending_ms, found.tries) == (250, 90_000, 3)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(Misconfigured) as refused:
        settings_from(
            {
                "TIDESTEP_ALLOCATION_DRAIN": "1",
                "TIDESTEP_ALLOCATION_PING_SECONDS": "soon",
                "TIDESTEP_ALLOCATION_START_SECONDS": "-1",
                "TIDESTEP_ALLOCATION_STOP_SECONDS": "nan",
                "TIDESTEP_ALLOCATION_TRIES": "0",
            }
        )
    lines = str(refused.value).splitlines()
    assert lines[0].startswith("there is no setting TIDESTEP_ALLOCATION_DRAIN; known are ")
    assert [line.split()[0] for line in lines[1:]] == [
        "TIDESTEP_ALLOCATION_PING_SECONDS",
        "TIDESTEP_ALLOCATION_START_SECONDS",
        "TIDESTEP_ALLOCATION_STOP_SECONDS",
        "TIDESTEP_ALLOCATION_TRIES",
    ]


@pytest.mark.parametrize(
    ("small", "large"), [("PING", "ELIGIBLE"), ("ELIGIBLE", "LOST"), ("READY", "REQUEST")]
)
def test_times_that_do_not_fit_together_are_refused(small: str, large: str) -> None:
    with pytest.raises(Misconfigured, match=f"{small}_SECONDS.*must be less than.*{large}_SECONDS"):
        settings_from(
            {
                f"TIDESTEP_ALLOCATION_{small}_SECONDS": "9",
                f"TIDESTEP_ALLOCATION_{large}_SECONDS": "9",
            }
        )
