"""What an actor is told about the attempt that it runs in."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal


@dataclass(slots=True)
class Context:
    """Ask for it with a parameter annotated `Context`.

    `idempotency_key` is the same for every redelivery and every retry of one visit: pass it to
    whatever must not happen twice. `attempt` counts the executions of this visit, the first
    included. `deadline` is when the attempt is cut off. `resumed` says what an attempt that is not
    the first of its visit goes on from: a retry of an attempt that had slept still says "sleep".
    """

    tenant: str
    run_id: str
    workflow: str
    node: str
    visit: int
    attempt: int
    idempotency_key: str
    now: datetime
    """When the attempt began; recorded with it."""
    deadline: datetime
    log: logging.LoggerAdapter[logging.Logger]
    resumed: Literal["retry", "sleep", "signal"] | None = None
    signal: Any = None
    """The payload of the signal that the node waited for."""
    state: Any = None
    """This node's own state, for an actor declared with `state=`: kept from visit to visit, saved
    with the result that changed it, and untouched by attempts that fail."""
