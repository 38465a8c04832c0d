"""What a run looks like while it works: one row per node that it has reached, folded from events.

A run that is resumed begins with the rows of its history. Times are milliseconds since 1970.
What a run waits for is kept beside the rows: somebody must be told how to answer, or a run that
only waits would seem to hang.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from engine.events import Event, Type
from engine.reading import PendingView, ResultView
from infra.local.cli.exits import command_line
from infra.local.cli.wording import count, duration, error_text, one_line, until, wait


class Phase(StrEnum):
    """What a node's latest activation is doing."""

    READY = "ready"
    RUNNING = "running"
    RETRYING = "retrying"
    SLEEPING = "sleeping"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def pending(self) -> bool:
        return self not in (Phase.DONE, Phase.FAILED, Phase.STOPPED)


_PHASES = {
    Type.NODE_EXECUTING: Phase.RUNNING,
    Type.ACTOR_COMPLETED: Phase.DONE,
    Type.ACTOR_FAILED: Phase.FAILED,
    Type.RETRYING: Phase.RETRYING,
    Type.SLEEPING: Phase.SLEEPING,
    Type.WAITING: Phase.WAITING,
    Type.SIGNALLED: Phase.READY,
    Type.TIMED_OUT: Phase.READY,
}
_OUTCOMES = {
    "done": Phase.DONE,
    "failed": Phase.FAILED,
    "retried": Phase.RETRYING,
    "slept": Phase.SLEEPING,
    "waited": Phase.WAITING,
    "signalled": Phase.READY,
    "expired": Phase.READY,
    "changed": Phase.READY,
}
CANCELLING = "cancelling"
"""`Progress.state` of a run that is being cancelled."""
_ENDS = (Type.COMPLETED, Type.FAILED, Type.CANCELLED)
_HINTS = 3
"""How many commands to answer waits are shown at a time."""


@dataclass(slots=True)
class Row:
    """One node. `changed` counts up over all rows: the larger, the later.

    `port` is that of its message or, while it waits, the name of the signal.
    """

    node: str
    actor: str
    phase: Phase = Phase.READY
    visit: int = 0
    attempt: int = 0
    began: int = 0
    took_ms: int = 0
    due: int = 0
    port: str = ""
    error: str = ""
    changed: int = 0

    def elapsed(self, now: int) -> int:
        return now - self.began if self.phase is Phase.RUNNING else self.took_ms

    def note(self, now: int) -> str:
        """What else there is to say, in one line."""
        if self.phase is Phase.RETRYING and self.due:
            away = f"in {wait(self.due - now)}" if self.due > now else "now"
            return f"retry {away}: {self.error}" if self.error else f"retry {away}"
        if self.phase is Phase.SLEEPING and self.due:
            return until(self.due, now)
        if self.phase is Phase.WAITING:
            return waiting_for(self.port, self.due, now)
        if self.phase is Phase.FAILED and self.port:
            return f"{self.error}; out of port '{self.port}'"
        if self.phase is Phase.RUNNING and self.error:
            return f"again, after {self.error}"
        if self.phase is Phase.DONE and self.port not in ("", "out"):
            return f"out of port '{self.port}'"
        return self.error


class Progress:
    """The rows of one run."""

    def __init__(
        self,
        run: str,
        workflow: str,
        actors: Mapping[str, str],
        since: int,
        place: Sequence[str] = (),
    ) -> None:
        """`actors` are the actors' names by node, `since` when the run began.

        `place` are the options that name the database, for commands to copy.
        """
        self.run = run
        self.workflow = workflow
        self.since = since
        self.state = "running"
        self.took_ms: int | None = None
        self.steps = 0
        self._place = place
        self._actors = actors
        self._rows: dict[str, Row] = {}
        self._waits: dict[tuple[str, int], str] = {}
        self._changes = 0

    def recall(self, history: Iterable[ResultView], pending: Iterable[PendingView]) -> None:
        """Begin with what happened before."""
        for result in history:
            row = self._touch(result.node, result.visit, result.attempt)
            row.phase = _OUTCOMES[result.outcome]
            row.took_ms, row.due = result.took_ms, result.due
            row.port = result.port or result.signal
            row.error = one_line(error_text(result.error))
        for token in pending:
            row = self._touch(token.node, token.visit, token.attempt)
            row.phase = Phase(token.state)
            row.due = token.due
            if row.phase is Phase.WAITING:
                row.port = self._waits[token.node, token.visit] = token.signal

    def apply(self, event: Event) -> None:
        if event.type in _ENDS:
            self.end(event.type.lower(), event.took_ms)
        elif event.type is Type.CANCELLING:
            self.state = CANCELLING
        phase = _PHASES.get(event.type)
        if phase is None:
            return
        again = phase is Phase.RUNNING and event.attempt > 1
        row = self._touch(event.node, event.visit, event.attempt)
        row.phase, row.took_ms, row.due, row.port = phase, event.took_ms, event.due, event.port
        if phase is Phase.RUNNING:
            row.began = event.at
        else:
            self.steps += 1
        self._waits.pop((event.node, event.visit), None)
        if phase is Phase.WAITING:
            self._waits[event.node, event.visit] = event.port
        if not again:
            row.error = one_line(event.error)

    def end(self, state: str, took_ms: int | None = None) -> None:
        """The run has ended, or is left alone: `state` is how, in one word."""
        self.state, self.took_ms = state, took_ms

    def hints(self) -> list[str]:
        """How to answer what the run waits for: commands to copy, each once."""
        if self.took_ms is not None:
            return []
        names = list(dict.fromkeys(self._waits.values()))
        lines = [self.hint(name) for name in names[:_HINTS]]
        if len(names) > _HINTS:
            lines.append(f"and for {count(len(names) - _HINTS, 'signal')} more")
        return lines

    def hint(self, name: str) -> str:
        """How to answer a wait for the signal of this name."""
        return f"to answer: {command_line('signal', self.run, name, *self._place)}"

    def rows(self, limit: int) -> tuple[list[Row], int]:
        """At most `limit` rows in the order in which the run reached them, and how many are left
        out: what is pending stays, then what failed, then what changed last."""
        rows = list(self._rows.values())
        if len(rows) <= limit:
            return rows, 0

        def weight(row: Row) -> tuple[bool, bool, int]:
            return row.phase.pending, row.phase is Phase.FAILED, row.changed

        kept = {row.node for row in sorted(rows, key=weight, reverse=True)[:limit]}
        return [row for row in rows if row.node in kept], len(rows) - limit

    def elapsed(self, now: int) -> str:
        return duration(now - self.since if self.took_ms is None else self.took_ms)

    def _touch(self, node: str, visit: int, attempt: int) -> Row:
        row = self._rows.get(node)
        if row is None:
            row = self._rows[node] = Row(node, self._actors.get(node, ""))
        self._changes += 1
        row.visit, row.attempt, row.changed = visit, attempt, self._changes
        return row


def waiting_for(signal: str, due: int, now: int) -> str:
    """`for signal 'approval' until 14:05:03 (in 4 min 0 s)`; without a time-out, the signal."""
    return f"for signal '{signal}'" + (f" {until(due, now)}" if due else "")


def event_line(event: Event, now: int) -> str:
    """One event as a line for logs and for progress off a terminal; "" for those left out."""
    attempt = f", attempt {event.attempt}" if event.attempt > 1 else ""
    visit = f", visit {event.visit}" if event.visit > 1 else ""
    took, error = duration(event.took_ms), one_line(event.error)
    match event.type:
        case Type.STARTED:
            return f"started workflow {event.workflow}"
        case Type.NODE_EXECUTING:
            return f"{event.node}: running{visit}{attempt}"
        case Type.ACTOR_COMPLETED:
            port = f", out of port '{event.port}'" if event.port != "out" else ""
            return f"{event.node}: done in {took}{port}"
        case Type.ACTOR_FAILED:
            port = f"; out of port '{event.port}'" if event.port else ""
            return f"{event.node}: failed after {took}: {error}{port}"
        case Type.RETRYING:
            return f"{event.node}: attempt {event.attempt} failed, retry in " + (
                f"{wait(event.due - now)}: {error}"
            )
        case Type.SLEEPING:
            return f"{event.node}: sleeping {until(event.due, now)}"
        case Type.WAITING:
            return f"{event.node}: waiting {waiting_for(event.port, event.due, now)}{visit}"
        case Type.SIGNALLED:
            return f"{event.node}: signal '{event.port}' came{visit}"
        case Type.TIMED_OUT:
            return f"{event.node}: signal '{event.port}' has not come in time{visit}"
        case Type.CANCELLING:
            return "is being cancelled: nothing new begins"
        case Type.CANCELLED:
            return f"cancelled after {took}"
        case Type.RETRIED:
            return "goes on from where it ended: it is retried"
        case Type.FORKED:
            return f"started as a fork, workflow {event.workflow}"
        case Type.COMPLETED:
            return f"completed in {took}"
        case Type.FAILED:
            return f"failed after {took}: {error}"
        case _:
            return ""
