"""The history of one simulation, as people read it.

One line for each thing that happened, with its time and the process that did it; faults are marked
with an exclamation mark. Two histories are the same if their digests are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_Note = tuple[int, str, str, tuple[Any, ...]]


@dataclass(slots=True)
class Trace:
    """Notes are formatted only when somebody reads them: hardly any history is read."""

    epoch: int
    """The true time (ms since 1970) at which the simulation began."""
    _notes: list[_Note] = field(default_factory=list)

    def note(self, at: int, who: str, text: str, *facts: Any) -> None:
        """`text` is a template of `str.format` for the facts, which must not change later."""
        self._notes.append((at, who, text, facts))

    @property
    def last_at(self) -> int:
        """When the last thing happened (ms since 1970)."""
        return self._notes[-1][0] if self._notes else self.epoch

    def __len__(self) -> int:
        return len(self._notes)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        for at, who, text, facts in self._notes:
            yield f"{clock_time(at - self.epoch)}  {who:<14} {text.format(*facts)}"

    def digest(self) -> str:
        whole = hashlib.blake2b(digest_size=16)
        for line in self.lines():
            whole.update(line.encode())
            whole.update(b"\n")
        return whole.hexdigest()


def clock_time(ms: int) -> str:
    """Milliseconds as `[days]d hours:minutes:seconds.thousandths`."""
    seconds, thousandths = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{f'{days}d ' if days else ''}{hours:02}:{minutes:02}:{seconds:02}.{thousandths:03}"
