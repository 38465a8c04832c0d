"""Blobs on S3."""

from __future__ import annotations

import asyncio

import pytest

from infra.aws.client import ThreadedClient, ThreadedClients
from infra.aws.s3 import S3Blobs
from tests.infra.aws.names import BUCKET


def test_a_blob_is_read_back_and_a_missing_one_is_none(
    runner: asyncio.Runner, clients: ThreadedClients
) -> None:
    runner.run(
        clients.client("s3").call(
            "create_bucket",
            Bucket=BUCKET,
            CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
        )
    )
    blobs = S3Blobs(lambda: clients.later("s3"), BUCKET)
    assert runner.run(blobs.get("default/run/r/out/1")) is None
    runner.run(blobs.put("default/run/r/out/1", b"\x00large"))
    runner.run(blobs.put("default/run/r/out/1", b"\x00large"))
    assert runner.run(blobs.get("default/run/r/out/1")) == b"\x00large"


def test_the_client_is_opened_on_first_use(runner: asyncio.Runner) -> None:
    async def refuse() -> ThreadedClient:
        raise AssertionError("opened")

    blobs = S3Blobs(refuse, BUCKET)
    with pytest.raises(AssertionError, match="opened"):
        runner.run(blobs.get("a"))
