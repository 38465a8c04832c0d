"""What an actor may return beside a plain value.

A plain value goes out of the actor's default port. To fail, an actor raises: any exception is
retried as the node's policy says, `PermanentFailure` never is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class Emit:
    """`value` goes out of the port named `port`."""

    port: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class Sleep:
    """Run the actor again later, with the same input and `Context.resumed == "sleep"`.

    `until` is an aware datetime, or a number of seconds or a timedelta from now. Nothing runs and
    nothing is paid for in between, however long that is.
    """

    until: datetime | timedelta | float
