"""The composition root of the functions: settings, adapters and actors, once per process.

What one function needs and the others do not is imported there. S3 is opened when the first large
value comes along.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from engine.actors import Registry, load_registry
from engine.callback_links import Callbacks
from engine.dispatcher import Dispatcher
from engine.errors import TidestepError
from engine.ordered import OrderedJournal
from engine.ports import Journal, Platform
from infra.aws.client import WEBSOCKET_URL, ThreadedClients
from infra.aws.deployed import app_environment
from infra.aws.dynamodb import DynamoStore
from infra.aws.s3 import S3Blobs
from infra.aws.settings import AwsSettings
from infra.aws.sqs import SqsQueue
from infra.callbacks import callbacks_from
from infra.limits import limits_from
from infra.system import EnvironmentSecrets, SystemClock, SystemEntropy, exposed

if TYPE_CHECKING:
    from engine.allocation.ports import Allocation


def in_init_phase(*needed: Callable[[], object]) -> None:
    """Make what invocations need while Lambda gives the new process a whole processor.

    What is wrong with it is left to the invocation that needs it, which can answer with it.
    """
    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
        with suppress(TidestepError):
            for make in needed:
                make()


@cache
def environment() -> Mapping[str, str]:
    """The process's own, with what the application is given in it. Raises Misconfigured."""
    os.environ.update(app_environment(os.environ))
    return os.environ


@cache
def settings() -> AwsSettings:
    """Raises Misconfigured, naming every variable that is missing."""
    return AwsSettings.from_env(environment())


@cache
def clients() -> ThreadedClients:
    return ThreadedClients()


@cache
def journal() -> Journal:
    """Runs in DynamoDB, messages on SQS."""
    store = DynamoStore(clients().client("dynamodb"), settings().table)
    return OrderedJournal(store, SqsQueue(clients().client("sqs"), settings().queue_url))


@cache
def callbacks() -> Callbacks:
    """The keys of callbacks, and where callbacks come in. Raises Misconfigured."""
    return callbacks_from(os.environ, journal(), SystemClock(), SystemEntropy())


def allocation() -> Allocation | None:
    """How runners are reached and started, where the environment says so."""
    if not os.environ.get(WEBSOCKET_URL, "").strip():
        return None
    from infra.aws.allocation import allocation_from

    return allocation_from(os.environ, clients().later)


@cache
def platform() -> Platform:
    """The engine's ports on DynamoDB, SQS, S3 and, for stateful actors, API Gateway."""
    return Platform(
        journal=journal(),
        blobs=S3Blobs(lambda: clients().later("s3"), settings().bucket),
        clock=SystemClock(),
        entropy=SystemEntropy(),
        secrets=EnvironmentSecrets(environment()),
        callbacks=callbacks(),
        allocation=allocation(),
        env=exposed(environment(), settings().expose_env),
        limits=limits_from(environment()),
    )


@cache
def actors() -> Registry:
    """The actors of `TIDESTEP_ACTORS` and the library."""
    return load_registry(settings().actors)


@cache
def dispatcher() -> Dispatcher:
    return Dispatcher(platform(), actors())
