"""An empty AWS account in this process, whose conditional writes are atomic as AWS's are.

moto 5.2 looks at a condition and writes the item without a lock in between, so that two threads may
both win a compare-and-swap; a lock around its PutItem mends that.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any
from unittest.mock import patch

from moto import mock_aws
from moto.dynamodb.models import DynamoDBBackend

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@contextmanager
def empty_account() -> Iterator[None]:
    lock, put_item = Lock(), DynamoDBBackend.put_item

    def atomic_put_item(backend: DynamoDBBackend, *args: Any, **options: Any) -> Any:
        with lock:
            return put_item(backend, *args, **options)

    with (
        patch.dict(os.environ, CREDENTIALS),
        mock_aws(),
        patch.object(DynamoDBBackend, "put_item", atomic_put_item),
    ):
        yield
