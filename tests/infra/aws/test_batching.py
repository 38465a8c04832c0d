"""Sharing requests, from event loops that know nothing of each other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

from infra.aws.batching import Batching


def test_nobody_waits_for_a_request_of_another_event_loop() -> None:
    """A program may use one queue from several threads; each has a loop of its own."""
    requests: list[list[str]] = []
    begun, answered = threading.Event(), threading.Event()

    async def deliver(entries: Sequence[str]) -> list[None]:
        requests.append(list(entries))
        if "first" in entries:
            begun.set()
            await asyncio.to_thread(answered.wait)
        return [None] * len(entries)

    batching = Batching(deliver, lanes=1)
    other = threading.Thread(target=lambda: asyncio.run(batching.do("first")))
    other.start()
    try:
        begun.wait()
        asyncio.run(asyncio.wait_for(batching.do("second"), 10))
    finally:
        answered.set()
        other.join()
    assert requests == [["first"], ["second"]]
