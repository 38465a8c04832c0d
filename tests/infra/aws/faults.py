"""AWS as it is on a bad day: faults between botocore and moto, where adapters cannot see them.

What must stay true
- A fault is one that AWS or the network may show: requests throttled, timed out before or after
  they were carried out, connections refused or cut, batches carried out in part, transactions in
  each other's way, messages delivered twice or after their deletion. botocore retries what it
  retries.
- The rate rises in storms, in which botocore's own retries are not enough.
- A transaction's token is honoured, which moto does not do; and requests are carried out one after
  the other, which moto's queues need.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import RLock
from typing import Any
from unittest.mock import patch

from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError
from botocore.retries.standard import ExponentialBackoff
from moto.core.botocore_stubber import BotocoreStubber

CALM, STORM = 0.03, 0.6
"""Faults per request."""
CALM_REQUESTS, STORM_REQUESTS = 240, 60
RETRY_S = 0.01
"""How long botocore waits before it tries again, here."""

Response = tuple[int, dict[str, str], Any]
Carry = Callable[[Any], Response]

_OWN: dict[str, list[str]] = {
    "SendMessageBatch": ["partial", "twice"],
    "DeleteMessageBatch": ["partial", "forgotten"],
    "SendMessage": ["twice"],
    "DeleteMessage": ["forgotten"],
    "BatchWriteItem": ["partial"],
    "BatchGetItem": ["partial"],
    "TransactWriteItems": ["contended"],
    "PutItem": ["contended"],
}
_ANY = [
    "throttled",
    "error before",
    "error after",
    "timeout before",
    "timeout after",
    "refused",
    "cut",
]


class Faults:
    """The faults of one account, drawn by a seed. `counted` says how many of each kind."""

    def __init__(self, seed: int, speed: float) -> None:
        """Time runs `speed` times as fast: delays are so many times as short."""
        self.counted: Counter[str] = Counter()
        self.active = True
        self._random = random.Random(f"faults {seed}")
        self._speed = speed
        self._lock = RLock()
        self._requests = 0
        self._tokens: dict[str, Response] = {}

    def answer(self, request: Any, carry: Carry) -> Response:
        """The answer to a request that `carry` would carry out, or a failure of the network."""
        with self._lock:
            return self._answer(request, carry)

    def _answer(self, request: Any, carry: Carry) -> Response:
        operation = _operation(request)
        if operation.startswith("SendMessage"):
            self._hasten(request)
        fault = self._draw(operation)
        if fault == "throttled":
            return _refusal(request, 400, "ThrottlingException")
        if fault == "contended":
            return _contended(request, operation)
        if fault == "error before":
            return _refusal(request, 500, "InternalServerError")
        if fault == "timeout before":
            raise ReadTimeoutError(endpoint_url=request.url)
        if fault == "refused":
            raise EndpointConnectionError(endpoint_url=request.url)
        if fault == "forgotten":
            return _forgotten(request, operation)
        if fault == "partial":
            return self._partial(request, operation, carry)
        response = self._carried_out(request, operation, carry)
        if fault == "twice":
            return carry(request)
        if fault == "error after":
            return _refusal(request, 500, "InternalServerError")
        if fault == "timeout after":
            raise ReadTimeoutError(endpoint_url=request.url)
        if fault == "cut":
            raise ConnectionClosedError(endpoint_url=request.url)
        return response

    def _draw(self, operation: str) -> str:
        """The fault of this request; "" for none."""
        if not self.active or not operation:
            return ""
        self._requests += 1
        storm = self._requests % (CALM_REQUESTS + STORM_REQUESTS) >= CALM_REQUESTS
        rare = "Batch" in operation  # and most interesting
        if self._random.random() >= (STORM if storm or rare else CALM):
            return ""
        kinds = _ANY
        if operation in _OWN and self._random.random() < 0.5:
            kinds = _OWN[operation]
        fault = self._random.choice(kinds)
        self.counted[fault] += 1
        return fault

    def _hasten(self, request: Any) -> None:
        body = json.loads(request.body)
        for entry in body.get("Entries", [body]):
            if "DelaySeconds" in entry:  # rounded up and down: some come late, some early
                entry["DelaySeconds"] = int(
                    entry["DelaySeconds"] / self._speed + self._random.random()
                )
        _put_body(request, body)

    def _carried_out(self, request: Any, operation: str, carry: Carry) -> Response:
        if operation != "TransactWriteItems":
            return carry(request)
        token = json.loads(request.body)["ClientRequestToken"]
        if token in self._tokens:
            return self._tokens[token]
        response = carry(request)
        if response[0] == 200:
            self._tokens[token] = response
        return response

    def _partial(self, request: Any, operation: str, carry: Carry) -> Response:
        """Carries out some of a batch's entries, and says which it has not."""
        body = json.loads(request.body)
        entries = _entries(body)
        left = [entry for entry in entries if self._random.random() < 0.5]
        done = [entry for entry in entries if entry not in left]
        entries[:] = done
        answer: dict[str, Any] = {"Successful": []} if "Entries" in body else {}
        if done:
            _put_body(request, body)
            status, _, text = carry(request)
            answer = json.loads(text)
            if status != 200:
                return _json(status, answer)
        entries[:] = left
        if "Entries" in body:
            answer["Failed"] = [
                {"Id": each["Id"], "SenderFault": False, "Code": "InternalError"} for each in left
            ]
        elif operation == "BatchWriteItem":
            answer["UnprocessedItems"] = body["RequestItems"] if left else {}
        else:
            answer.setdefault("Responses", {})
            answer["UnprocessedKeys"] = body["RequestItems"] if left else {}
        return _json(200, answer)


@contextmanager
def injected(faults: Faults) -> Iterator[None]:
    """All requests to moto, of whichever client in this process, meet these faults."""
    original = BotocoreStubber.process_request

    def process_request(stubber: BotocoreStubber, request: Any) -> Any:
        return faults.answer(request, lambda each: original(stubber, each))  # type: ignore[arg-type, return-value]

    with ExitStack() as patches:
        patches.enter_context(patch.object(BotocoreStubber, "process_request", process_request))
        patches.enter_context(patch.object(ExponentialBackoff, "delay_amount", lambda *_: RETRY_S))
        yield


def _operation(request: Any) -> str:
    """ "PutItem", "SendMessage", ...; "" for what is not DynamoDB's or SQS's."""
    target = request.headers.get("X-Amz-Target", b"")
    name = target.decode() if isinstance(target, bytes) else str(target)
    return name.rpartition(".")[2]


def _entries(body: dict[str, Any]) -> list[Any]:
    if "Entries" in body:
        entries: list[Any] = body["Entries"]
        return entries
    ((_, wanted),) = body["RequestItems"].items()
    requests: list[Any] = wanted["Keys"] if isinstance(wanted, dict) else wanted
    return requests


def _put_body(request: Any, body: dict[str, Any]) -> None:
    request.body = json.dumps(body).encode()
    del request.headers["Content-Length"]
    request.headers["Content-Length"] = str(len(request.body))


def _json(status: int, body: dict[str, Any]) -> Response:
    return status, {"content-type": "application/x-amz-json-1.0"}, json.dumps(body)


def _refusal(request: Any, status: int, code: str) -> Response:
    return _json(status, {"__type": f"com.amazonaws#{code}", "message": "injected"})


def _contended(request: Any, operation: str) -> Response:
    if operation == "PutItem":
        return _refusal(request, 400, "TransactionConflictException")
    items = json.loads(request.body)["TransactItems"]
    reasons = [{"Code": "TransactionConflict", "Message": "injected"}] + [
        {"Code": "None"} for _ in items[1:]
    ]
    return _json(
        400,
        {
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "message": "injected",
            "CancellationReasons": reasons,
        },
    )


def _forgotten(request: Any, operation: str) -> Response:
    """The deletion of messages that come again all the same."""
    if operation == "DeleteMessage":
        return _json(200, {})
    entries = json.loads(request.body)["Entries"]
    return _json(200, {"Successful": [{"Id": each["Id"]} for each in entries], "Failed": []})
