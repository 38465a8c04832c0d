"""Walk a run through the pure core: no store, no queue, no actor.

It is how a history of ten thousand steps comes about in a second, to be measured (`engine_steps`)
or to be put into a store as if the run had got there by itself (`plant`).
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import NamedTuple

from benchmarks.shapes import Shape
from benchmarks.simulated import BEGUN_AT, PACE_MS, TOOK_MS, CountingEntropy, SimulatedClock
from engine.definition import encode_definition
from engine.layout import RunKey, page_item, run_key
from engine.messages import Message, decode_message
from engine.outcomes import Done, Settling
from engine.plan import Run, plan
from engine.ports import Commit, Item, Journal, Send
from engine.records import definition_item, head_record, token_sends
from engine.settle import Settled, settle
from engine.snapshot import Head, decode_head, encode_head, encode_page
from engine.starting import first_head

_PUT_AT_ONCE = 500


class Step(NamedTuple):
    """What goes into one step's pure half, and what comes out of it."""

    text: str
    message: Message
    body: bytes
    head: Head
    settling: Settling
    settled: Settled


class Walk:
    """A run of `shape` whose every output is `value`, from its start at `begun_at` to any step."""

    def __init__(self, shape: Shape, value: bytes, begun_at: int = BEGUN_AT) -> None:
        self.shape = shape
        self.key = run_key("r00000000000")
        self.clock = SimulatedClock(begun_at)
        self.entropy = CountingEntropy()
        self.body, self.digest = encode_definition(shape.definition)
        self.pages: list[Item] = []
        self._value = value
        self.head = first_head(shape.definition, self.digest, self.digest, value, begun_at)
        self._messages = deque(self.sends(self.key))

    def go(self, steps: int) -> None:
        """Go on up to step number `steps`."""
        while self.head.steps < steps:
            self._step(self.head)

    def record(self, steps: int) -> list[Step]:
        """Take so many more steps, each from the bytes that the last one left."""
        steps_taken = []
        for _ in range(steps):
            text, body = self._messages[0].body, encode_head(self.head)
            head = decode_head(body)
            settling, settled = self._step(head)
            taken = Step(text, decode_message(text), body, head, settling, settled)
            steps_taken.append(taken)
        return steps_taken

    def sends(self, key: RunKey) -> list[Send]:
        """Messages for all that is pending, in the name of run `key`."""
        now, new_id = self.clock.now(), self.entropy.new_id
        return token_sends(key, self.head, self.head.frontier, now, new_id)

    def _step(self, head: Head) -> tuple[Settling, Settled]:
        self.clock.ms += PACE_MS
        message = decode_message(self._messages.popleft().body)
        now = self.clock.now()
        decision = plan(head, message, now)
        assert isinstance(decision, Run)
        token = decision.token
        outcome = Done(self.shape.port(token.node), self._value)
        settling = Settling(token, outcome, message.sid, now, TOOK_MS)
        settled = settle(head, self.shape.definition, settling)
        if settled.page is not None:
            name = page_item(settled.page.first)
            self.pages.append(Item(self.key.partition, name, encode_page(settled.page)))
        self.head = settled.head
        new_id = self.entropy.new_id
        self._messages += token_sends(self.key, self.head, settled.ready, now, new_id)
        return settling, settled


async def plant(journal: Journal, walk: Walk, run: str) -> Commit:
    """Write everything of a walk but its head, as run `run`; the commit that makes it go on."""
    key = run_key(run)
    await journal.put([definition_item(key.tenant, walk.digest, walk.body)])
    pages = iter(walk.pages)
    while items := [
        Item(key.partition, page.name, page.body) for page in islice(pages, _PUT_AT_ONCE)
    ]:
        await journal.put(items)
    return resumption(walk, key)


def resumption(walk: Walk, key: RunKey) -> Commit:
    """The commit that stores a walk's head as run `key`, and sends what is pending."""
    return Commit(head_record(key, walk.head), None, (), walk.sends(key))
