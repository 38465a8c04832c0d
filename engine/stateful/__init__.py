"""Stateful actors that sleep: what their authors write, and the runner that hosts them.

Nothing here opens a socket or has a clock of its own: `infra.runner` connects a Runner to the
world, and `engine.allocation.frames` is the language that it speaks.
"""

from engine.stateful.actor import StatefulActor
from engine.stateful.connection import Connect, Connection, ConnectionLost
from engine.stateful.declaring import Definition, definition_of, stateful_actor
from engine.stateful.exchange import Request, Response
from engine.stateful.kv import KeyValues
from engine.stateful.runner import Runner
from engine.stateful.sockets import SocketClosed, WebSocket

__all__ = [
    "Connect",
    "Connection",
    "ConnectionLost",
    "Definition",
    "KeyValues",
    "Request",
    "Response",
    "Runner",
    "SocketClosed",
    "StatefulActor",
    "WebSocket",
    "definition_of",
    "stateful_actor",
]
