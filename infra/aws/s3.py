"""Values too large for the table, as objects of one S3 bucket.

The client is opened on first use: most runs have no blob, and a client costs tenths of a second of
a cold start. The role needs `s3:ListBucket` beside `s3:GetObject` and `s3:PutObject`: without it S3
answers "access denied" for an object that is not there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from infra.aws.client import AwsClient
from infra.aws.failures import Gone


class S3Blobs:
    """Implements `engine.ports.Blobs`. `open_client` may be called more than once."""

    def __init__(self, open_client: Callable[[], Awaitable[AwsClient]], bucket: str) -> None:
        self._open_client = open_client
        self._bucket = bucket

    async def put(self, name: str, body: bytes) -> None:
        """Writing the same blob again is harmless."""
        client = await self._open_client()
        await client.call("put_object", Bucket=self._bucket, Key=name, Body=body)

    async def get(self, name: str) -> bytes | None:
        client = await self._open_client()
        try:
            answer = await client.call("get_object", Bucket=self._bucket, Key=name)
        except Gone:
            return None
        body: bytes = answer["Body"]
        return body
