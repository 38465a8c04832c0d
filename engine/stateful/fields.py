"""Header fields, and the parameters of a query: names with values, in order, several of one name.

As a mapping it holds the first value of each name; `all` gives the others too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping


class Fields(Mapping[str, str]):
    """Immutable. With `fold` names are the same whatever their case, and come in lower case."""

    __slots__ = ("_fold", "_pairs", "_values")

    def __init__(
        self, pairs: Iterable[tuple[str, str]] | Mapping[str, str] = (), *, fold: bool = False
    ) -> None:
        if isinstance(pairs, Mapping):
            pairs = pairs.items()
        self._fold = fold
        self._pairs = tuple((self._name(name), value) for name, value in pairs)
        self._values: dict[str, list[str]] = {}
        for name, value in self._pairs:
            self._values.setdefault(name, []).append(value)

    def __getitem__(self, name: str) -> str:
        return self._values[self._name(name)][0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Fields({list(self._pairs)!r})"

    def all(self, name: str) -> list[str]:
        """Every value of this name, in order; none is an empty list."""
        return list(self._values.get(self._name(name), ()))

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Everything, in order."""
        return self._pairs

    def _name(self, name: str) -> str:
        return name.lower() if self._fold else name
