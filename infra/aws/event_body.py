"""The body of an HTTP request, as events of API Gateway and of function URLs carry it."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import Any


def body_of(event: Mapping[str, Any]) -> bytes:
    """The bytes that were sent; API Gateway encodes what it does not know to be text."""
    body: str = event.get("body") or ""
    return b64decode(body) if event.get("isBase64Encoded") else body.encode()
