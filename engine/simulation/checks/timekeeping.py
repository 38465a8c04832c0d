"""When things are due, and when somebody looks: checked save by save (DESIGN §4 rules 8 and 9, §6).

- A retry's delay lies within its policy, and a visit fails no oftener than the policy allows.
- Nothing settles before it is due. Processes' clocks may be wrong by `skew_ms`, and no more.
- A token's look-at time is fixed when it becomes ready. Only a sweep whose time has come moves it
  on, doubling, and only towards a time that is near enough.
- A sweep leaves alone what could run while the queue is behind: a backlog is not a loss.
- A wait is looked after once even if it never times out: its look into the inbox may be lost.
- A run ends by its deadline not before it, and soon after it where no faults hold that up.
- `wake_at` is no later than the earliest look that anything pending asks for: a busy sibling hides
  nothing, and a run with something to wait for is never forgotten.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.definition import Definition, Node, RetryPolicy
from engine.layout import RunKey
from engine.simulation.checks.chronicle import ends_by_deadline
from engine.simulation.checks.reference import retry_delay_bounds
from engine.simulation.observing import Violation
from engine.snapshot import Entry, Head, Kind, State, Status, Token
from engine.timing import API_LOOK_MS, LOOK_AFTER_MS, LOOK_GRAIN_MS

PolicyOf = Callable[[Node], RetryPolicy]

MOST_DOUBLINGS = 8
LATEST_END_MS = LOOK_AFTER_MS + LOOK_GRAIN_MS + 180_000
"""How long after its deadline a run may end: its message was lost, and a sweep sends another."""
_KEPT_BACK = (Status.CLOSING, Status.CANCELLED)
"""What a run that is being cancelled calls for is not sent, and not looked after."""


class Timekeeping:
    """The times of one run."""

    def __init__(
        self, key: RunKey, definition: Definition, policy_of: PolicyOf, skew_ms: int
    ) -> None:
        self._key = key
        self._definition = definition
        self._policy_of = policy_of
        self._skew = skew_ms + 1
        self.calm_at: int | None = None
        """When the faults stopped."""
        self.behind = False
        """Whether every sweep that may be under way was told that the queue is behind."""

    def saved(self, before: Head | None, after: Head, entry: Entry | None, at: int) -> None:
        """Check one save. `entry` is what it recorded. Raises Violation."""
        if before is not None and after.status.terminal and not before.status.terminal:
            self._ended_in_time(before, after, at)
        seconds = self._definition.deadline
        if seconds is not None and not after.status.terminal:
            latest = at + seconds * 1000 + self._skew
            if after.limit is None or after.limit.due > latest:
                raise self._violation("deadline", f"it is {seconds} s; the limit is {after.limit}")
        if after.status.terminal:
            self._wakes_for_debts_alone(after)
        elif not after.held:
            self._wakes_in_time(after)
        known = {} if before is None else {_name(t, before.epoch): t for t in before.frontier}
        for token in after.frontier:
            earlier = known.get(_name(token, after.epoch))
            if token.state is State.STOPPED or after.status in _KEPT_BACK:
                continue
            if earlier is None or earlier.state is State.STOPPED:
                self._looks_soon(token, at)
                waits = token.state is State.WAITING and entry is not None
                soon = at + LOOK_AFTER_MS + LOOK_GRAIN_MS + self._skew
                if waits and not 0 < token.look_at <= soon:
                    raise self._violation("look_at", f"nobody looks whether {token} has its signal")
            elif token.look_at != earlier.look_at or token.looks != earlier.looks:
                self._moved_on(earlier, token, entry, at)
        if before is not None and entry is not None:
            settled = before.find(entry.node, entry.visit, entry.attempt)
            if settled is None:
                return  # the chronicle says so
            self._was_due(settled, entry, at)
            if entry.kind in (Kind.RETRIED, Kind.SLEPT, Kind.WAITED):
                self._comes_again(after, entry, settled.failures)

    def _wakes_for_debts_alone(self, head: Head) -> None:
        if bool(head.wake_at) != bool(head.owed):
            raise self._violation("wake_at", f"an ended run wakes at {head.wake_at}")

    def _wakes_in_time(self, head: Head) -> None:
        closing = head.status is Status.CLOSING
        looks = [t.look_at for t in head.frontier if _is_looked_after(t) and not closing]
        if head.owed:
            looks.append(head.owed_look_at)
        if head.limit is not None:
            looks.append(head.limit.look_at)
        if looks and not 0 < head.wake_at <= min(looks):
            text = f"wakes at {head.wake_at}, though something must be looked at by {min(looks)}"
            raise self._violation("wake_at", text)
        if not looks and not head.frontier and head.status is not Status.CLOSING:
            raise self._violation("wake_at", "nothing is pending, and the run has not ended")

    def _looks_soon(self, token: Token, at: int) -> None:
        if not _is_looked_after(token):
            return
        latest = max(token.due, at) + LOOK_AFTER_MS + LOOK_GRAIN_MS + self._skew
        if not 0 < token.look_at <= latest:
            raise self._violation("look_at", f"{token} became ready at {at}: nobody looks by then")

    def _moved_on(self, earlier: Token, token: Token, entry: Entry | None, at: int) -> None:
        """A sweep moves on what has passed; a call from outside may bring a look forward."""
        if entry is not None:
            raise self._violation("look_at", f"{earlier} became {token} by another's result")
        if token.looks == earlier.looks and token.look_at <= at + API_LOOK_MS + self._skew:
            return
        if earlier.look_at > at + self._skew:
            raise self._violation("look_at", f"{token} was put off before its time, at {at}")
        doublings = min(earlier.looks, MOST_DOUBLINGS)
        if token.looks > earlier.looks and token.state is not State.WAITING:
            if self.behind:
                raise self._violation("backlog", f"{earlier} was swept while the queue was behind")
            if token.look_at - earlier.look_at < LOOK_AFTER_MS * 2**doublings:
                raise self._violation("doubling", f"{earlier} became {token}")
        latest = max(token.due, at) + LOOK_AFTER_MS * 2**doublings + LOOK_GRAIN_MS + self._skew
        if token.looks > earlier.looks + 1 or token.look_at > latest:
            raise self._violation("look_at", f"{token} was put off too far, at {at}")

    def _ended_in_time(self, before: Head, after: Head, at: int) -> None:
        if not ends_by_deadline(after):
            return
        if before.limit is None or before.limit.due > at + self._skew:
            raise self._violation("deadline", f"ended at {at}, and its limit is {before.limit}")
        due = before.limit.due
        if self.calm_at is not None and self.calm_at < due < at - LATEST_END_MS:
            raise self._violation("deadline", f"the run ended {at - due} ms after its deadline")

    def _was_due(self, token: Token, entry: Entry, at: int) -> None:
        waits = token.state is State.WAITING and entry.kind is not Kind.EXPIRED
        if token.due > at + self._skew and not waits:
            raise self._violation("due", f"{token} settled at {at}, before it was due")

    def _comes_again(self, after: Head, entry: Entry, failures: int) -> None:
        again = after.find(entry.node, entry.visit, entry.attempt + 1)
        if again is None:
            return  # the model says so too
        settled = after.created_at + after.last_at
        due = settled + entry.wait if entry.wait else 0
        if again.due != due and again.due - settled != entry.wait:
            raise self._violation("due", f"{again} and the entry's wait of {entry.wait} differ")
        if entry.kind is not Kind.RETRIED:
            return
        policy = self._policy_of(self._definition.nodes[entry.node])
        least, most = retry_delay_bounds(policy, failures + 1)
        if not least <= entry.wait <= most:
            text = f"a delay of {entry.wait} ms; it must be {least}-{most}"
            raise self._violation("retry delay", text)
        if again.failures >= policy.max_attempts:
            text = f"{again} comes although {policy.max_attempts} attempts have failed"
            raise self._violation("retry", text)

    def _violation(self, rule: str, text: str) -> Violation:
        return Violation(rule, f"run {self._key.run}: {text}")


def _name(token: Token, epoch: int) -> tuple[int, int, int, int]:
    return (epoch, token.node, token.visit, token.attempt)


def _is_looked_after(token: Token) -> bool:
    """All but what has stopped, and waits that nothing but a signal ends."""
    if token.state is State.WAITING and not token.due and not token.look_at:
        return False
    return token.state is not State.STOPPED
