"""What an actor is told about the attempt that it runs in."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from engine.errors import Misconfigured


def no_callbacks() -> str:
    raise Misconfigured(
        "nobody serves callbacks here: set TIDESTEP_CALLBACK_URL, or work with `tidestep serve`"
    )


@dataclass(frozen=True, slots=True)
class Sending:
    """A signal that an attempt asks for; it is sent if the attempt's result is recorded."""

    receiver: str
    name: str
    payload: Any


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
    resumed: Literal["retry", "sleep", "signal", "timeout"] | None = None
    signal: Any = None
    """The payload of the signal that the node waited for."""
    state: Any = None
    """This node's own state, for an actor declared with `state=`: kept from visit to visit, saved
    with the result that changed it, and untouched by attempts that fail."""
    callback: Callable[[], str] = no_callbacks
    sendings: list[Sending] = field(default_factory=list)

    @property
    def callback_url(self) -> str:
        """The address whose first POST answers the next `Wait` of this visit.

        Hand it out before returning `Wait`: it is signed, the same in every attempt of the visit
        until that wait has ended, and works once. Raises Misconfigured where nobody serves it.
        """
        return self.callback()

    def send(self, run: str, name: str, payload: Any = None) -> None:
        """Signal another run of the same tenant once this attempt's result is recorded.

        It is sent exactly once, in order; an attempt that fails sends nothing.
        """
        self.sendings.append(Sending(run, name, payload))
