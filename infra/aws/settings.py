"""What a deployed function or worker is told by its environment.

    TIDESTEP_TABLE            required  the DynamoDB table
    TIDESTEP_QUEUE_URL        required  the SQS queue of steps
    TIDESTEP_BUCKET           required  the S3 bucket of blobs
    TIDESTEP_ACTORS           optional  Python modules that define actors
    TIDESTEP_WORKFLOWS        optional  files or directories of workflows
    TIDESTEP_EXPOSE_ENV       optional  environment variables that expressions may read
    TIDESTEP_DEAD_LETTER_URL  optional  the dead-letter queue, where a worker is to look after it

Lists are separated by commas or spaces. `AWS_ENDPOINT_URL`, `LOCALSTACK_HOST` and
`TIDESTEP_LOCALSTACK` are the clients' (`infra.aws.client`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import msgspec

from engine.errors import Misconfigured


class AwsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The environment, read once by the composition root."""

    table: str
    queue_url: str
    bucket: str
    actors: tuple[str, ...] = ()
    workflows: tuple[str, ...] = ()
    expose_env: str = ""
    """As `infra.system.exposed` takes it."""
    dead_letter_url: str = ""
    """Empty where a function consumes the dead letters."""

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> Self:
        """Raises Misconfigured, which names everything that is missing."""
        required = ("TIDESTEP_TABLE", "TIDESTEP_QUEUE_URL", "TIDESTEP_BUCKET")
        missing = [name for name in required if not environment.get(name, "").strip()]
        if missing:
            raise Misconfigured(f"set these environment variables: {', '.join(missing)}")
        table, queue_url, bucket = (environment[name].strip() for name in required)
        return cls(
            table=table,
            queue_url=queue_url,
            bucket=bucket,
            actors=_listed(environment.get("TIDESTEP_ACTORS", "")),
            workflows=_listed(environment.get("TIDESTEP_WORKFLOWS", "")),
            expose_env=environment.get("TIDESTEP_EXPOSE_ENV", ""),
            dead_letter_url=environment.get("TIDESTEP_DEAD_LETTER_URL", "").strip(),
        )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())
