"""`--aws`: the same commands on DynamoDB, SQS and S3, as moto's server imitates them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator

import pytest
from moto.server import ThreadedMotoServer

from infra.aws.aio import AsyncClients
from infra.aws.table import create_table
from tests.infra.local.cli.conftest import ACTORS, Processes, Tidestep, eventually

TABLE = "steps-table"


@pytest.fixture
def account(directory: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account with a table and a queue, named by the environment."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "TIDESTEP_TABLE": TABLE,
        "TIDESTEP_BUCKET": "steps-blobs",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TIDESTEP_QUEUE_URL", asyncio.run(_create()))
    yield
    server.stop()


async def _create() -> str:
    async with AsyncClients(environment=os.environ) as clients:
        await create_table(await clients.client("dynamodb"), TABLE)
        created = await (await clients.client("sqs")).call("create_queue", QueueName="steps")
        return str(created["QueueUrl"])


def test_runs_are_started_worked_on_and_shown(
    account: None, tidestep: Tidestep, processes: Processes
) -> None:
    started = tidestep("start", "flaky.yaml", "--actors", ACTORS, "--aws", "--id", "f1")
    assert (started.code, started.out) == (0, "f1\n")
    assert "tidestep show f1 --aws" in started.err
    listed = json.loads(tidestep("list", "--aws", "--json").out)
    assert [(row["run"], row["status"]) for row in listed] == [("f1", "active")]

    worker = processes.start("work", "--actors", ACTORS, "--aws")
    assert worker.stderr is not None
    assert "working on AWS" in worker.stderr.readline()
    eventually(lambda: "completed" in tidestep("show", "f1", "--aws").out)
    shown = json.loads(tidestep("show", "f1", "--aws", "--json").out)
    assert shown["output"] == {"bank": 2}
    worker.send_signal(signal.SIGTERM)
    ran = processes.end(worker)
    assert ran.code == 0
    assert "Traceback" not in ran.err
