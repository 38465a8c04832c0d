"""Inputs at the limit and beyond it over HTTP, and the functions' own limits."""

from __future__ import annotations

import json
import os
from unittest.mock import patch

from engine.ports import Limits
from tests.functions.conftest import Stack

LIMIT = Limits().input_bytes
FRAME = len('{"sku":"","quantity":1}')


def body(size: int, run: str) -> str:
    """A request whose input has `size` bytes of JSON."""
    return json.dumps({"id": run, "input": {"sku": "x" * (size - FRAME), "quantity": 1}})


def test_an_input_of_exactly_the_limit_is_taken_and_one_byte_more_is_not(stack: Stack) -> None:
    status, answer = stack.start(body=body(LIMIT, "at"))
    assert (status, answer["created"]) == (201, True)
    (record,) = stack.receive()
    assert "at" in record["body"]

    status, answer = stack.start(body=body(LIMIT + 1, "above"))
    assert (status, answer["error"]["type"]) == (422, "InvalidInput")
    assert answer["error"]["message"] == (
        "the input has 1,048,577 bytes of JSON; the limit is 1,048,576"
    )
    assert stack.read("above")[0] == 404
    assert stack.receive() == []


def test_the_functions_obey_their_environment(stack: Stack) -> None:
    from functions.application import platform

    with patch.dict(os.environ, {"TIDESTEP_LIMIT_INPUT_BYTES": "5"}):
        assert platform.__wrapped__().limits == Limits(input_bytes=5)
