"""What scripted actors must have returned: every result, and in the end the run's output.

`engine.simulation.workloads.scripted` makes each act a pure function of (seed, run, node, visit,
attempt), so each recorded result can be said beforehand from the results that it names as its
inputs. A result that differs has been made of wrong inputs, of a forgotten state, or was recorded
for another token.

A run whose course does not depend on who is faster must end as the same run without any fault does
(`fault_free`), unless a fault itself has failed one of its attempts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from engine.definition import NO_RETRY, Definition, Node
from engine.json_values import encode_json
from engine.layout import RunKey
from engine.settle import FRONTIER_LIMIT
from engine.simulation.checks.chronicle import Chronicle, ends_by_deadline
from engine.simulation.checks.invariants import Invariants
from engine.simulation.checks.reference import Marking, ends_of
from engine.simulation.observing import Violation
from engine.simulation.workloads.scripted import (
    INPORTS,
    Act,
    Overruns,
    Raises,
    Returns,
    Script,
    Sleeps,
    Waits,
    act_of,
    key_of,
    returned,
    tag_of,
)
from engine.snapshot import (
    ABSENT,
    RUN_INPUT,
    Entry,
    Head,
    Kind,
    Payload,
    Status,
    Value,
    back,
)

FAULTS = frozenset({"StepCrashed", "Interrupted", "Undeliverable", "AttemptTimeout"})
"""Failures that a script does not ask for: the world's."""
SCRIPTED = {Raises: ("ScriptedError", "PermanentFailure"), Overruns: ("AttemptTimeout",)}


class ScriptedResults(Invariants):
    """The invariants, and what the scripts say; `confluent` runs are played again at the end."""

    def __init__(self, *, confluent: bool, **settings: Any) -> None:
        super().__init__(**settings)
        self._confluent = confluent
        self._tags: dict[RunKey, list[str]] = {}
        """What the message of each result is known by; of the input, first."""
        self._signals: dict[tuple[RunKey, int, int], str] = {}
        """What ended the last wait of a visit: a signal's tag, or nothing."""
        self._disturbed: set[RunKey] = set()
        """Runs in which a fault of the world has failed an attempt, and forks of those."""
        self._begun: dict[RunKey, _Play] = {}
        """Where the confluent runs begin."""

    def head_saved(self, key: RunKey, before: Head | None, after: Head, at: int) -> None:
        super().head_saved(key, before, after, at)
        chronicle = self.history_of(key)
        assert chronicle is not None
        if before is None:
            self._begins(key, after, chronicle)
        tags = self._tags[key]
        if len(chronicle.entries) == len(tags):
            entry = chronicle.entries[-1]
            tags.append(self._checked(key, chronicle.definition, entry, before, after, tags))

    def came_to_rest(self, heads: Mapping[RunKey, Head], quiet: bool, at: int) -> None:
        super().came_to_rest(heads, quiet, at)
        for key, play in self._begun.items():
            head = heads[key]
            stopped = head.status is Status.CANCELLED or ends_by_deadline(head)
            if key in self._disturbed or stopped or head.epoch != play.epoch:
                continue
            status, output = play.to_the_end()
            if head.status is not status:
                text = f"the run is {head.status}; without faults it is {status}"
                raise self._wrong("outcome", key, text)
            if status is Status.COMPLETED:
                known = self._output_of(key, head)
                if known != output:
                    text = f"the output is {known}; without faults it is {output}"
                    raise self._wrong("outcome", key, text)

    def _output_of(self, key: RunKey, head: Head) -> dict[str, str]:
        """The run's output, each node's part of it by its tag."""
        return {node: tag_of(value) for node, value in self.json_of(key, head.output).items()}

    def _begins(self, key: RunKey, head: Head, chronicle: Chronicle) -> None:
        """Know the messages that the run begins with: its input, and a fork's history."""
        self._tags[key] = tags = [tag_of(self.json_of(key, head.input))]
        if head.lineage is not None:
            parent = RunKey(key.tenant, head.lineage.parent)
            tags += self._tags[parent][1 : head.lineage.step]
            if parent in self._disturbed:
                self._disturbed.add(key)
            for entry in chronicle.entries:
                self._hears(key, entry)
            for entry in chronicle.entries[head.lineage.step - 1 :]:
                tags.append(tag_of(self.json_of(key, entry.value)))
        if self._confluent:
            model = chronicle.marking()
            definition, last = chronicle.definition, dict(chronicle.last)
            self._begun[key] = _Play(definition, key.run, [*tags], last, model, head.epoch)

    def _hears(self, key: RunKey, entry: Entry) -> None:
        """Remember what ended a wait; one that begins has not heard anything."""
        if entry.kind is Kind.WAITED:
            self._signals[key, entry.node, entry.visit] = ""
        if entry.kind in (Kind.SIGNALLED, Kind.EXPIRED):
            came = entry.value if entry.kind is Kind.SIGNALLED else b"null"
            self._signals[key, entry.node, entry.visit] = tag_of(self.json_of(key, came))

    # -- one result --------------------------------------------------------------------------------

    def _checked(
        self,
        key: RunKey,
        definition: Definition,
        entry: Entry,
        before: Head | None,
        after: Head,
        tags: list[str],
    ) -> str:
        """The tag of the result's message. Raises Violation."""
        node = definition.nodes[entry.node]
        script = script_of(node)
        act = act_of(script, key.run, node.id, entry.visit, entry.attempt)
        if entry.failure is not None:
            self._fails_as_scripted(key, definition, entry, act)
            return f"!{node.id}"
        if entry.kind is Kind.SLEPT:
            if not isinstance(act, Sleeps) or entry.wait > act.seconds * 1000:
                raise self._wrong("script", key, f"{node.id} slept {entry.wait} ms, not {act}")
            return ""
        if entry.kind is Kind.WAITED and not isinstance(act, Waits):
            raise self._wrong("script", key, f"{node.id} waits, and should {act}")
        self._hears(key, entry)
        if entry.kind is not Kind.DONE:
            return ""
        if not isinstance(act, Returns) or act.port != entry.port:
            raise self._wrong("script", key, f"{node.id} sent out of '{entry.port}', not {act}")
        inputs = back(len(tags), entry.inputs)
        given = given_tags(node, inputs, tags)
        if script.waits:
            given["signal"] = self._signals.get((key, entry.node, entry.visit), "")
        where = (script, key.run, node.id, entry.visit, entry.attempt)
        value = returned(*where, given, key_of(f"{key.run}/{node.id}/{entry.visit}"))
        self._holds(key, entry.value, value)
        self._counted(key, entry, before, after)
        tag: str = value["tag"]
        return tag

    def _fails_as_scripted(
        self, key: RunKey, definition: Definition, entry: Entry, act: Act
    ) -> None:
        assert entry.failure is not None
        kind = entry.failure.type
        if kind not in SCRIPTED.get(type(act), ()):
            if kind not in FAULTS:
                raise self._wrong("script", key, f"an attempt failed with {entry.failure}: {act}")
            self._disturbed.add(key)
        policy = definition.nodes[entry.node].retry or NO_RETRY
        final = kind in ("PermanentFailure", "Interrupted") or policy.max_attempts == 1
        if final and entry.kind is Kind.RETRIED:
            raise self._wrong("retry", key, f"{kind} was tried again")

    def _counted(self, key: RunKey, entry: Entry, before: Head | None, after: Head) -> None:
        """A counting actor's state rises by one with each visit that succeeds."""
        counts = [_count(head, entry.node) for head in (before, after)]
        if counts[1] and counts[1] != counts[0] + 1:
            raise self._wrong("state", key, f"the state went from {counts[0]} to {counts[1]}")

    def _holds(self, key: RunKey, stored: Value, value: dict[str, Any]) -> None:
        """`stored` is `value`, or says of one that lies elsewhere that it has its length."""
        if isinstance(stored, Payload):
            if stored.size != len(encode_json(value)):
                raise self._wrong("result", key, f"{stored} is not {value['tag']}")
            return
        if {**msgspec.json.decode(stored), "at": value["at"]} != value:
            raise self._wrong("result", key, f"{stored!r} is not {value}")

    def _wrong(self, rule: str, key: RunKey, text: str) -> Violation:
        return Violation(rule, f"run {key.run}: {text}")


def _count(head: Head | None, node: int) -> int:
    """How many visits this node's state has counted."""
    state = b"{}" if head is None else head.states.get(node, b"{}")
    assert isinstance(state, bytes), "a count is small"
    count: int = msgspec.json.decode(state).get("visits", 0)
    return count


def script_of(node: Node) -> Script:
    return msgspec.convert(node.config["script"], Script)


def given_tags(node: Node, inputs: tuple[int, ...], tags: list[str]) -> dict[str, str]:
    """What each inport was given, by tag: the run's input where the token has none."""
    arity = int(node.actor[-1])
    given = dict.fromkeys(INPORTS[:arity], "")
    if not inputs:
        given[node.inports[0] if node.inports else INPORTS[0]] = tags[RUN_INPUT]
    for port, reference in zip(node.inports, inputs, strict=False):
        if reference != ABSENT:
            given[port] = tags[reference]
    return given


@dataclass(slots=True)
class _Play:
    """One run in memory, where nothing fails but what the scripts say."""

    definition: Definition
    run: str
    tags: list[str]
    """Of the run's input, and of each result before it begins."""
    last: dict[int, tuple[int, str]]
    marking: Marking
    epoch: int = 0

    def to_the_end(self) -> tuple[Status, dict[str, str]]:
        """How the run ends, and its output: a tag for each node's part."""
        while self.marking.verdict.ended is None:
            self.step()
        return self.marking.verdict.ended, self.output()

    def step(self) -> None:
        """Settle the activation that has been pending longest."""
        marking = self.marking
        if lenient := marking.may_go_without():
            marking.go_without(lenient[0])
            return
        activation = next(iter(marking.pending))
        pending = marking.pending[activation]
        node = self.definition.nodes[activation[0]]
        script = script_of(node)
        where = (script, self.run, node.id, activation[1], pending.attempt)
        act = act_of(*where)
        number, kind, port, tag = len(self.tags), Kind.SLEPT, "", ""
        if isinstance(act, Returns):
            kind, port = Kind.DONE, act.port
            tag = returned(*where, given_tags(node, pending.inputs, self.tags), "")["tag"]
        elif not isinstance(act, Sleeps):
            kind, tag = self._failed(node, act, pending.failures + 1), f"!{node.id}"
            if kind is Kind.FAILED:
                port = marking.port_of_failure(node)
        marking.settle(number, activation, pending.attempt, kind, port)
        self.tags.append(tag)
        if port:
            self.last[activation[0]] = (number, port)

    def _failed(self, node: Node, act: Act, failures: int) -> Kind:
        policy = node.retry or NO_RETRY
        permanent = isinstance(act, Raises) and act.permanent
        again = not permanent and failures < policy.max_attempts
        return Kind.RETRIED if again else Kind.FAILED

    def output(self) -> dict[str, str]:
        ends = ends_of(self.definition, self.last)
        return {self.definition.nodes[node].id: self.tags[n] for node, n in ends.items()}


def fault_free(definition: Definition, run: str, input: Any) -> tuple[Status, dict[str, str]]:
    """How the run ends where nothing goes wrong, and its output: a tag for each node's part."""
    marking = Marking(definition, FRONTIER_LIMIT)
    marking.begin()
    return _Play(definition, run, [tag_of(input)], {}, marking).to_the_end()


__all__ = ["ScriptedResults", "fault_free"]
