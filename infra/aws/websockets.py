"""The connections of runners and of users, as API Gateway's WebSocket API holds them.

Whoever wants to send or close makes a request of its own, to the management API of that stage
(`infra.aws.client` knows where it is). The client is opened on first use: most invocations of the
dispatcher send nothing.

What must stay true: a connection that is closed, or that never was one, is `ConnectionGone` and no
error. API Gateway answers 410 as well before `$connect` has returned: nothing is sent from there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

from engine.allocation.ports import ConnectionGone
from infra.aws.client import AwsClient
from infra.aws.failures import Gone

SERVICE = "apigatewaymanagementapi"


class AwsSockets:
    """Implements `engine.allocation.ports.Sockets`. `open_client` may be called more than once."""

    def __init__(self, open_client: Callable[[], Awaitable[AwsClient]]) -> None:
        self._open_client = open_client

    async def post(self, connection: str, text: str) -> None:
        """Raises TooLarge for more than 128 KB, ConnectionGone, Misconfigured or StoreUnusable."""
        client = await self._open_client()
        try:
            await client.call("post_to_connection", ConnectionId=connection, Data=text.encode())
        except Gone as gone:
            raise ConnectionGone(connection) from gone

    async def close(self, connection: str) -> None:
        client = await self._open_client()
        with suppress(Gone):
            await client.call("delete_connection", ConnectionId=connection)
