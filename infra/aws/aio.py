"""`AwsClient` over aiobotocore: for workers that live long and keep hundreds of steps in flight.

Kept apart because importing it takes twice as long as botocore alone; a Lambda function never does.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from infra.aws.client import client_options, config_options, service_name
from infra.aws.failures import translated


class AsyncClient:
    """Implements `AwsClient` over an open aiobotocore client, on the loop that opened it."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        with translated(service_name(self._client), operation, parameters):
            answer: dict[str, Any] = await getattr(self._client, operation)(**parameters)
            if hasattr(answer.get("Body"), "read"):
                async with answer["Body"] as stream:
                    answer["Body"] = await stream.read()
            return answer


class AsyncClients:
    """The clients of one event loop; closes their connections when its `async with` ends."""

    def __init__(self, connections: int = 64, environment: Mapping[str, str] = os.environ) -> None:
        self._connections = connections
        self._environment = environment
        self._session = get_session()
        self._opening = asyncio.Lock()
        self._open = AsyncExitStack()
        self._clients: dict[str, AsyncClient] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._open.aclose()

    async def client(self, service: str) -> AsyncClient:
        """The client of a service, made on first use."""
        async with self._opening:
            if service not in self._clients:
                with translated(service, "open", {}):
                    self._clients[service] = AsyncClient(await self._create(service))
            return self._clients[service]

    async def _create(self, service: str) -> Any:
        options = client_options(service, self._environment)
        config = AioConfig(**config_options(service, self._connections, self._environment))
        context = self._session.create_client(service, config=config, **options)
        return await self._open.enter_async_context(context)
