"""Messages and executions of one run: who may send what, and who may run what (DESIGN §4).

- A message names a token that a saved head holds: nothing is sent before its commit (rule 5).
- A token is sent for once by the commit that made it ready, and again only by deliveries of its
  owner (rule 6), by sweeps that were due (rule 9), and by what says so (an injection).
- What a result makes ready is owned by a message that somebody was given (rule 6).
- Whoever acknowledges a message has sent all that its sid made ready; and where the message's own
  token is still pending, another message stands for it (rules 4, 5). A wait needs a message for a
  time-out that is within the queue's reach, and else none.
- One delivery runs an actor once, whatever conflicts its save meets (rule 2).
- A delivery that comes when the token has settled, or the run has ended, runs nothing (rules 4,
  16), nothing runs before it is due (rule 8), and nothing after the run's deadline.
- What a result asks to be sent to others is sent before its message is acknowledged (rule 7).
- Once the faults have stopped, what becomes ready is settled by a message, and not by a sweep.
"""

from __future__ import annotations

from collections import Counter

from engine.layout import RunKey
from engine.messages import Message
from engine.operating import RETRIED
from engine.simulation.observing import TokenId, Violation
from engine.snapshot import RUN_LEVEL, STARTED, Entry, Head, Kind, State, Status, Token
from engine.timing import LOOK_AFTER_MS, QUEUE_REACH_MS

_CALLS = (STARTED, RETRIED)


SETTLING_MS = 30 * 60_000
"""After the faults have stopped: how long what they have begun may go on."""
PROMPT_MS = LOOK_AFTER_MS - 60_000
"""What is settled within this time of becoming ready was not brought about by a sweep."""


class Traffic:
    """The messages of one run, and the executions that came of them."""

    def __init__(self, key: RunKey, skew_ms: int, once: frozenset[int] = frozenset()) -> None:
        """`once` are the nodes whose actors must not run twice for one attempt."""
        self._key = key
        self._skew = skew_ms + 1
        self._once = once
        self._head: Head | None = None
        self._pending: dict[TokenId, Token] = {}
        self._owners: dict[TokenId, str] = {}
        """Of every token that ever was pending."""
        self._ready_at: dict[TokenId, int] = {}
        self._settled_at: dict[TokenId, int] = {}
        self._ended_at = 0
        self._closing_at = 0
        self._copies: Counter[str] = Counter()
        """Of each sid: sends without the acknowledgements. Only sids that were sent are in it."""
        self._first_sends: Counter[TokenId] = Counter()
        """Sends with a fresh sid."""
        self._standing: Counter[TokenId] = Counter()
        """Sends without the acknowledgements: messages that may still bring a token about."""
        self._deliveries: Counter[str] = Counter()
        self._sweeps: Counter[TokenId] = Counter()
        self._delivered_at: dict[tuple[str, TokenId], int] = {}
        self._token_deliveries: Counter[TokenId] = Counter()
        self._repeated: dict[tuple[str, TokenId], bool] = {}
        """Whether nothing that a process was given of a token can have been the first."""
        self._dead: set[str] = set()
        """Sids of dead letters."""
        self._waits: set[TokenId] = set()
        self._results: dict[int, TokenId] = {}
        """Which token each result is of."""
        self._moved: Counter[TokenId] = Counter()
        """Saves of the head while the token was pending."""
        self.calm_at: int | None = None
        """When the faults stopped."""
        self.messages = 0
        self.executions: Counter[TokenId] = Counter()

    def saved(self, before: Head | None, after: Head, entry: Entry | None, at: int) -> None:
        """The run's head was replaced; `entry` is what that recorded. Raises Violation."""
        if entry is not None:
            made = (entry.epoch, entry.node, entry.visit, entry.attempt)
            self._results[after.next_number - 1] = made
        decided = at if entry is None else min(at, after.created_at + after.last_at)
        pending = {(after.epoch, t.node, t.visit, t.attempt): t for t in after.frontier}
        self._moved.update(pending.keys() & self._pending.keys())
        for name, token in self._pending.items():
            now = pending.get(name)
            if now is None and entry is not None and before is not None:
                self._settled_promptly(name, token, entry, at)
            if now is None:
                self._settled_at[name] = at
            elif now.look_at != token.look_at:
                self._sweeps[name] += 1
        for name, token in pending.items():
            by_delivery = entry is not None and entry.kind is not Kind.SIGNALLED
            fresh = by_delivery and name not in self._pending
            if fresh and not self._deliveries[token.owner] and token.state is not State.STOPPED:
                text = f"{name} is owned by '{token.owner}', which nobody was given"
                raise self._violation("owner", text)
            self._owners[name] = token.owner
            if token.state is State.WAITING:
                self._waits.add(name)
            self._ready_at.setdefault(name, decided)
        if after.limit is not None:
            self._owners[after.epoch, RUN_LEVEL, 0, after.limit.attempt] = after.limit.owner
            self._sweeps[after.epoch, RUN_LEVEL, 0, after.limit.attempt] += 1
        ended = before is not None and before.status.terminal
        if after.status.terminal and not ended:
            self._ended_at = at
        elif not after.status.terminal:
            self._ended_at = 0
        if after.status is not Status.CLOSING:
            self._closing_at = 0
        elif before is None or before.status is not Status.CLOSING:
            self._closing_at = at
        self._pending, self._head = pending, after

    def sent(self, message: Message) -> None:
        """Raises Violation."""
        self.messages += 1
        name = message.token
        if name not in self._owners:
            raise self._violation("commit before send", f"{name} was sent before it was saved")
        self._standing[name] += 1
        known = message.sid in self._copies
        self._copies[message.sid] += 1
        if known:
            return  # a copy: put off, or the same request again
        self._first_sends[name] += 1
        owner = self._owners[name]
        if owner in _CALLS or name[1] == RUN_LEVEL:
            return  # made ready by a call, which its caller may repeat
        allowed = self._deliveries[owner] + self._sweeps[name]
        if owner not in self._copies:
            allowed += 1  # whoever sent the signal that ended a wait sends for it, once
        if name in self._waits and self._moved[name]:
            allowed += 1  # the look that follows the save met another save, and is put off
        if self._first_sends[name] > allowed:
            text = f"{name} was sent {self._first_sends[name]} times; {allowed} have a reason"
            raise self._violation("relay what is owned", text)

    def must_be_claimed(self, name: TokenId) -> bool:
        """Whether everybody must hold a claim to run the token."""
        return name in self._pending and name[1] in self._once

    def runs_again(self, name: TokenId, worker: str) -> bool:
        """Whether what this process was given of the token, which is pending, was not the first."""
        return name in self._pending and self._repeated.get((worker, name), False)

    def delivered(self, message: Message, worker: str, receives: int, at: int) -> None:
        self._deliveries[message.sid] += 1
        self._delivered_at[worker, message.token] = at
        self._token_deliveries[message.token] += 1
        given = (worker, message.token)
        repeated = receives > 1 or message.again
        self._repeated[given] = repeated and self._repeated.get(given, True)

    def dead_lettered(self, message: Message) -> None:
        self._dead.add(message.sid)

    def acknowledged(self, message: Message) -> None:
        """The message is gone from the queue. Raises Violation."""
        name = message.token
        self._standing[name] -= 1
        self._copies[message.sid] -= 1
        head = self._head
        if head is not None and head.owed and self._standing[name] <= 0:
            self._has_paid(name, head)
        if head is None or head.status.terminal or head.held or head.status is Status.CLOSING:
            return
        for each, token in self._pending.items():
            owned = token.owner == message.sid and self._in_reach(each, token)
            if owned and not self._first_sends[each] and self._copies[message.sid] <= 0:
                text = f"{each} was not sent, and its owner's message is acknowledged"
                raise self._violation("send before acknowledge", text)
        named = self._pending.get(name)
        if named is None or not self._in_reach(name, named):
            return
        if self._standing[name] <= 0:
            rule = "dead letter" if message.sid in self._dead else "lost message"
            raise self._violation(rule, f"{name} is pending, and nothing stands for it")

    def _has_paid(self, name: TokenId, head: Head) -> None:
        """Whoever acknowledges a message has paid what its token's result asked for (rule 7)."""
        for owed in head.owed:
            if self._results.get(int(owed.id.partition(".")[0])) == name:
                raise self._violation("debt", f"{name} is acknowledged, and {owed} was not paid")

    def began(self, name: TokenId, worker: str, at: int) -> None:
        """The token's actor was called. Raises Violation."""
        self.executions[name] += 1
        if name not in self._owners:
            raise self._violation("run", f"{name} runs, and was never saved")
        if self.executions[name] > self._token_deliveries[name]:
            raise self._violation("run", f"{name} runs more often than it was delivered")
        if name[1] in self._once and self.executions[name] > 1:
            raise self._violation("at most once", f"{name} runs again")
        token = self._pending.get(name)
        if token is not None and token.due > at + self._skew:
            raise self._violation("due", f"{name} runs at {at}, and is due at {token.due}")
        if token is not None and token.state is State.WAITING:
            raise self._violation("run while waiting", f"{name} runs while it waits for a signal")
        loaded_after = self._delivered_at.get((worker, name))
        if loaded_after is None:
            raise self._violation("run", f"{name} runs without a message")
        limit = None if self._head is None else self._head.limit
        if limit is not None and limit.due < loaded_after - self._skew:
            raise self._violation("run after the deadline", f"{name} runs when time is up")
        if self._ended_at and self._ended_at < loaded_after:
            raise self._violation("run after the end", f"{name} runs, and the run had ended before")
        if self._closing_at and self._closing_at < loaded_after:
            raise self._violation("run while closing", f"{name} runs, and the run is cancelled")
        if name in self._settled_at and self._settled_at[name] < loaded_after:
            raise self._violation("run after the result", f"{name} runs, and it had settled before")

    def _in_reach(self, name: TokenId, token: Token) -> bool:
        """Whether it was near enough, when it became ready, for a message to be sent at once.

        A wait's message stands for its time-out: signals look for waits themselves.
        """
        if token.state is State.STOPPED or (token.state is State.WAITING and not token.due):
            return False
        return token.due <= self._ready_at[name] + QUEUE_REACH_MS - self._skew

    def waiting_since(self, message: Message) -> list[tuple[Token, int]]:
        """The waits that this message's sid began and sent nothing for, and when each began."""
        if self._head is None or self._head.status.terminal or self._copies[message.sid] > 0:
            return []
        return [
            (token, self._ready_at[name])
            for name, token in self._pending.items()
            if token.state is State.WAITING
            and token.owner == message.sid
            and not self._first_sends[name]
        ]

    def _settled_promptly(self, name: TokenId, token: Token, entry: Entry, at: int) -> None:
        if self.calm_at is None or entry.kind is Kind.SIGNALLED:
            return
        since = max(self._ready_at[name], token.due)
        if self.calm_at + SETTLING_MS < since < at - PROMPT_MS and self._settles(name, entry):
            text = f"{name} was ready at {since}, and took {at - since} ms without any fault"
            raise self._violation("promptness", text)

    def _settles(self, name: TokenId, entry: Entry) -> bool:
        return name == (entry.epoch, entry.node, entry.visit, entry.attempt)

    def _violation(self, rule: str, text: str) -> Violation:
        return Violation(rule, f"run {self._key.run}: {text}")
