"""Where things lie: the names of partitions and items, the same on every backend.

A run's head, pages, outputs, actor states, inbox and claims share one partition, so that retention
can delete it whole; a definition has a partition of its own, kept while any run names it. Every
partition begins with the tenant (DESIGN §5).
"""

from __future__ import annotations

import re
import zlib

import msgspec

from engine.errors import InvalidName
from engine.snapshot import Token

DEFAULT_TENANT = "default"
RUN_KIND = "run"
"""The kind of a workflow's run; the other kinds are allocation's service runs."""
HEAD = "head"
RUN_INPUT_ITEM = "input"
RUN_OUTPUT_ITEM = "output"
FORK_ITEM = "fork"
DEFINITION_ITEM = "definition"
PAGE_PREFIX = "page/"
OUTPUT_PREFIX = "out/"
STATE_PREFIX = "state/"
INBOX_PREFIX = "inbox/"
SIGNAL_PREFIX = "signal/"
PAYLOAD_PREFIX = "payload/"
OWED_PREFIX = "owed/"
CLAIM_PREFIX = "claim/"

WAKE_SHARDS = 8

_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@=+-]{0,99}")


class RunKey(msgspec.Struct, frozen=True, order=True):
    """A run's address. Build it with `run_key`, which checks both names.

    `kind` keeps service runs apart from the runs of workflows: two keys that differ in nothing else
    have nothing in common. It is a word of ours, without a slash.
    """

    tenant: str
    run: str
    kind: str = RUN_KIND

    @property
    def partition(self) -> str:
        return f"{self.tenant}/{self.kind}/{self.run}"

    @property
    def listing(self) -> str:
        """Among which runs this one is listed: those of its tenant that are of its kind."""
        return listing(self.tenant, self.kind)


class WaitAddress(msgspec.Struct, frozen=True):
    """One wait of one visit: `ordinal` is 1 for the visit's first.

    `since` is when its run was created (seconds since 1970): should another run get the same id
    one day, what was meant for the first is not for that one.
    """

    key: RunKey
    node: int
    visit: int
    ordinal: int
    since: int

    @property
    def id(self) -> str:
        """The id of the one signal that may answer it."""
        return f"wait:{self.node}.{self.visit}.{self.ordinal}"


def run_key(run: str, tenant: str = DEFAULT_TENANT) -> RunKey:
    """Raises InvalidName for what a key cannot carry."""
    if not _TENANT.fullmatch(tenant):
        raise InvalidName(
            f"tenant {tenant!r}: use 1 to 40 letters, digits, '_' and '-', a letter or digit first"
        )
    if not _RUN.fullmatch(run):
        raise InvalidName(
            f"run id {run!r}: use 1 to 100 letters, digits and . _ : @ = + -, "
            "a letter or digit first"
        )
    return RunKey(tenant, run)


def listing(tenant: str, kind: str) -> str:
    """The name of a tenant's list of one kind of run: a workflow's runs are the tenant's own.

    No tenant's name contains a slash, so no two lists share a name.
    """
    return tenant if kind == RUN_KIND else f"{tenant}/{kind}"


def listed_key(listing: str, run: str) -> RunKey:
    """The key of a run that is listed there."""
    tenant, _, kind = listing.partition("/")
    return RunKey(tenant, run, kind or RUN_KIND)


def signal_name(name: str) -> str:
    """The name or id of a signal. Raises InvalidName for what a key cannot carry."""
    if not _RUN.fullmatch(name):
        raise InvalidName(
            f"signal {name!r}: use 1 to 100 letters, digits and . _ : @ = + -, "
            "a letter or digit first"
        )
    return name


def definition_partition(tenant: str, digest: bytes) -> str:
    return f"{tenant}/definition/{digest.hex()}"


def page_item(first: int) -> str:
    """Pages sort by number within a partition."""
    return f"{PAGE_PREFIX}{first:010d}"


def output_item(epoch: int, token: Token, execution: str) -> str:
    """Named by token *and* execution, so that racing executions never overwrite each other."""
    return f"{OUTPUT_PREFIX}{epoch}.{token.node}.{token.visit}.{token.attempt}/{execution}"


def state_item(node: int, execution: str) -> str:
    return f"{STATE_PREFIX}{node}/{execution}"


def owed_item(execution: str) -> str:
    """The payload of a signal to another run, where it is large."""
    return f"{OWED_PREFIX}{execution}"


def claim_item(epoch: int, token: Token) -> str:
    return f"{CLAIM_PREFIX}{epoch}.{token.node}.{token.visit}.{token.attempt}"


def once_item(token: Token) -> str:
    """The claim of what must not run twice, in no epoch: visits and attempts never begin again."""
    return f"{CLAIM_PREFIX}once.{token.node}.{token.visit}.{token.attempt}"


def inbox_item(at: int, id: str) -> str:
    """Signals sort by when they came (ms since 1970)."""
    return f"{INBOX_PREFIX}{at:015d}.{id}"


def signal_item(id: str) -> str:
    """What remembers that a signal of this id was sent."""
    return f"{SIGNAL_PREFIX}{id}"


def payload_item(id: str, execution: str) -> str:
    """A signal's payload that is too large for the inbox."""
    return f"{PAYLOAD_PREFIX}{id}/{execution}"


def wake_shard(key: RunKey) -> int:
    """The shard of the `wake_at` index that this run is listed in."""
    return zlib.crc32(key.partition.encode()) % WAKE_SHARDS


def message_group(tenant: str, workflow: str) -> str:
    """Whose messages these are, for fair queues: the tenant's, or the default one's workflow's."""
    return workflow if tenant == DEFAULT_TENANT else tenant
