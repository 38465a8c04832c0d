"""The one seam to AWS: `AwsClient`, one service's operations by name.

Two implementations: `ThreadedClient` runs botocore's synchronous client in a pool of threads, which
is what a Lambda function wants (an asynchronous client doubles the cold start); `infra.aws.aio` has
the other, for workers that live long. What must stay true: nothing foreign is raised through it
(`infra.aws.failures`), and importing this module imports no AWS package.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

from engine.errors import Misconfigured
from infra.aws.failures import translated

READ_TIMEOUT_S = 5
LONG_POLL_S = 20
"""The longest wait of SQS's ReceiveMessage; its client's read timeout must be longer."""
CONNECT_TIMEOUT_S = 2
WEBSOCKET_URL = "TIDESTEP_WEBSOCKET_URL"
"""The stage of the WebSocket API, as runners and users connect to it: wss://<id>...com/<stage>."""
ATTEMPTS = 4
"""Per request, the first included: botocore's "standard" mode, backoff with jitter."""


class AwsClient(Protocol):
    """A service, such as DynamoDB. Parameters and answers are those of the AWS API."""

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Run an operation, named in snake_case. A streamed `Body` comes as bytes.

        Raises Misconfigured or StoreUnusable, and the answers ConditionFailed and Gone. When it
        raises StoreUnusable, or its task is cancelled, the operation may have happened.
        """
        ...


class ThreadedClient:
    """Implements `AwsClient` over a synchronous botocore (or boto3) client, which is thread-safe.

    It may be used from one event loop after another: a Lambda function runs one per invocation.
    """

    def __init__(self, client: Any, executor: Executor) -> None:
        self._client = client
        self._executor = executor

    def close(self) -> None:
        self._client.close()

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        run = partial(self._run, operation, parameters)
        return await asyncio.get_running_loop().run_in_executor(self._executor, run)

    def _run(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        with translated(service_name(self._client), operation, parameters):
            answer: dict[str, Any] = getattr(self._client, operation)(**parameters)
            if hasattr(answer.get("Body"), "read"):
                answer["Body"] = answer["Body"].read()
            return answer


class ThreadedClients:
    """The clients of one process, with as many threads as connections. Close it at the end."""

    def __init__(self, connections: int = 16, environment: Mapping[str, str] = os.environ) -> None:
        self._connections = connections
        self._environment = environment
        self._executor = ThreadPoolExecutor(connections, thread_name_prefix="aws")
        self._lock = threading.Lock()
        self._session: Any = None
        self._clients: dict[str, ThreadedClient] = {}

    def client(self, service: str) -> ThreadedClient:
        """The client of a service, made on first use; that takes tenths of a second of CPU."""
        with self._lock, translated(service, "open", {}):
            if service not in self._clients:
                self._clients[service] = ThreadedClient(self._open(service), self._executor)
            return self._clients[service]

    async def later(self, service: str) -> ThreadedClient:
        """The same, made in the pool: for what most invocations do not need."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self.client, service)

    def close(self) -> None:
        """Waits for requests on their way, then closes the connections."""
        self._executor.shutdown()
        for client in self._clients.values():
            client.close()

    def _open(self, service: str) -> Any:
        # botocore alone: boto3's clients are the same objects, and importing it takes 50 ms more
        from botocore.config import Config
        from botocore.session import get_session

        self._session = self._session or get_session()
        options = client_options(service, self._environment)
        config = Config(**config_options(service, self._connections, self._environment))
        return self._session.create_client(service, config=config, **options)


def service_name(client: Any) -> str:
    """ "dynamodb", "sqs", "s3": also the prefix of the service's IAM actions."""
    return str(client.meta.service_model.service_name)


def config_options(
    service: str, connections: int, environment: Mapping[str, str]
) -> dict[str, Any]:
    """The parameters of botocore's Config, which aiobotocore's takes too."""
    options: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "read_timeout": READ_TIMEOUT_S + (LONG_POLL_S if service == "sqs" else 0),
        "max_pool_connections": connections,
        "retries": {"mode": "standard", "total_max_attempts": ATTEMPTS},
        "tcp_keepalive": True,
    }
    if service == "s3" and ("AWS_ENDPOINT_URL" in environment or uses_localstack(environment)):
        # a stand-in has no DNS name for each bucket
        options["s3"] = {"addressing_style": "path"}
    return options


def client_options(service: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """Where the service is. botocore itself honours `AWS_ENDPOINT_URL`, but of the region's two
    variables only `AWS_DEFAULT_REGION`."""
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    sockets = environment.get(WEBSOCKET_URL, "").strip()
    if service == "apigatewaymanagementapi" and sockets:
        return {"endpoint_url": _stage_endpoint(sockets, environment)} | (
            {"region_name": region} if region else {}
        )
    if not uses_localstack(environment):
        return {"region_name": region} if region else {}
    try:
        from localstack_client.config import get_service_endpoint
    except ImportError as error:
        raise Misconfigured("LocalStack is asked for: pip install localstack-client") from error
    return {
        "endpoint_url": get_service_endpoint(service, environment.get("LOCALSTACK_HOST")),
        "region_name": region or "us-east-1",
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
    }


def _stage_endpoint(sockets: str, environment: Mapping[str, str]) -> str:
    """Where a stage's connections are managed: the stage itself, where others connect with wss://.

    A stand-in has all APIs at one address, below the path that LocalStack came up with.
    """
    stand_in = environment.get("AWS_ENDPOINT_URL", "").strip()
    if stand_in and (found := re.fullmatch(r"wss://(\w+)\.execute-api\.[^/]+/(\w+)", sockets)):
        return f"{stand_in.rstrip('/')}/_aws/execute-api/{found[1]}/{found[2]}"
    return f"http{sockets.removeprefix('ws').removeprefix('http')}"


def uses_localstack(environment: Mapping[str, str]) -> bool:
    return "LOCALSTACK_HOST" in environment or environment.get("TIDESTEP_LOCALSTACK") == "1"
