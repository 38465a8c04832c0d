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


@dataclass(frozen=True, slots=True)
class Wait:
    """Run the actor again when a signal comes, with `Context.resumed == "signal"` and its payload
    in `Context.signal`; or, with a time-out, when that is over, with `"timeout"`.

    The signal is one of this `name`, or the answer to this wait's own `Context.callback_url`.
    `timeout` is an aware datetime, or a number of seconds or a timedelta from now; None waits as
    long as it takes. Nothing runs and nothing is paid for in between.
    """

    name: str
    timeout: datetime | timedelta | float | None = None
