"""Who takes part: an actor, a runner, a pool, each a run of its own kind."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from engine.layout import RunKey, run_key


class Kind(StrEnum):
    """The kinds of service runs, as `RunKey.kind` has them."""

    ACTOR = "actor"
    RUNNER = "runner"
    POOL = "pool"


class Party(msgspec.Struct, frozen=True, array_like=True):
    """One of them within a tenant."""

    kind: Kind
    id: str

    def key(self, tenant: str) -> RunKey:
        return RunKey(tenant, self.id, self.kind.value)

    def __str__(self) -> str:
        return f"{self.kind} '{self.id}'"


def actor(id: str) -> Party:
    return Party(Kind.ACTOR, id)


def runner(id: str) -> Party:
    return Party(Kind.RUNNER, id)


def pool(id: str) -> Party:
    return Party(Kind.POOL, id)


def party_of(key: RunKey) -> Party:
    return Party(Kind(key.kind), key.run)


def party_key(kind: Kind, id: str, tenant: str) -> RunKey:
    """Raises InvalidName for an id that keys cannot carry."""
    return Party(kind, run_key(id, tenant).run).key(tenant)
