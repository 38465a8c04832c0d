"""How long allocation waits for what, and how often it tries. Times are milliseconds.

The defaults are those of the embedded backend and of the seed's source (rivet, November 2025); the
composition root of AWS sets longer ones where each ping costs an invocation.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AllocationSettings:
    """`ping_ms` < `eligible_ms` < `lost_ms`, or runners come and go although they live."""

    start_ms: int = 30_000
    """Within which a runner must report that it has taken an actor over."""
    stop_ms: int = 30_000
    """Within which it must report that it has let one go."""
    ping_ms: int = 3_000
    eligible_ms: int = 10_000
    """A runner whose last ping is older is given no actors."""
    lost_ms: int = 15_000
    """A runner whose last ping is older is lost, and its actors are given to others."""
    pending_ms: int = 60_000
    """How long an actor that a request has woken, or a restart, waits for a free slot."""
    backoff_ms: int = 2_000
    backoff_doublings: int = 8
    backoff_jitter_ms: int = 500
    backoff_reset_ms: int = 600_000
    """After this long without a crash the next one is the first again."""
    drain_ms: int = 5_000
    """From a runner's stop until its connection is closed."""
    scale_down_ms: int = 1_000
    """How long there must be a runner too many before one is stopped: a deferred wake takes the
    slot that it needs."""
    connect_ms: int = 30_000
    """Within which a runner that the pool has asked for must be there."""
    lifespan_most_ms: int = 86_400_000
    """A pool's runners live no longer, whatever it says: nobody here can hold their requests."""
    ready_ms: int = 25_000
    """How long a request waits for its actor, all its tries together: API Gateway gives up after
    29 s."""
    request_ms: int = 28_000
    """How long a request may take in all."""
    wakes: int = 8
    """How often one request wakes an actor that stops again before it could be reached."""
    tries: int = 7
    """How often one request is sent to an actor that stops while it waits for the answer."""
    poll_ms: int = 50
    """How often a gateway looks where nobody tells it of changes; doubles to `poll_most_ms`."""
    poll_most_ms: int = 250


DEFAULTS = AllocationSettings()
