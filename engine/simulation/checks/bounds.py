"""How large a head may be: as much as is pending in it asks for, whatever has happened (DESIGN §5).

All that could grow with a run's history has a bound here: results by the size of a page, states and
visits by the graph, signals and debts by themselves.
"""

from __future__ import annotations

from engine.attempt import MESSAGE_LIMIT
from engine.snapshot import PAGE_ENTRIES, Head, encode_head
from engine.values import INLINE_BYTES

HEAD_BYTES = 700
"""What a head may take beside what is pending in it: names, digests, times, the run's output."""


def too_large(head: Head) -> str:
    """What is too large about this head; empty for nothing."""
    if len(head.tail) > PAGE_ENTRIES:
        return f"{len(head.tail)} results lie in the head"
    size, most = len(encode_head(head)), _most_bytes(head)
    return f"the head has {size} bytes; what is pending asks for {most}" if size > most else ""


def _most_bytes(head: Head) -> int:
    """How large a head may be with what is pending in it, and its newest results."""
    value = INLINE_BYTES + 30
    queued = sum(len(queue) for queues in head.ports.values() for queue in queues)
    failures = sum(entry.failure is not None for entry in head.tail) + (head.failure is not None)
    pending = sum(100 + 6 * len(token.inputs) for token in head.frontier)
    entries = sum(150 + value + 6 * len(entry.inputs) for entry in head.tail)
    named = 250  # a run, a signal or a workflow may have a name of a hundred letters
    return (
        HEAD_BYTES
        + 2 * value
        + pending
        + entries
        + failures * (100 + 4 * MESSAGE_LIMIT)
        + 10 * (queued + 2 * len(head.ports) + len(head.visits) + len(head.latest))
        + (value + 10) * len(head.states)
        + (named + value) * (len(head.waits) + len(head.owed) + len(head.consumed))
    )
