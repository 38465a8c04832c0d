"""Items of a size, as we count it."""

from __future__ import annotations

from infra.aws.sizes import item_size
from infra.aws.table import Attributes


def filled(attributes: Attributes, size: int) -> Attributes:
    """These with a body that makes them so many bytes."""
    rest = item_size({**attributes, "b": {"B": b""}})
    return {**attributes, "b": {"B": bytes(size - rest)}}
