"""Putting what is numbered from 1 back in order: API Gateway keeps none between two frames.

What must stay true: each number is given out once, in order, whatever comes twice or early.
"""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class InOrder(Generic[T]):
    """Holds what has come too early, at most `most` of it; more is dropped, and leaves a gap."""

    __slots__ = ("_early", "_most", "_next")

    def __init__(self, most: int) -> None:
        self._next = 1
        self._most = most
        self._early: dict[int, T] = {}

    @property
    def held(self) -> int:
        return len(self._early)

    def take(self, index: int, value: T) -> list[T]:
        """All that is in order now; what has no number, 0, always is."""
        if index == 0:
            return [value]
        if index < self._next or (index > self._next and len(self._early) > self._most):
            return []
        self._early.setdefault(index, value)
        ready: list[T] = []
        while self._next in self._early:
            ready.append(self._early.pop(self._next))
            self._next += 1
        return ready
