"""One run as its saved heads tell it, checked save by save against the rules of the history.

What is checked (DESIGN §4 rules 1, 2, 3, 16, 17, 19; §5; §6)
- Every save raises `rev` by one. What a run was started with never changes. The epoch only rises.
- A save records at most one result. What was recorded stays: a tail grows at its end, or moves
  whole to a page that was written before and holds the same.
- A result is of a token that was pending, with the inputs that the token had. What is pending and
  queued afterwards is what the reference model says, which also says when and how a run ends.
- A terminal head changes in nothing but in what it owes, until an operator opens it again.
- What a head refers to is there. What it carries besides what is pending does not grow.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from engine.definition import Definition
from engine.layout import RunKey, page_item
from engine.simulation.checks.ancestry import Past, inherit, record, stored_entries
from engine.simulation.checks.bounds import too_large
from engine.simulation.checks.reference import Divergence, Marking
from engine.simulation.observing import Violation
from engine.snapshot import (
    Entry,
    Head,
    Kind,
    Payload,
    State,
    Status,
    Value,
    back,
    decode_page,
    status_of,
)

OUTPUT_ERRORS = frozenset({"ExpressionError", "InvalidValue", "NotJson", "TooLarge"})
"""Why a run may fail although everything in it has gone well: its output cannot be computed."""
DEADLINE = "DeadlineExceeded"


class Chronicle:
    """What one run has done so far.

    `items` are the bytes of everything in its partition, `blobs` those of all blobs.
    """

    def __init__(
        self,
        key: RunKey,
        definition: Definition,
        items: Mapping[str, bytes],
        blobs: Mapping[str, bytes],
        frontier_limit: int,
    ) -> None:
        self.key = key
        self.definition = definition
        self.entries: list[Entry] = []
        self.head: Head | None = None
        self.referred: set[str] = set()
        """Names of items that results, pages and the input lie in: for good."""
        self.last: dict[int, tuple[int, str]] = {}
        """Node -> number and port of the latest result that it sent out."""
        self.joins: dict[int, int] = {}
        """Result -> the join that fired after it without its optional messages."""
        self._begun: Head | None = None
        self._items = items
        self._blobs = blobs
        self._model = Marking(definition, frontier_limit)

    @property
    def own_entries(self) -> list[Entry]:
        """Without what a fork was given of another run's."""
        return self.entries[self.begun.next_number - 1 :]

    @property
    def begun(self) -> Head:
        """The first head."""
        assert self._begun is not None, "nothing has been saved"
        return self._begun

    @property
    def past(self) -> Past:
        return Past(self.entries, self.joins)

    def marking(self) -> Marking:
        """What is pending now, to be played on with: a copy."""
        return self._model.copy()

    def saved(self, before: Head | None, after: Head, past: Past | None = None) -> Entry | None:
        """The result that this save recorded, if it did. Raises Violation.

        `past` is what the run comes from, where it begins as a fork.
        """
        self._refuse(before != self.head, "rev", "the head that was replaced is not the last one")
        if before is None:
            self._begin(after, past)
            self._begun, entry = after, None
        else:
            self._keeps_identity(before, after)
            entry = self._recorded(before, after)
            if before.status.terminal and after.epoch == before.epoch:
                self._stays_ended(before, after)
            elif entry is not None:
                self._settled(before, after, entry)
            else:
                self._looked_after(before, after)
        self._compare(after)
        self._is_bounded(after)
        self.head = after
        return entry

    def uses(self, name: str) -> bool:
        """Whether the item of this name may still be asked for."""
        if name in self.referred:
            return True
        states = () if self.head is None else self.head.states.values()
        return any(isinstance(state, Payload) and state.ref == name for state in states)

    # -- one save ----------------------------------------------------------------------------------

    def _begin(self, head: Head, past: Past | None) -> None:
        self._refuse(head.rev != 1, "rev", f"a run begins with rev {head.rev}")
        self._stays(head.input)
        if past is not None:
            self._begin_as_fork(head, past)
            return
        self._refuse(head.next_number != 1, "history", "a run begins with results")
        self._model.begin()

    def _begin_as_fork(self, head: Head, past: Past) -> None:
        try:
            self.entries, pages = stored_entries(head, self._items)
            inherit(self._model, head, self.entries, past)
        except Divergence as error:
            raise self._violation("fork", str(error)) from error
        self.referred.update(pages)
        self.joins.update((n, node) for n, node in past.joins.items() if n <= len(self.entries))
        for number, entry in enumerate(self.entries, 1):
            self._stays(entry.value)
            if entry.kind in (Kind.DONE, Kind.FAILED) and entry.port:
                self.last[entry.node] = (number, entry.port)
        status = status_of(head.frontier)
        self._refuse(head.status is not status, "status", f"a fork begins as {head.status}")

    def _keeps_identity(self, before: Head, after: Head) -> None:
        self._refuse(after.rev != before.rev + 1, "rev", f"rev went {before.rev} -> {after.rev}")
        for name in ("format", "workflow", "definition", "created_at", "start_digest", "input"):
            changed = getattr(before, name) != getattr(after, name)
            self._refuse(changed, "identity", f"'{name}' of a run has changed")
        self._refuse(after.epoch < before.epoch, "epoch", "the epoch fell")

    def _recorded(self, before: Head, after: Head) -> Entry | None:
        """The new result. What was recorded before it must still be."""
        if after.next_number == before.next_number:
            same = after.tail == before.tail and after.last_at == before.last_at
            self._refuse(not same, "history", "recorded results have changed")
            return None
        number = before.next_number
        text = f"{after.next_number - number} results in one save"
        self._refuse(after.next_number != number + 1, "history", text)
        entry = after.tail[-1]
        if after.first == before.first:
            kept = after.tail[:-1] == before.tail
            self._refuse(not kept, "history", f"results before {number} have changed")
        else:
            self._moved_to_page(before, after)
        self._refuse(entry.epoch != before.epoch, "epoch", f"result {number} is of another epoch")
        at = before.last_at + entry.after
        self._refuse(after.last_at != at, "history", f"result {number} is of another time")
        self.entries.append(entry)
        self._stays(entry.value)
        return entry

    def _moved_to_page(self, before: Head, after: Head) -> None:
        name = page_item(before.first)
        body = self._items.get(name)
        if body is None:
            raise self._violation("page", f"{name} was not written before the head that needs it")
        page = decode_page(body)
        same = (page.first, page.entries, page.last_at)
        lost = same != (before.first, before.tail, before.last_at)
        self._refuse(lost, "page", f"{name} holds other results than those that left the tail")
        gap = after.first != before.first + len(before.tail) or len(after.tail) != 1
        self._refuse(gap, "history", f"results are missing after {name}")
        self.referred.add(name)

    def _stays_ended(self, before: Head, after: Head) -> None:
        changed = replace(
            after,
            rev=before.rev,
            owed=before.owed,
            owed_look_at=before.owed_look_at,
            wake_at=before.wake_at,
            consumed=before.consumed,
        )
        if changed != before:
            raise self._violation("ended", f"a run that is {before.status} was changed")

    def _settled(self, before: Head, after: Head, entry: Entry) -> None:
        self._refuse(after.epoch != before.epoch, "epoch", "a result raised the epoch")
        number, kind = before.next_number, entry.kind
        self._refuse(kind is Kind.CHANGED, "history", f"result {number} came of no fork")
        self._refuse(
            not set(after.consumed).isdisjoint(before.consumed),
            "bounds",
            "what was consumed before is listed still",
        )
        settled = self._model_settles(number, entry)
        inputs = back(number, entry.inputs)
        self._refuse(inputs != settled, "inputs", f"result {number} is of {inputs}, not {settled}")
        token = before.find(entry.node, entry.visit, entry.attempt)
        owner = None if token is None else token.owner
        self._refuse(owner != entry.owner, "owner", f"result {number} names another owner")
        if kind in (Kind.DONE, Kind.FAILED) and entry.port:
            self._sent_out(number, after, entry)
        if choices := self._model.may_go_without():
            self._went_without(number, choices, after)
        if before.status is Status.CLOSING:
            self._model.go_on()  # being cancelled, whatever this result would have done
            cancelled = after.status in (Status.CLOSING, Status.CANCELLED)
            self._refuse(not cancelled, "ended", f"a closing run became {after.status}")
        else:
            self._ends_as_it_must(after)

    def _model_settles(self, number: int, entry: Entry) -> tuple[int, ...]:
        try:
            return record(self._model, number, entry)
        except Divergence as error:
            raise self._violation("dataflow", str(error)) from error

    def _sent_out(self, number: int, after: Head, entry: Entry) -> None:
        if self.definition.nodes[entry.node].named:
            previous = self.last.get(entry.node, (0, ""))[0]
            linked = number - entry.previous if entry.previous else 0
            self._refuse(linked != previous, "latest", f"result {number} links to {linked}")
            self._refuse(after.latest.get(entry.node) != number, "latest", "a result is missing")
        self.last[entry.node] = (number, entry.port)

    def _went_without(self, number: int, choices: list[int], after: Head) -> None:
        """One join fired without its optional messages: which one is the engine's choice."""
        pending = self._model.pending
        fired = [t.node for t in after.frontier if (t.node, t.visit) not in pending]
        if len(fired) != 1 or fired[0] not in choices:
            raise self._violation("join", f"of {choices}, which lack optional messages, {fired}")
        self.joins[number] = fired[0]
        self._model.go_without(fired[0])

    def _ends_as_it_must(self, after: Head) -> None:
        verdict, status = self._model.verdict, after.status
        kind = "" if after.failure is None else after.failure.type
        if verdict.ended is None:
            self._refuse(status.terminal, "ended", f"the run is {status} ({kind}) too early")
            expected = status_of(after.frontier)
            self._refuse(status is not expected, "status", f"{status}, and not {expected}")
        elif verdict.ended is Status.COMPLETED:
            well = status is Status.COMPLETED or kind in OUTPUT_ERRORS
            self._refuse(not well, "ended", f"the run is {status} ({kind}), not completed")
        else:
            rule = verdict.failure or "ended"
            self._refuse(status is not Status.FAILED, rule, f"a failed run is {status}")
            named = verdict.failure in ("", kind) and after.failed_node == verdict.node
            self._refuse(not named, "ended", f"the run failed by {verdict}, and says {kind}")

    def _looked_after(self, before: Head, after: Head) -> None:
        """A save without a result: a sweep, a payment, a wake, a cancel, an operator's retry."""
        if after.epoch > before.epoch:
            ended = before.status in (Status.FAILED, Status.CANCELLED)
            self._refuse(not ended, "epoch", f"a run that is {before.status} was opened again")
            self._refuse(after.epoch != before.epoch + 1, "epoch", "an epoch was left out")
            self._model.reopen()
            return
        if after.status is not before.status:
            by_limit = ends_by_deadline(after) and before.limit is not None
            fine = after.status in (Status.CLOSING, Status.CANCELLED) or by_limit
            self._refuse(not fine, "ended", f"{before.status} became {after.status}, by nothing")
        same = (before.latest, before.states, before.failures) == (
            after.latest,
            after.states,
            after.failures,
        )
        self._refuse(not same, "history", "a save without a result changed what results make")

    # -- what must be true of every head -----------------------------------------------------------

    def _compare(self, head: Head) -> None:
        """What is pending and queued is what the model says."""
        pending = self._model.pending
        if len(pending) != len(head.frontier):
            names = [(t.node, t.visit) for t in head.frontier]
            wide = [n for n in range(len(self.definition.nodes)) if self._is_too_wide(head, n)]
            rule = "serial" if wide else "dataflow"
            raise self._violation(rule, f"pending {names}, and not {list(pending)}")
        for token in head.frontier:
            own = pending.get((token.node, token.visit))
            if (
                own is None
                or own.attempt != token.attempt
                or own.inputs != token.inputs
                or own.failures != token.failures
                or own.stopped != (token.state is State.STOPPED)
            ):
                raise self._violation("token", f"{token} is pending, and should be {own}")
        if (head.ports or self._model.queues) and head.ports != self._model.holds():
            text = f"queued are {head.ports}, and should be {self._model.holds()}"
            raise self._violation("queued", text)
        self._refuse(head.steps != self._model.steps, "budget", f"{head.steps} steps are counted")

    def _is_too_wide(self, head: Head, node: int) -> bool:
        visits = sum(token.node == node for token in head.frontier)
        return visits > self.definition.nodes[node].concurrency

    def _is_bounded(self, head: Head) -> None:
        waits = {(wait.node, wait.visit) for wait in head.waits}
        lost = waits - self._model.pending.keys()
        self._refuse(bool(lost), "bounds", f"{lost} wait, and are not pending")
        text = too_large(head)
        self._refuse(bool(text), "bounds", text)
        for state in head.states.values():
            self._is_there(state)
        if head.output and isinstance(head.output, Payload):
            self._stays(head.output)

    def _stays(self, value: Value) -> None:
        """The value is there, and will be asked for as long as the run lives."""
        if isinstance(value, Payload):
            self._is_there(value)
            self.referred.add(value.ref)

    def _is_there(self, value: Value) -> None:
        if isinstance(value, Payload) and value.ref not in self._held(value):
            raise self._violation("dangling", f"{value.ref} is referred to, and was not written")

    def _held(self, value: Payload) -> Mapping[str, bytes]:
        return self._blobs if value.blob else self._items

    def _refuse(self, broken: bool, rule: str, text: str) -> None:
        if broken:
            raise self._violation(rule, text)

    def _violation(self, rule: str, text: str) -> Violation:
        return Violation(rule, f"run {self.key.run}: {text}")


def ends_by_deadline(head: Head) -> bool:
    return head.failure is not None and head.failure.type == DEADLINE
