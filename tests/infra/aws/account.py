"""An empty AWS account in this process, whose writes are atomic as AWS's are.

moto 5.2 looks at a condition and writes the item without a lock in between, so that two threads may
both win a compare-and-swap; and it takes a transaction back by putting the table of before in its
place, with whatever others have written since. A lock around the operations on items mends both.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from threading import RLock
from typing import Any
from unittest.mock import patch

from moto import mock_aws
from moto.dynamodb.models import DynamoDBBackend

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
}


OPERATIONS = ("put_item", "get_item", "delete_item", "query", "transact_write_items")


@contextmanager
def empty_account() -> Iterator[None]:
    with patch.dict(os.environ, CREDENTIALS), mock_aws(), atomic_writes():
        yield


@contextmanager
def atomic_writes() -> Iterator[None]:
    """For moto's table, wherever it was begun."""
    lock = RLock()  # a transaction puts its items one by one

    def alone(operation: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(operation)
        def locked(*args: Any, **options: Any) -> Any:
            with lock:
                return operation(*args, **options)

        return locked

    with ExitStack() as patches:
        for name in OPERATIONS:
            operation = getattr(DynamoDBBackend, name)
            patches.enter_context(patch.object(DynamoDBBackend, name, alone(operation)))
        yield
