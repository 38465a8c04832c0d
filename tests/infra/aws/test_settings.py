"""The environment of a function or worker."""

from __future__ import annotations

import pytest

from engine.errors import Misconfigured
from infra.aws.settings import AwsSettings

REQUIRED = {
    "TIDESTEP_TABLE": "table",
    "TIDESTEP_QUEUE_URL": "https://queue",
    "TIDESTEP_BUCKET": "bucket",
}


def test_settings_come_from_the_environment() -> None:
    settings = AwsSettings.from_env(
        {
            **REQUIRED,
            "TIDESTEP_ACTORS": "shop.actors, shop.more",
            "TIDESTEP_WORKFLOWS": "workflows other/flow.yaml",
            "TIDESTEP_EXPOSE_ENV": "STAGE,REGION",
            "TIDESTEP_DEAD_LETTER_URL": " https://dead",
        }
    )
    assert settings == AwsSettings(
        table="table",
        queue_url="https://queue",
        bucket="bucket",
        actors=("shop.actors", "shop.more"),
        workflows=("workflows", "other/flow.yaml"),
        expose_env="STAGE,REGION",
        dead_letter_url="https://dead",
    )


def test_lists_and_the_dead_letter_queue_may_be_left_out() -> None:
    settings = AwsSettings.from_env(REQUIRED)
    assert settings.dead_letter_url == ""
    assert (settings.actors, settings.workflows, settings.expose_env) == ((), (), "")


def test_everything_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(Misconfigured, match=r"TIDESTEP_QUEUE_URL, TIDESTEP_BUCKET$"):
        AwsSettings.from_env({"TIDESTEP_TABLE": "table", "TIDESTEP_BUCKET": " "})
