"""AWS as moto imitates it inside this process: fake credentials, an empty account for each test.

moto's arithmetic of capacity is not AWS's (`infra.aws.metering` has ours), but it keeps conditions,
sparse indexes, receive counts and batch limits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from moto.server import ThreadedMotoServer

from infra.aws.client import ThreadedClients
from infra.aws.dynamodb import DynamoStore
from infra.aws.sqs import SqsQueue
from infra.aws.table import create_table
from tests.infra.aws.account import empty_account
from tests.infra.aws.names import TABLE


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test can reach a real account."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "LOCALSTACK_HOST", "TIDESTEP_LOCALSTACK"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def clients(credentials: None) -> Iterator[ThreadedClients]:
    with empty_account():
        clients = ThreadedClients(connections=8)
        yield clients
        clients.close()


@pytest.fixture
def store(clients: ThreadedClients, runner: asyncio.Runner) -> DynamoStore:
    dynamodb = clients.client("dynamodb")
    runner.run(create_table(dynamodb, TABLE))
    return DynamoStore(dynamodb, TABLE)


@pytest.fixture
def queue_url(clients: ThreadedClients, runner: asyncio.Runner) -> str:
    answer = runner.run(clients.client("sqs").call("create_queue", QueueName="steps"))
    return str(answer["QueueUrl"])


@pytest.fixture
def queue(clients: ThreadedClients, queue_url: str) -> SqsQueue:
    return SqsQueue(clients.client("sqs"), queue_url)


@pytest.fixture
def endpoint(credentials: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """moto as a server, for clients that it cannot reach into; `AWS_ENDPOINT_URL` names it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    yield f"http://{host}:{port}"
    server.stop()
