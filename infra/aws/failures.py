"""Foreign errors end here: what botocore or the network says becomes what an operator can do.

What must stay true: no exception of botocore, aiohttp or the socket layer leaves this package. A
message names service, operation and target, and ends with what to do. Two refusals are answers and
not errors, `ConditionFailed` and `Gone`; the adapters turn them into what their ports promise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from engine.errors import Misconfigured, PlatformError, StoreUnusable, TidestepError, TooLarge


class ConditionFailed(Exception):
    """The condition of a write did not hold. `item` is the one that stood in the way, if told.

    `place` counts from 0 in a transaction, and names the first of its items whose condition failed.
    """

    def __init__(self, item: dict[str, Any] | None = None, place: int = 0) -> None:
        super().__init__("the condition of a write did not hold")
        self.item = item
        self.place = place


class Gone(Exception):
    """What the request names is not there (any more): an object, or a message's receipt."""


class Contended(StoreUnusable):
    """Nothing was written, because of other requests for the same items: it may be tried again."""


class Unsupported(StoreUnusable):
    """The endpoint does not know this operation: as a rule a stand-in, not AWS."""


_MISSING = {
    "ResourceNotFoundException": "table does not exist: check TIDESTEP_TABLE and the region",
    "QueueDoesNotExist": "queue does not exist: check TIDESTEP_QUEUE_URL and the region",
    "NonExistentQueue": "queue does not exist: check TIDESTEP_QUEUE_URL and the region",
    "NoSuchBucket": "bucket does not exist: check TIDESTEP_BUCKET and the region",
}
_GONE = {"NoSuchKey", "404", "ReceiptHandleIsInvalid", "MessageNotInflight", "GoneException", "410"}
_CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "ForbiddenException",
    "KMS.AccessDeniedException",
    "403",
}
_THROTTLED = {
    "KmsThrottled",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "SlowDown",
    "ThrottlingException",
    "TooManyRequestsException",
}
_CONTENDED = {"ProvisionedThroughputExceeded", "ThrottlingError", "TransactionConflict"}
"""Reasons for cancelling a transaction that pass."""


@contextmanager
def translated(service: str, operation: str, parameters: Mapping[str, Any]) -> Iterator[None]:
    """Foreign exceptions from inside come out as our own; a bug of ours comes out as it is."""
    try:
        yield
    except (TidestepError, ConditionFailed, Gone):
        raise
    except Exception as error:
        from botocore.exceptions import BotoCoreError, ClientError

        where = " ".join(filter(None, (service, operation, _target(parameters))))
        if isinstance(error, ClientError):
            raise _from_answer(service, where, error) from error
        if isinstance(error, BotoCoreError):
            raise _from_client(where, error) from error
        if isinstance(error, OSError) or type(error).__module__.startswith("aiohttp."):
            raise StoreUnusable(f"{where}: {error!r}; check the network") from error
        raise


def entry_failure(service: str, operation: str, code: str, message: str) -> Exception:
    """What the failure of one entry of a batch, which AWS answers with 200, stands for."""
    from botocore.exceptions import ClientError

    answer = {"Error": {"Code": code, "Message": message}}
    return _from_answer(service, f"{service} {operation}", ClientError(answer, operation))


def _from_answer(service: str, where: str, error: Any) -> Exception:
    details = error.response.get("Error", {})
    code = str(details.get("Code", "")).removeprefix("AWS.SimpleQueueService.")
    said = f"{where}: {code}: {details.get('Message', '')}".rstrip(": ")
    if code == "TransactionCanceledException":
        return _from_reasons(where, said, error.response.get("CancellationReasons", ()))
    if code == "TransactionConflictException":
        return Contended(f"{said}; another transaction holds the item: it will be tried again")
    if code == "ConditionalCheckFailedException":
        return ConditionFailed(error.response.get("Item"))
    if code in _GONE or "receipt handle has expired" in said.lower():
        return Gone(said)
    if service == "apigatewaymanagementapi" and _no_connection(code, said):
        return Gone(said)
    if service == "lambda" and code == "ResourceNotFoundException":
        return Misconfigured(f"{where}: the function does not exist: check TIDESTEP_POOL_FUNCTION")
    if code in _MISSING:
        return Misconfigured(f"{where}: the {_MISSING[code]}")
    if "specified index" in said:
        return Misconfigured(f"{said}; the table lacks an index: deploy the template again")
    if code in _DENIED:
        action = _action(service, error.operation_name)
        return Misconfigured(f"{said}; allow this role the action {action}")
    if code in _CREDENTIALS:
        return Misconfigured(f"{said}; check the credentials of this process")
    if code in _THROTTLED:
        return StoreUnusable(f"{said}; still throttled after retries: it will be tried again")
    if "item size" in said.lower() or code in ("PayloadTooLargeException", "413"):
        return TooLarge(said)
    if code in ("UnknownOperationException", "UnknownOperation"):
        return Unsupported(said)
    return StoreUnusable(said)


def _from_reasons(where: str, said: str, reasons: Sequence[Mapping[str, Any]]) -> Exception:
    """A transaction's reasons are one for each of its items, "None" for those that may be.

    Whether the first item's condition held counts before the others': where nobody could tell, a
    repetition must, and theirs say nothing yet.
    """
    codes = [reason.get("Code", "None") for reason in reasons]
    undecided = bool(codes) and codes[0] in _CONTENDED
    if "ConditionalCheckFailed" in codes and not undecided:
        place = codes.index("ConditionalCheckFailed")
        return ConditionFailed(reasons[place].get("Item"), place)
    stood = [reason for reason in reasons if reason.get("Code", "None") != "None"]
    why = "; ".join(f"{reason['Code']}: {reason.get('Message', '')}" for reason in stood)
    passing = {*_CONTENDED, "ConditionalCheckFailed"}
    if stood and all(reason["Code"] in passing for reason in stood):
        return Contended(f"{where}: {why}; it will be tried again")
    if "item size" in why.lower():
        return TooLarge(f"{where}: {why}")
    return StoreUnusable(f"{where}: {why}" if why else said)


def _from_client(where: str, error: Exception) -> PlatformError:
    from botocore import exceptions as boto

    if isinstance(error, boto.NoRegionError):
        return Misconfigured(f"{where}: no region; set AWS_REGION")
    if isinstance(error, boto.ProfileNotFound):
        return Misconfigured(f"{where}: {error}; check AWS_PROFILE")
    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError):
        return Misconfigured(f"{where}: {error}; give this process credentials or a role")
    if isinstance(error, boto.HTTPClientError | boto.ConnectionError):
        return StoreUnusable(f"{where}: {error}; check the network and AWS_ENDPOINT_URL")
    return StoreUnusable(f"{where}: {error}")


def _action(service: str, operation: str) -> str:
    """The IAM actions of an operation: batches of SQS and transactions have none of their own."""
    if operation == "TransactWriteItems":
        return f"{service}:PutItem, DeleteItem or ConditionCheckItem"
    if service == "sqs":
        operation = operation.removesuffix("Batch")
    if service == "apigatewaymanagementapi":
        return "execute-api:ManageConnections"
    if (service, operation) == ("lambda", "Invoke"):
        return "lambda:InvokeFunction"
    return f"{service}:{operation}"


def _no_connection(code: str, said: str) -> bool:
    """API Gateway has more than one answer for a connection that it does not know: "forbidden",
    which names the action where the role is what lacks, and "invalid"."""
    if code in ("ForbiddenException", "403"):
        return "not authorized" not in said
    return code in ("BadRequestException", "400") and "connectionid" in said.lower()


def _target(parameters: Mapping[str, Any]) -> str:
    for name in ("TableName", "QueueUrl", "Bucket", "FunctionName"):
        if name in parameters:
            return str(parameters[name])
    if "TransactItems" in parameters:
        return str(parameters["TransactItems"][0]["Put"]["TableName"])
    return ", ".join(parameters.get("RequestItems", ()))
