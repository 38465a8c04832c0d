"""What steps cost, counted while the invariants are watched."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Costs:
    """What the steps of a simulation have cost. A step is one recorded result; an attempt is one
    that an actor made: not the end of a wait, which costs a message and no execution."""

    steps: int = 0
    attempts: int = 0
    messages: int = 0
    executions: int = 0
    saves: int = 0

    def __add__(self, other: Costs) -> Costs:
        return Costs(
            self.steps + other.steps,
            self.attempts + other.attempts,
            self.messages + other.messages,
            self.executions + other.executions,
            self.saves + other.saves,
        )

    @property
    def messages_per_step(self) -> float:
        return self.messages / max(1, self.steps)

    @property
    def executions_per_step(self) -> float:
        return self.executions / max(1, self.steps)

    @property
    def messages_per_attempt(self) -> float:
        return self.messages / max(1, self.attempts)

    @property
    def executions_per_attempt(self) -> float:
        return self.executions / max(1, self.attempts)
