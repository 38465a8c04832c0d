"""How a request fails: worth another attempt, or not.

What must stay true: `retryable` says whether the same request may fare better later. The messages
show a place as `place_of` does, and no value of the query or of headers.
"""

from __future__ import annotations

from typing import ClassVar

from engine.errors import PermanentFailure, TidestepError


class HttpError(TidestepError):
    """The server answered 408, 429 or 5xx: it may answer otherwise later."""

    retryable: ClassVar[bool] = True


class HttpTransportError(HttpError):
    """No complete answer came: no such host, no connection, a broken one, or too slow."""


class HttpRejected(PermanentFailure):
    """The server answered with a status that the node does not expect and that will not change."""
