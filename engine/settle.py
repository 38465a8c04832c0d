"""The state after one attempt: pure, from the snapshot before it and how the attempt ended.

`settle` records the attempt's result, moves its message on, fires the nodes that it completes, and
decides about retries, the failure policy and the run's end (DESIGN §6). It is given the time and
the random number that it needs and records both, so that folding the history's entries through it
rebuilds where a run stood: what was pending, queued and counted, though not the actors' own state.
Settling the same outcome on a newer snapshot, after a parallel branch was saved first, is the same
call again.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from engine.dataflow import Activate, Board
from engine.definition import ERROR_PORT, Definition, Node
from engine.ending import closed, fail
from engine.errors import FrontierFull, Starved, StepBudgetExhausted
from engine.outcomes import (
    Changed,
    Done,
    Effect,
    Expired,
    Failed,
    Settling,
    Signalled,
    Slept,
    Waited,
)
from engine.snapshot import (
    PAGE_ENTRIES,
    Entry,
    Failure,
    Head,
    Kind,
    Owed,
    Page,
    Resumed,
    State,
    Status,
    Token,
    Value,
    Wait,
    back,
    status_of,
)
from engine.timing import coarse_look, first_wait_look, in_reach, in_time, next_look


class Settled(msgspec.Struct, frozen=True):
    """The next head; the page that must be written before it; the tokens to send after it.

    `quiescent` says that nothing is left to run: the caller evaluates the run's output, whose
    values this pure function cannot load, and calls `complete` or `fail`.
    """

    head: Head
    number: int
    page: Page | None
    ready: tuple[Token, ...]
    quiescent: bool


FRONTIER_LIMIT = 64
"""Activations and queued messages that one head may hold, unless `Limits.frontier` says otherwise.
"""


def settle(
    head: Head, definition: Definition, settling: Settling, frontier_limit: int = FRONTIER_LIMIT
) -> Settled:
    """The state after `settling`. Its token must be pending in `head`."""
    token, now = settling.token, settling.now
    node = definition.nodes[token.node]
    board = Board(head, definition, _activation(settling))
    board.remove(token)
    number = head.next_number
    ruling = _rule(settling, node, definition.on_failure, number)
    if ruling.again is not None:
        board.add(ruling.again)
    latest, previous = head.latest, 0
    if ruling.port:
        board.emit(token.node, ruling.port, number)
        if node.named:
            previous = number - latest.get(token.node, number)
            latest = {**latest, token.node: number}
    if ruling.fatal is None:
        board.fire(token.node)  # it may have messages queued, which a retry must not find overtaken

    at = now - head.created_at
    entry = _entry(settling, ruling, head, number, previous)
    page, first, tail = _append(head, entry)
    steps = head.steps + 1
    failure, quiescent = ruling.fatal, False
    if failure is None:
        failure, quiescent = _close(board, definition, steps, frontier_limit)
    else:
        board.frontier.append(_stopped(token))
    states = head.states
    if settling.state is not None:
        states = {**states, token.node: settling.state}
    after = replace(
        head,
        rev=head.rev + 1,
        status=status_of(board.frontier),
        first=first,
        tail=tail,
        last_at=at,
        frontier=tuple(board.frontier),
        ports=board.ports,
        visits=board.visits,
        latest=latest,
        states=states,
        steps=steps,
        failures=head.failures + (entry.failure is not None),
        waits=_waits(head, settling, ruling, number),
    )
    if isinstance(settling.outcome, Signalled):
        after = replace(after, consumed=(*head.consumed, settling.outcome.item))
    if settling.effects:
        after = _owing(after, settling.effects, number, now)
    if head.status is Status.CLOSING:
        return Settled(_closing(after, board.ready, now), number, page, (), False)
    if failure is not None:
        at_fault = token.node if ruling.fatal is not None else -1
        return Settled(fail(after, failure, at_fault, now), number, page, (), False)
    after = replace(after, wake_at=next_look(after))
    ready = tuple([t for t in board.ready if _has_message(t, now)])
    return Settled(after, number, page, ready, quiescent)


def failure_value(node: str, entry: Entry) -> bytes:
    """The message that a failure sends out of a port, as JSON text."""
    failure = entry.failure
    assert failure is not None
    return msgspec.json.encode(
        {
            "error": {
                "type": failure.type,
                "message": failure.message,
                "node": node,
                "attempt": entry.attempt,
            }
        }
    )


def _has_message(token: Token, now: int) -> bool:
    """Whether a message goes out for what is ready. Whoever settles a wait looks into the inbox
    himself: its message stands for the time-out."""
    return in_reach(token, now) and (token.state is not State.WAITING or in_time(token, now))


def _activation(settling: Settling) -> Activate:
    def activate(node: int, visit: int, inputs: tuple[int, ...]) -> Token:
        return Token(
            node=node,
            visit=visit,
            attempt=1,
            state=State.READY,
            owner=settling.sid,
            look_at=settling.look_at or coarse_look(0, settling.now),
            inputs=inputs,
        )

    return activate


class _Ruling(msgspec.Struct, frozen=True):
    """What an outcome means for its token and for the run."""

    kind: Kind
    port: str = ""
    """The port that a message goes out of; empty for none."""
    again: Token | None = None
    """The same visit's next attempt."""
    chance: float | None = None
    fatal: Failure | None = None
    """Why the run fails, where it does."""


def _rule(settling: Settling, node: Node, on_failure: str, number: int) -> _Ruling:
    token, outcome, policy = settling.token, settling.outcome, settling.policy
    if isinstance(outcome, Done):
        return _Ruling(Kind.DONE, outcome.port)
    if isinstance(outcome, Slept):
        again = _again(settling, State.SLEEPING, Resumed.SLEPT, outcome.until, token.failures)
        return _Ruling(Kind.SLEPT, again=again)
    if isinstance(outcome, Waited):
        # a recorded distance of 0 says that there is no time-out
        until = outcome.until - (outcome.until == settling.now)
        again = _again(settling, State.WAITING, Resumed.NOT, until, token.failures)
        look_at = first_wait_look(outcome.until, settling.now)
        return _Ruling(Kind.WAITED, again=replace(again, look_at=look_at))
    if isinstance(outcome, Signalled):
        again = _again(settling, State.READY, Resumed.SIGNAL, 0, token.failures)
        return _Ruling(Kind.SIGNALLED, again=again)
    if isinstance(outcome, Expired):
        again = _again(settling, State.READY, Resumed.TIMEOUT, 0, token.failures)
        return _Ruling(Kind.EXPIRED, again=again)
    if isinstance(outcome, Changed):
        again = _again(settling, State.READY, token.resumed, 0, token.failures)
        inputs = list(token.inputs)
        inputs[outcome.position] = number
        return _Ruling(Kind.CHANGED, again=replace(again, inputs=tuple(inputs)))
    failures = token.failures + 1
    if not outcome.permanent and policy.allows(failures, outcome.kinds):
        due = settling.now + policy.delay_ms(failures, settling.chance)
        # What had resumed the visit is what its retry goes on from: it must not sleep once more.
        resumed = token.resumed or Resumed.RETRY
        again = _again(settling, State.RETRYING, resumed, due, failures)
        chance = settling.chance if policy.jitter else None
        return _Ruling(Kind.RETRIED, again=again, chance=chance)
    if node.successors.get(ERROR_PORT):
        return _Ruling(Kind.FAILED, ERROR_PORT)
    if on_failure == "continue":
        return _Ruling(Kind.FAILED, node.default)
    return _Ruling(Kind.FAILED, fatal=outcome.failure)


def _again(settling: Settling, state: State, resumed: Resumed, due: int, failures: int) -> Token:
    """The token of the same visit's next attempt, not before `due`."""
    return replace(
        settling.token,
        attempt=settling.token.attempt + 1,
        state=state,
        owner=settling.sid,
        look_at=settling.look_at or coarse_look(due, settling.now),
        due=due,
        failures=failures,
        looks=0,
        resumed=resumed,
    )


def _stopped(token: Token) -> Token:
    """The token whose failure ended the run: where an operator's retry begins."""
    return replace(token, state=State.STOPPED, failures=token.failures + 1)


def _waits(head: Head, settling: Settling, ruling: _Ruling, number: int) -> tuple[Wait, ...]:
    """The waits after this: a visit's begins, is answered, or goes with its visit."""
    token, outcome = settling.token, settling.outcome
    ours = head.wait(token.node, token.visit)
    if isinstance(outcome, Waited):
        ordinal = 1 if ours is None else ours.ordinal + 1
        new = Wait(token.node, token.visit, outcome.name, ordinal)
    elif ours is None:
        return head.waits
    elif isinstance(outcome, Signalled):
        new = replace(ours, signal=number)
    elif ruling.again is not None or ruling.fatal is not None:
        return head.waits
    else:
        return tuple(wait for wait in head.waits if wait is not ours)
    return (*(wait for wait in head.waits if wait is not ours), new)


def _owing(head: Head, effects: Sequence[Effect], number: int, now: int) -> Head:
    """The head with what this result owes to others, in the order in which it was asked for."""
    owed = tuple(
        Owed(f"{number}.{place}", each.receiver, number << 16 | place, each.name, each.value)
        for place, each in enumerate(effects)
    )
    look_at = head.owed_look_at if head.owed else coarse_look(0, now)
    return replace(head, owed=(*head.owed, *owed), owed_look_at=look_at)


def _closing(head: Head, called_for: Sequence[Token], now: int) -> Head:
    """The head of a run that is being cancelled: what this result calls for is kept, unsent."""
    frontier = tuple(
        replace(token, look_at=0) if token in called_for else token for token in head.frontier
    )
    return closed(replace(head, status=Status.CLOSING, frontier=frontier), now)


def _entry(settling: Settling, ruling: _Ruling, head: Head, number: int, previous: int) -> Entry:
    token, outcome = settling.token, settling.outcome
    port = ruling.port
    value: Value = b""
    wait = ruling.again.due - settling.now if ruling.again is not None and ruling.again.due else 0
    if isinstance(outcome, Done):
        value = outcome.value
    elif isinstance(outcome, Waited):
        port = outcome.name
    elif isinstance(outcome, Signalled):
        port, value = _wait_name(head, token), outcome.value
    elif isinstance(outcome, Expired):
        port = _wait_name(head, token)
    elif isinstance(outcome, Changed):
        port, value = str(outcome.position), outcome.value
    return Entry(
        node=token.node,
        visit=token.visit,
        attempt=token.attempt,
        epoch=head.epoch,
        kind=ruling.kind,
        port=port,
        owner=token.owner,
        inputs=back(number, token.inputs),
        after=settling.now - head.created_at - head.last_at,
        took=settling.took,
        value=value,
        failure=outcome.failure if isinstance(outcome, Failed) else None,
        previous=previous,
        wait=wait,
        chance=ruling.chance,
        state=settling.state,
    )


def _wait_name(head: Head, token: Token) -> str:
    wait = head.wait(token.node, token.visit)
    return "" if wait is None else wait.name


def _append(head: Head, entry: Entry) -> tuple[Page | None, int, tuple[Entry, ...]]:
    """The tail with `entry`; a full tail moves to a page first, the same bytes for every writer."""
    if len(head.tail) < PAGE_ENTRIES:
        return None, head.first, (*head.tail, entry)
    page = Page(head.format, head.first, head.tail, head.last_at)
    return page, head.first + len(head.tail), (entry,)


def _close(
    board: Board, definition: Definition, steps: int, frontier_limit: int
) -> tuple[Failure | None, bool]:
    """Why the run fails now, if it does; and whether nothing is left to run."""
    if board.idle and not (board.ports and board.fire_without_optional()):
        if board.ports:
            joins = "; ".join(
                f"node '{node}' got nothing on {', '.join(repr(p) for p in ports)}"
                for node, ports in board.starved()
            )
            return Failure(Starved.__name__, f"nothing is left to run, and {joins}"), False
        return None, True
    if board.pending > frontier_limit:
        text = f"{board.pending} activations and queued messages are pending; the limit is"
        return Failure(FrontierFull.__name__, f"{text} {frontier_limit}"), False
    if steps >= definition.max_steps:
        text = f"the run has taken {steps} steps, as many as max_steps allows"
        return Failure(StepBudgetExhausted.__name__, text), False
    return None, False
