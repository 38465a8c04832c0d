"""What must be true of every run of every workflow, checked at each step of a simulation.

`Invariants` hears what the simulated services do, and hands it to what knows each kind of rule:
`chronicle` (saves, history, dataflow), `timekeeping` (due times, looks), `traffic` (messages,
executions). Here is what concerns more than one run or none: items that are immutable, things that
are deleted while they are needed, and, at the end, that nobody has been forgotten.

The checks know the rules and the stored format, and share no logic with what they check.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.actors.registry import Registry
from engine.definition import NO_RETRY, Definition, Node, RetryPolicy, decode_definition
from engine.errors import Corrupt, NewerFormat
from engine.layout import (
    CLAIM_PREFIX,
    DEFINITION_ITEM,
    OUTPUT_PREFIX,
    PAGE_PREFIX,
    STATE_PREFIX,
    RunKey,
    definition_partition,
)
from engine.messages import Message, decode_message
from engine.ports import Item
from engine.settle import FRONTIER_LIMIT
from engine.signalling import Answered
from engine.simulation.chronicle import Chronicle
from engine.simulation.observing import Observer, TokenId, Violation
from engine.simulation.signalbook import SignalBook, paid
from engine.simulation.timekeeping import Timekeeping
from engine.simulation.traffic import Traffic
from engine.snapshot import Head, Owed, Payload, State, Status

BLOBS = ""
"""The partition under which blobs are told."""
IMMUTABLE = (PAGE_PREFIX, OUTPUT_PREFIX, STATE_PREFIX)
"""Items of these names are written once, or again with the same bytes."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What the steps of a simulation have cost. A step is one recorded result."""

    steps: int
    messages: int
    executions: int
    saves: int

    @property
    def messages_per_step(self) -> float:
        return self.messages / max(1, self.steps)

    @property
    def executions_per_step(self) -> float:
        return self.executions / max(1, self.steps)


class _Watch:
    """All that is known of one run."""

    def __init__(
        self,
        chronicle: Chronicle,
        timekeeping: Timekeeping,
        traffic: Traffic,
        signals: SignalBook,
        began_at: int,
    ) -> None:
        self.chronicle = chronicle
        self.timekeeping = timekeeping
        self.traffic = traffic
        self.signals = signals
        self.began_at = began_at
        self.has_ended = False
        """Or was about to, at any time, even if an operator has opened it again."""


class Invariants(Observer):
    """The rules of DESIGN §4, §5 and §6 as an observer.

    `skew_ms` is how far a process's clock may be off. `actors` are asked for the retry policies
    that documents leave to them.
    """

    def __init__(
        self,
        actors: Registry | None = None,
        *,
        skew_ms: int = 0,
        frontier_limit: int = FRONTIER_LIMIT,
    ) -> None:
        self._actors: Registry = Registry() if actors is None else actors
        self._skew_ms = skew_ms
        self._frontier_limit = frontier_limit
        self._items: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        self._watches: dict[RunKey, _Watch] = {}
        self._partitions: dict[str, RunKey] = {}
        self._promised: set[RunKey] = set()
        """Runs that a caller was told have been started."""
        self._owed_at: dict[tuple[RunKey, str], int] = {}
        self._saves = 0

    @property
    def costs(self) -> Costs:
        watches = self._watches.values()
        return Costs(
            steps=sum(len(w.chronicle.entries) for w in watches),
            messages=sum(w.traffic.messages for w in watches),
            executions=sum(w.traffic.executions.total() for w in watches),
            saves=self._saves,
        )

    def history_of(self, key: RunKey) -> Chronicle | None:
        watch = self._watches.get(key)
        return None if watch is None else watch.chronicle

    def executions_of(self, key: RunKey) -> Mapping[TokenId, int]:
        """How often each token's actor was called."""
        watch = self._watches.get(key)
        return {} if watch is None else watch.traffic.executions

    def text_of(self, key: RunKey, payload: Payload) -> bytes:
        """The JSON text of a value that lies in an item or a blob. Raises Violation."""
        held = self._items[BLOBS if payload.blob else key.partition]
        body = held.get(payload.ref)
        if body is None:
            raise Violation("dangling", f"run {key.run}: {payload.ref} is not there")
        return zlib.decompress(body) if payload.codec else body

    # -- the store --------------------------------------------------------------------------------

    def head_saved(self, key: RunKey, before: Head | None, after: Head, at: int) -> None:
        watch = self._watches.get(key)
        if watch is None:
            watch = self._watches[key] = self._watch(key, after, at)
            self._partitions[key.partition] = key
        self._saves += 1
        entry = watch.chronicle.saved(before, after)
        watch.timekeeping.saved(before, after, entry, at)
        watch.traffic.saved(before, after, entry, at)
        watch.signals.saved(before, after, entry)
        watch.has_ended |= after.status.terminal or after.status is Status.CLOSING
        for owed in after.owed:
            self._owed_at.setdefault((key, owed.id), at)
        for owed in paid(before, after):
            self._is_paid(key, owed)

    def item_written(self, item: Item, at: int) -> None:
        held = self._items[item.partition]
        known = held.get(item.name)
        if known is not None and known != item.body and item.name.startswith(IMMUTABLE):
            raise Violation("immutable", f"{item.partition} {item.name} was overwritten")
        held[item.name] = item.body
        key = self._partitions.get(item.partition)
        if key is not None:
            self._watches[key].signals.written(item)

    def item_deleted(self, partition: str, name: str, at: int) -> None:
        key = self._partitions.get(partition)
        if key is not None and self._watches[key].chronicle.uses(name):
            raise Violation("dangling", f"{partition} {name} was deleted, and is still referred to")
        if key is not None:
            watch = self._watches[key]
            watch.signals.deleted(name, ended=watch.has_ended)
        self._items[partition].pop(name, None)

    # -- the queue --------------------------------------------------------------------------------

    def sent(self, body: str, delay_ms: int, at: int) -> None:
        message, traffic = self._traffic_of(body)
        if traffic is not None:
            traffic.sent(message)
        elif message is not None:
            raise Violation("commit before send", f"{body} was sent before its run was saved")

    def delivered(self, body: str, worker: str, receives: int, at: int) -> None:
        message, traffic = self._traffic_of(body)
        if traffic is not None:
            traffic.delivered(message, worker, receives, at)

    def acknowledged(self, body: str, at: int) -> None:
        message, traffic = self._traffic_of(body)
        if traffic is not None:
            traffic.acknowledged(message)

    # -- processes and callers --------------------------------------------------------------------

    def actor_began(self, key: RunKey, token: TokenId, worker: str, at: int) -> None:
        watch = self._watches.get(key)
        if watch is None:
            raise Violation("run", f"{token} of {key.run} runs, and there is no such run")
        watch.traffic.began(token, worker, at)
        claim = f"{CLAIM_PREFIX}{'.'.join(map(str, token))}"
        held = self._items[key.partition]
        if watch.traffic.must_be_claimed(token, worker) and claim not in held:
            raise Violation("claim", f"{token} of {key.run} runs again, and nobody claimed it")

    def answered(self, call: str, key: RunKey, result: Any, at: int) -> None:
        if call == "start" and not isinstance(result, BaseException):
            self._promised.add(key)
            if key not in self._watches:
                raise Violation("accepted", f"run {key.run} was accepted, and is not stored")
        if call == "signal" and isinstance(result, Answered):
            signals = self._watches[key].signals
            if result.id not in signals.ids:
                raise Violation("accepted", f"signal {result.id} was accepted, and is not stored")
            signals.accepted.add(result.id)

    # -- the end ----------------------------------------------------------------------------------

    def came_to_rest(self, heads: Mapping[RunKey, Head], quiet: bool, at: int) -> None:
        for key in self._promised - heads.keys():
            raise Violation("accepted", f"run {key.run} was accepted, and is lost")
        for key, head in heads.items():
            if head.owed:
                raise Violation("liveness", f"run {key.run} still owes {head.owed}")
            if head.status.terminal or head.held:
                continue
            if forgotten := self._watches[key].signals.forgotten(head):
                raise Violation("liveness", f"run {key.run}: {forgotten}")
            stuck = [t for t in head.frontier if not (t.state is State.WAITING and not t.due)]
            if stuck or not head.frontier or head.status is Status.CLOSING:
                when = "nothing would ever happen" if quiet else "the time was up"
                text = f"run {key.run} is {head.status} with {stuck} pending when {when}"
                raise Violation("liveness", text)

    # -- pieces -----------------------------------------------------------------------------------

    def _watch(self, key: RunKey, head: Head, at: int) -> _Watch:
        definition = self._definition(key, head)
        return _Watch(
            Chronicle(key, definition, self._items[key.partition], self._frontier_limit),
            Timekeeping(key, definition, self._policy_of, self._skew_ms),
            Traffic(key, self._skew_ms, self._runs_once(definition)),
            SignalBook(key),
            at,
        )

    def _runs_once(self, definition: Definition) -> frozenset[int]:
        """The nodes whose actors must not run twice."""
        actors = [self._actors.get(node.actor) for node in definition.nodes]
        return frozenset(n for n, actor in enumerate(actors) if actor and actor.at_most_once)

    def _is_paid(self, key: RunKey, owed: Owed) -> None:
        """A debt is gone: its receiver has the signal, or is not there, or has ended."""
        receiver = self._watches.get(RunKey(key.tenant, owed.receiver))
        if receiver is None or receiver.has_ended:
            return
        if receiver.began_at >= self._owed_at[key, owed.id]:
            return  # it was not there when it was looked for, perhaps
        if f"from:{key.run}:{owed.id}" not in receiver.signals.ids:
            raise Violation("debt", f"run {key.run} owes {owed} no more, and has not paid it")

    def _definition(self, key: RunKey, head: Head) -> Definition:
        partition = definition_partition(key.tenant, head.definition)
        body = self._items[partition].get(DEFINITION_ITEM)
        if body is None:
            raise Violation("dangling", f"run {key.run} was saved before its definition")
        return decode_definition(body)

    def _policy_of(self, node: Node) -> RetryPolicy:
        actor = self._actors.get(node.actor)
        return node.retry or (actor.retry if actor is not None else None) or NO_RETRY

    def _traffic_of(self, body: str) -> tuple[Any, Traffic | None]:
        """The message, and the messages of its run; None for what is not ours or of no run."""
        try:
            message: Message = decode_message(body)
        except (Corrupt, NewerFormat):
            return None, None
        watch = self._watches.get(RunKey(message.tenant, message.run))
        return message, None if watch is None else watch.traffic
