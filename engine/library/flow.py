"""Actors that direct the flow: branch, switch, sleep, wait."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from engine.actors.actor import actor
from engine.actors.context import Context
from engine.actors.outcomes import Emit, Sleep, Wait
from engine.errors import InvalidValue

OTHERWISE = "default"


@actor("flow.branch", outports=("true", "false"))
async def branch(message: Any, *, condition: bool) -> Emit:
    """Send the message out of `true` or `false`, as the condition says."""
    return Emit("true" if condition else "false", message)


def _cases(config: Mapping[str, Any]) -> tuple[str, ...]:
    cases = config.get("cases")
    names = tuple(str(case) for case in cases) if isinstance(cases, list | Mapping) else ()
    return (*names, OTHERWISE)


@actor("flow.switch", outports=_cases)
async def switch(
    message: Any, *, value: Any, cases: list[str | int | bool] | dict[str, Any]
) -> Emit:
    """Send the message out of the port of the case that equals the value, else `default`.

    `cases` is a list of values, which are also the ports' names, or a mapping from a port's name
    to its value; the first equal one wins.
    """
    pairs = cases.items() if isinstance(cases, dict) else ((str(case), case) for case in cases)
    for port, case in pairs:
        if type(case) is type(value) and case == value:
            return Emit(port, message)
    return Emit(OTHERWISE, message)


@actor("flow.sleep")
async def sleep(
    message: Any, context: Context, *, seconds: float | None = None, until: str | None = None
) -> Any:
    """Wait `seconds`, or `until` an ISO 8601 time with an offset, then pass the message on."""
    if context.resumed == "sleep":
        return message
    if (seconds is None) == (until is None):
        raise InvalidValue("config needs either 'seconds' or 'until'")
    if until is None:
        if not 0 <= (seconds or 0) <= _LONGEST_S:
            raise InvalidValue(f"config.seconds is {seconds}; it must be 0 to {_LONGEST_S}")
        return Sleep(seconds or 0)
    try:
        moment = datetime.fromisoformat(until)
    except ValueError as error:
        raise InvalidValue(f"config.until: {until!r} is not an ISO 8601 time") from error
    if moment.tzinfo is None:
        raise InvalidValue(f"config.until: {until!r} has no offset; add 'Z' or '+02:00'")
    return Sleep(moment)


@actor("flow.wait", outports=("out", "timeout"))
async def wait(
    message: Any,
    context: Context,
    *,
    signal: str,
    timeout: float | None = None,  # noqa: ASYNC109 - a setting of the document
) -> Emit | Wait:
    """Wait for the signal of this name, and send its payload out of `out`.

    After `timeout` seconds without one, the message goes out of `timeout` instead.
    """
    if context.resumed == "signal":
        return Emit("out", context.signal)
    if context.resumed == "timeout":
        return Emit("timeout", message)
    if timeout is not None and not 0 <= timeout <= _LONGEST_S:
        raise InvalidValue(f"config.timeout is {timeout}; it must be 0 to {_LONGEST_S}")
    return Wait(signal, timeout)


_LONGEST_S = 100 * 366 * 86_400
