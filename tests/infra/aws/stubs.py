"""Clients that record what they are asked and answer as they are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from infra.aws.client import AwsClient
from infra.aws.pauses import Pauses


class Recorder:
    """Implements `AwsClient`: passes on to another, or answers {} where there is none."""

    def __init__(self, client: AwsClient | None = None) -> None:
        self._client = client
        self.calls: list[tuple[str, dict[str, Any]]] = []

    @property
    def operations(self) -> list[str]:
        return [operation for operation, _ in self.calls]

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        self.calls.append((operation, parameters))
        return {} if self._client is None else await self._client.call(operation, **parameters)


class Scripted:
    """Implements `AwsClient`: every call takes the next of `answers`, errors included."""

    def __init__(
        self, *answers: dict[str, Any] | Exception | Callable[..., dict[str, Any]]
    ) -> None:
        self._answers = list(answers)
        self.calls: list[tuple[str, dict[str, Any]]] = []

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        self.calls.append((operation, parameters))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer(**parameters) if callable(answer) else answer


class CountedPauses(Pauses):
    """Never waits; `waited` holds the seconds it would have waited at most."""

    def __init__(self, tries: int = 6) -> None:
        self.waited: list[float] = []
        super().__init__(tries, self._note, lambda: 1.0)

    async def _note(self, seconds: float) -> None:
        self.waited.append(seconds)
