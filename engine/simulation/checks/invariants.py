"""What must be true of every run of every workflow, checked at each step of a simulation.

`Invariants` hears what the simulated services do, and hands it to what knows each kind of rule:
`chronicle` (saves, history, dataflow), `timekeeping` (due times, looks), `traffic` (messages,
executions), `signalbook` and `claimbook`. Here is what concerns more than one run or none: items
that are immutable, things that are deleted while they are needed, what callers were told, and, at
the end, that nobody has been forgotten.

The checks know the rules and the stored format, and share no logic with what they check.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.actors.registry import Registry
from engine.definition import (
    NO_RETRY,
    Definition,
    Node,
    RetryPolicy,
    decode_definition,
)
from engine.errors import Corrupt, NewerFormat
from engine.json_values import decode_json
from engine.layout import (
    DEFINITION_ITEM,
    OUTPUT_PREFIX,
    PAGE_PREFIX,
    STATE_PREFIX,
    RunKey,
    definition_partition,
)
from engine.messages import Message, decode_message
from engine.ports import Item, Limits
from engine.simulation.checks.chronicle import Chronicle
from engine.simulation.checks.claimbook import ClaimBook
from engine.simulation.checks.costs import Costs
from engine.simulation.checks.promises import forked_by, started_by
from engine.simulation.checks.signalbook import SignalBook, paid
from engine.simulation.checks.timekeeping import Timekeeping
from engine.simulation.checks.traffic import Traffic
from engine.simulation.observing import BLOBS, Observer, TokenId, Violation
from engine.snapshot import Head, Kind, Owed, Payload, State, Status, Value

_UNTRIED = (Kind.SIGNALLED, Kind.EXPIRED, Kind.CHANGED)
"""Results that no actor made."""
IMMUTABLE = (PAGE_PREFIX, OUTPUT_PREFIX, STATE_PREFIX)
"""Items of these names are written once, or again with the same bytes."""


@dataclass(slots=True)
class _Watch:
    """All that is known of one run."""

    chronicle: Chronicle
    timekeeping: Timekeeping
    traffic: Traffic
    signals: SignalBook
    claims: ClaimBook
    began_at: int
    has_ended: bool = False
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
        limits: Limits = Limits(),  # noqa: B008
    ) -> None:
        self._actors: Registry = Registry() if actors is None else actors
        self._skew_ms = skew_ms
        self._limits = limits
        self._items: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        self._watches: dict[RunKey, _Watch] = {}
        self._partitions: dict[str, RunKey] = {}
        self._promised: set[RunKey] = set()
        """Runs that a caller was told have been started."""
        self._owed_at: dict[tuple[RunKey, str], int] = {}
        self._saves = 0
        self._calm_at: int | None = None
        self._unread = 0
        """Messages that cannot be read here: sends without the acknowledgements."""
        self._behind: dict[str, bool] = {}
        """Whether each process that sweeps was told that the queue is behind."""

    @property
    def costs(self) -> Costs:
        watches = self._watches.values()
        return Costs(
            steps=sum(len(w.chronicle.own_entries) for w in watches),
            attempts=sum(e.kind not in _UNTRIED for w in watches for e in w.chronicle.own_entries),
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

    def json_of(self, key: RunKey, value: Value) -> Any:
        """A stored value. Raises Violation."""
        text = self.text_of(key, value) if isinstance(value, Payload) else value
        return decode_json(text)

    # -- the store --------------------------------------------------------------------------------

    def head_saved(self, key: RunKey, before: Head | None, after: Head, at: int) -> None:
        watch = self._watches.get(key)
        if watch is None:
            watch = self._watches[key] = self._watch(key, after, at)
            self._partitions[key.partition] = key
        self._saves += 1
        watch.timekeeping.behind = bool(self._behind) and all(self._behind.values())
        past = None
        if before is None and after.lineage is not None:
            past = self._watches[RunKey(key.tenant, after.lineage.parent)].chronicle.past
        entry = watch.chronicle.saved(before, after, past)
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
        key = self._partitions.get(item.partition)
        if key is not None:
            self._watches[key].signals.written(item, at)
            self._watches[key].claims.written(item, known, at)
        held[item.name] = item.body

    def item_deleted(self, partition: str, name: str, at: int) -> None:
        key = self._partitions.get(partition)
        if key is not None and self._watches[key].chronicle.uses(name):
            raise Violation("deleted", f"{partition} {name} was deleted, and is still referred to")
        if key is not None:
            watch = self._watches[key]
            watch.signals.deleted(name, self._heads(key), ended=watch.has_ended)
        self._items[partition].pop(name, None)

    # -- the queue --------------------------------------------------------------------------------

    def sent(self, body: str, delay_ms: int, at: int) -> None:
        message, traffic = self._traffic_of(body)
        if traffic is not None:
            traffic.sent(message)
        elif message is not None:
            raise Violation("start before send", f"{body} was sent before its run was saved")
        else:
            self._unread += 1

    def delivered(self, body: str, worker: str, receives: int, at: int) -> None:
        message, traffic = self._traffic_of(body)
        if traffic is not None:
            traffic.delivered(message, worker, receives, at)

    def acknowledged(self, body: str, at: int) -> None:
        message, traffic = self._traffic_of(body)
        if traffic is not None:
            traffic.acknowledged(message)
            self._has_looked(message, traffic)
        elif message is None and _is_newer(body):
            self._unread -= 1
            if self._unread <= 0:
                raise Violation("newer format", f"{body} is acknowledged, and not put off")

    def _has_looked(self, message: Message, traffic: Traffic) -> None:
        """Who began a wait looks into the inbox before he acknowledges (rule 14)."""
        for token, since in traffic.waiting_since(message):
            watch = self._watches[message.key]
            head = self._heads(message.key)
            if come := watch.signals.had_come(head, token, since):
                raise Violation("lost signal", f"run {message.run}: {token} overlooks {come}")

    def dead_lettered(self, body: str, reason: str, at: int) -> None:
        message, traffic = self._traffic_of(body)
        if traffic is not None:
            traffic.dead_lettered(message)

    def backlog_read(self, messages: int, worker: str, at: int) -> None:
        self._behind[worker] = messages > self._limits.backlog

    def died(self, worker: str, at: int) -> None:
        self._behind.pop(worker, None)

    # -- processes and callers --------------------------------------------------------------------

    def actor_began(self, key: RunKey, token: TokenId, worker: str, at: int) -> None:
        watch = self._watches.get(key)
        if watch is None:
            raise Violation("run", f"{token} of {key.run} runs, and there is no such run")
        watch.traffic.began(token, worker, at)
        if watch.traffic.must_be_claimed(token):
            watch.claims.began_once(token)
        elif watch.traffic.runs_again(token, worker):
            watch.claims.began_again(token)

    def granted(self, call: str, key: RunKey, asked: Any, result: Any, at: int) -> None:
        if call in ("start", "fork"):
            self._promised.add(key)
            self._must_be_begun(call, key, asked)
        elif call in ("signal", "answer"):
            signals = self._watches[key].signals
            signals.granted(result.id, asked, lambda value: self.json_of(key, value))
        elif call == "redrive":
            for run in result.retried:
                if not self._heads(RunKey(key.tenant, run)).epoch:
                    raise Violation("accepted", f"run {run} was redriven, and is as it was")

    def _must_be_begun(self, call: str, key: RunKey, asked: Any) -> None:
        watch = self._watches.get(key)
        if watch is None:
            raise Violation("accepted", f"run {key.run} was accepted, and is not stored")
        chronicle, head = watch.chronicle, watch.chronicle.begun
        given = self.json_of(key, head.input)
        if call == "start":
            same = started_by(head, given, *asked)
        else:
            parent = self._watches[RunKey(key.tenant, asked[0])].chronicle
            same = forked_by(head, given, chronicle.definition, parent.entries, *asked)
        if not same:
            raise Violation(f"same {call}", f"run {key.run} was accepted, and another is stored")

    def _heads(self, key: RunKey) -> Head:
        head = self._watches[key].chronicle.head
        assert head is not None, "a watch begins with a head"
        return head

    # -- the end ----------------------------------------------------------------------------------

    def calmed(self, at: int) -> None:
        self._calm_at = at
        for watch in self._watches.values():
            watch.timekeeping.calm_at = watch.traffic.calm_at = at

    def came_to_rest(self, heads: Mapping[RunKey, Head], quiet: bool, at: int) -> None:
        for key in self._promised - heads.keys():
            raise Violation("accepted", f"run {key.run} was accepted, and is lost")
        for key, head in heads.items():
            if head.owed:
                raise Violation("liveness", f"run {key.run} still owes {head.owed}")
            if head.status.terminal or head.held:
                continue
            if head.limit is not None:
                raise Violation("liveness", f"run {key.run}: nobody ends it at {head.limit}")
            if forgotten := self._watches[key].signals.forgotten(head):
                raise Violation("liveness", f"run {key.run}: {forgotten}")
            stuck = [t for t in head.frontier if not (t.state is State.WAITING and not t.due)]
            if stuck or not head.frontier or head.status is Status.CLOSING:
                when = "nothing would ever happen" if quiet else "the time was up"
                text = f"run {key.run} is {head.status} with {stuck} pending when {when}"
                raise Violation("liveness", text)

    # -- pieces -----------------------------------------------------------------------------------

    def _watch(self, key: RunKey, head: Head, at: int) -> _Watch:
        definition, items = self._definition(key, head), self._items[key.partition]
        frontier = self._limits.frontier
        watch = _Watch(
            Chronicle(key, definition, items, self._items[BLOBS], frontier),
            Timekeeping(key, definition, self._policy_of, self._skew_ms),
            Traffic(key, self._skew_ms, self._runs_once(definition)),
            SignalBook(key),
            ClaimBook(key.run, items, self._skew_ms),
            at,
        )
        watch.timekeeping.calm_at = watch.traffic.calm_at = self._calm_at
        return watch

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
            if name := receiver.signals.sent_as(key.run, owed.sequence):
                raise Violation("debt's name", f"run {key.run} owes {owed}, and paid it as {name}")
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
        watch = self._watches.get(message.key)
        return message, None if watch is None else watch.traffic


def _is_newer(body: str) -> bool:
    try:
        decode_message(body)
    except NewerFormat:
        return True
    except Corrupt:
        return False
    return False
