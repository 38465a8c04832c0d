"""The composition root of the functions: settings, adapters and actors, once per process.

What one function needs and the others do not is imported there. S3 is opened when the first large
value comes along.
"""

from __future__ import annotations

import os
from functools import cache

from engine.actors import Registry, load_registry
from engine.dispatcher import Dispatcher
from engine.ordered import OrderedJournal
from engine.ports import Platform
from infra.aws.client import ThreadedClients
from infra.aws.dynamodb import DynamoStore
from infra.aws.s3 import S3Blobs
from infra.aws.settings import AwsSettings
from infra.aws.sqs import SqsQueue
from infra.system import EnvironmentSecrets, SystemClock, SystemEntropy, exposed


@cache
def settings() -> AwsSettings:
    """Raises Misconfigured, naming every variable that is missing."""
    return AwsSettings.from_env(os.environ)


@cache
def platform() -> Platform:
    """The engine's ports on DynamoDB, SQS and S3."""
    chosen = settings()
    clients = ThreadedClients()
    store = DynamoStore(clients.client("dynamodb"), chosen.table)
    queue = SqsQueue(clients.client("sqs"), chosen.queue_url)
    return Platform(
        journal=OrderedJournal(store, queue),
        blobs=S3Blobs(lambda: clients.later("s3"), chosen.bucket),
        clock=SystemClock(),
        entropy=SystemEntropy(),
        secrets=EnvironmentSecrets(os.environ),
        env=exposed(os.environ, chosen.expose_env),
    )


@cache
def actors() -> Registry:
    """The actors of `TIDESTEP_ACTORS` and the library."""
    return load_registry(settings().actors)


@cache
def dispatcher() -> Dispatcher:
    return Dispatcher(platform(), actors())
