"""Actors that the workflows of these tests use: `--actors tests.infra.local.cli.actors`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from engine.actors import Context, Retry, actor
from engine.errors import PermanentFailure


@actor("test.greet")
async def greet(message: Any, *, name: str = "world") -> dict[str, str]:
    """Greet somebody."""
    print("an actor prints")
    return {"hello": name}


@actor("test.decline")
async def decline(message: Any) -> None:
    raise PermanentFailure("the card was declined")


@actor("test.flaky", retry=Retry(max_attempts=2, interval=0))
async def flaky(message: Any, context: Context) -> int:
    if context.attempt == 1:
        raise ConnectionError("the bank does not answer")
    return context.attempt


@actor("test.gate")
def gate(message: Any, *, reached: str, door: str) -> str:
    """Note in the file `reached` that it runs, and wait until there is a file `door`."""
    with Path(reached).open("a") as file:
        file.write("x")
    while not Path(door).exists():
        time.sleep(0.01)
    return "through"


@actor("test.note")
def note(message: Any, *, file: str) -> Any:
    """A plain function: add a line to a file."""
    with Path(file).open("a") as stream:
        stream.write("noted\n")
    return message


@actor("test.needs")
def needs(message: Any, *, file: str) -> Any:
    """Fails as long as there is no such file."""
    if not Path(file).exists():
        raise ConnectionError(f"no {file}")
    return message


@actor("test.both")
async def both(left: Any, right: Any) -> list[Any]:
    return [left, right]
