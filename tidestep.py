"""Tidestep's public face: everything a workflow's author imports, and nothing else.

from tidestep import actor, Context

`StatefulActor`, decorated with `@stateful_actor`, is an actor that sleeps and is woken by requests.
`visiting` opens a database file for programs that start, signal, cancel, retry and fork runs;
`run_key` makes the address of a run.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from engine.actors import Actor, Context, Emit, Retry, Sleep, Wait, actor
from engine.errors import PermanentFailure, TidestepError
from engine.layout import run_key

if TYPE_CHECKING:
    from engine.documents import Workflow
    from engine.stateful import (
        Request,
        Response,
        SocketClosed,
        StatefulActor,
        WebSocket,
        stateful_actor,
    )
    from infra.local.embedded import visiting

__all__ = [
    "Actor",
    "Context",
    "Emit",
    "PermanentFailure",
    "Request",
    "Response",
    "Retry",
    "Sleep",
    "SocketClosed",
    "StatefulActor",
    "TidestepError",
    "Wait",
    "WebSocket",
    "Workflow",
    "actor",
    "run_key",
    "stateful_actor",
    "visiting",
]


_STATEFUL = (
    "Request",
    "Response",
    "SocketClosed",
    "StatefulActor",
    "WebSocket",
    "stateful_actor",
)
_LATER = {
    "Workflow": "engine.documents",
    "visiting": "infra.local.embedded",
    **dict.fromkeys(_STATEFUL, "engine.stateful"),
}


def __getattr__(name: str) -> Any:
    """`Workflow` brings pydantic, `visiting` SQLite and the stateful actors their whole runner,
    which running steps should not cost."""
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'tidestep' has no attribute {name!r}")
