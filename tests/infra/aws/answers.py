"""What AWS answers with where it refuses, and what becomes of that at the seam."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import exceptions as boto

from infra.aws.failures import translated


def answer(code: str, message: str = "said", **rest: Any) -> boto.ClientError:
    return boto.ClientError({"Error": {"Code": code, "Message": message}, **rest}, "PutItem")


def convert(error: Exception, service: str = "dynamodb", **parameters: Any) -> Exception:
    with pytest.raises(Exception) as raised, translated(service, "put_item", parameters):
        raise error
    return raised.value
