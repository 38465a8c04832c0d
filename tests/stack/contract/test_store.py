"""The store on DynamoDB as both stand-ins have it."""

from __future__ import annotations

from tests.infra.aws import test_dynamodb, test_dynamodb_swaps, test_table
from tests.stack.contract.suite import asking_for

globals().update(asking_for({"clients", "store"}, test_dynamodb, test_dynamodb_swaps, test_table))
