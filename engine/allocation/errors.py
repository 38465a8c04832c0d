"""What a gateway answers where it cannot give an actor's own answer: a code, and when to try again.

All of them are the caller's to know and nobody's mistake of his: the wake goes on, and the same
request a little later is served as a rule.
"""

from __future__ import annotations

from typing import ClassVar

from engine.errors import TidestepError


class GatewayError(TidestepError):
    """`code` names the reason for programs; `retry_after_s` is 0 where trying again is no use."""

    retryable = True
    code: ClassVar[str] = "actor.unavailable"
    http_status = 503

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ActorNotReady(GatewayError):
    """The actor was woken, and could not be reached in time; the message says what it waits for."""

    code = "actor.ready_timeout"


class ActorBackingOff(GatewayError):
    """The actor has crashed, and is not started again before its pause is over."""

    code = "actor.backing_off"


class ActorKeepsStopping(GatewayError):
    """The actor stopped each time before it could be reached, or before it had answered."""

    code = "actor.wake_retries_exceeded"


class ActorTooSlow(GatewayError):
    """The actor has the request, and has not answered in time: it may still do what was asked."""

    code = "actor.response_timeout"
    http_status = 504


class ActorFailed(GatewayError):
    """The runner could not hand the request over, or its answer makes no sense."""

    code = "actor.failed"
    http_status = 502


class ActorGone(GatewayError):
    """The actor was destroyed while the request waited for it."""

    code = "actor.destroyed"
    http_status = 404

    def __init__(self, message: str) -> None:
        super().__init__(message, 0)


class TooManySockets(GatewayError):
    """As many users' WebSockets are open as the server takes."""

    code = "actor.too_many_sockets"
