"""Close a WebSocket, whatever has become of it."""

from __future__ import annotations

from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect

REASON_BYTES = 123
"""What a close frame has room for."""


async def close(socket: WebSocket, code: int, reason: str = "") -> None:
    """Nothing happens where either side has closed it already."""
    with suppress(WebSocketDisconnect, RuntimeError, OSError):
        await socket.close(code, _shortened(reason))


def sendable(code: int) -> int:
    """A close code that may be sent: some only say what has happened, and are nobody's to send."""
    if 1000 <= code <= 1014 and code not in (1004, 1005, 1006):
        return code
    if 3000 <= code <= 4999:
        return code
    return 1000 if code == 1005 else 1011


def _shortened(reason: str) -> str:
    return reason.encode(errors="replace")[:REASON_BYTES].decode(errors="ignore")
