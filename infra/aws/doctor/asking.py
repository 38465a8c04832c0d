"""Ask AWS, and take a refusal for an answer: it says what could not be seen, and why.

What must stay true: no request that fails raises here, so that it hides nothing but itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, TypeVar

import msgspec

from engine.errors import TidestepError
from infra.aws.client import AwsClient
from infra.aws.failures import Gone, Unsupported

Answer = dict[str, Any]

_DENIED = ("AccessDenied", "Forbidden", "Unauthorized", "NotAuthorized", "403")
"""How the codes of refusals for want of permission begin."""
_NOT_THERE = {
    "ResourceNotFoundException",
    "QueueDoesNotExist",
    "NonExistentQueue",
    "NoSuchBucket",
    "NoSuchEntity",
}
_ACTIONS = {
    "GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
}
"""Operations whose action is called otherwise."""


class Unseen(msgspec.Struct, frozen=True):
    """What could not be read, in a sentence. `action` is the IAM action that the caller lacks, if
    that is why."""

    reason: str
    action: str = ""
    gone: bool = False
    """Whether what was asked for is not there."""
    code: str = ""
    """AWS's, where it has answered."""


T = TypeVar("T")
Seen: TypeAlias = T | Unseen


class Clients(Protocol):
    """`infra.aws.client.ThreadedClients`, as far as the doctor needs it."""

    async def later(self, service: str) -> AwsClient: ...


class Asker:
    """The services of one account and region."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    async def ask(self, service: str, operation: str, **parameters: Any) -> Answer | Unseen:
        """The answer of an operation, named in snake_case."""
        try:
            return await self.must(service, operation, **parameters)
        except Exception as error:  # a proxy or stand-in may answer what botocore cannot parse
            return unseen(service, operation, error)

    async def must(self, service: str, operation: str, **parameters: Any) -> Answer:
        """The same, where nothing can be said without the answer: raises what the seam raises."""
        client = await self._clients.later(service)
        return await client.call(operation, **parameters)

    async def pages(
        self, service: str, operation: str, key: str, **parameters: Any
    ) -> list[Answer] | Unseen:
        """What stands under `key` on all pages of an operation that pages with `NextToken`."""
        found: list[Answer] = []
        while True:
            answer = await self.ask(service, operation, **parameters)
            if isinstance(answer, Unseen):
                return answer
            found += answer.get(key, ())
            if not answer.get("NextToken"):
                return found
            parameters["NextToken"] = answer["NextToken"]


def made(answer: Answer | Unseen, make: Callable[[Answer], T]) -> Seen[T]:
    """What `make` makes of an answer; an answer that it cannot read is as good as none."""
    if isinstance(answer, Unseen):
        return answer
    try:
        return make(answer)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        return Unseen(f"the answer is not as AWS's documentation has it: {error!r}")


def unseen(service: str, operation: str, error: Exception) -> Unseen:
    """What a request's failure says."""
    code = code_of(error)
    if not isinstance(error, TidestepError | Gone):
        first = next(iter(str(error).splitlines()), "")
        return Unseen(f"{service} {operation}: {type(error).__name__}: {first[:200]}")
    if isinstance(error, Unsupported) or code in ("404", "501", "NotImplemented"):
        return Unseen(f"{service} {operation}: this endpoint does not know it", code=code)
    if code.startswith(_DENIED):
        name = getattr(error.__cause__, "operation_name", operation)
        action = _ACTIONS.get(name, f"{service}:{name}")
        return Unseen("you may not look at it", action, code=code)
    return Unseen(str(error), gone=code in _NOT_THERE, code=code)


def code_of(error: BaseException) -> str:
    """AWS's code of the answer that an error of the seam was made of; empty where there is none."""
    response = getattr(error.__cause__, "response", None) or {}
    code = str(response.get("Error", {}).get("Code", ""))
    return code.removeprefix("AWS.SimpleQueueService.")
