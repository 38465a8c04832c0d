"""The queue and the blobs, on the stand-in that has SQS and S3."""

from __future__ import annotations

import pytest

from tests.infra.aws import test_s3, test_sqs
from tests.stack.contract.left_out import MINISTACK
from tests.stack.contract.suite import asking_for

pytestmark = pytest.mark.parametrize("stand_in", [MINISTACK], indirect=True)

globals().update(asking_for({"clients", "queue", "queue_url"}, test_sqs, test_s3))
