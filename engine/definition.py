"""A workflow as the engine runs it: compiled from a document, immutable, pinned by its digest.

Nodes are numbered by their place in the document; snapshots, tokens and messages name them by that
number, which the digest makes stable for as long as a run lives (DESIGN §4 rule 18). Everything a
step needs is laid out here beforehand, so that a step on a graph of ten thousand nodes costs what a
step on a graph of ten costs.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import Any, Literal

import msgspec

from engine.errors import Corrupt
from engine.formats import OtherFormats, read

FORMAT = 1
OTHER_FORMATS: OtherFormats = {}
"""What they make of a definition is never stored: its digest names the bytes that it has."""
DEFAULT_INPORT = "in"
DEFAULT_OUTPORT = "out"
ERROR_PORT = "error"

ONCE = -1
"""`Node.slot` of a node that can be activated only once in a run: its visit needs no counter."""


class RetryPolicy(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """When a failed attempt is tried again.

    `max_attempts` counts executions, the first included. `interval` and `max_interval` are seconds.
    With `jitter` the delay is drawn evenly from nothing up to the computed delay ("full jitter",
    Brooker 2015). `retry_on` and `never_retry` hold names of error classes; an error matches by its
    own class name or that of any base class, and `never_retry` wins.
    """

    max_attempts: int = 1
    interval: float = 1.0
    backoff: Literal["fixed", "exponential"] = "exponential"
    max_interval: float = 300.0
    jitter: bool = True
    retry_on: tuple[str, ...] = ()
    never_retry: tuple[str, ...] = ()

    def problem(self) -> str | None:
        """What makes no sense about these numbers, in words; None where they do."""
        if self.max_attempts < 1:
            return f"max_attempts is {self.max_attempts}; the first execution counts, so at least 1"
        if not 0 <= self.interval <= self.max_interval:
            return f"interval is {self.interval} s; it must be from 0 to max_interval"
        return None

    def allows(self, failures: int, kinds: tuple[str, ...]) -> bool:
        """Whether another attempt follows the `failures`-th one, which failed with `kinds`."""
        if failures >= self.max_attempts or any(kind in self.never_retry for kind in kinds):
            return False
        return not self.retry_on or any(kind in self.retry_on for kind in kinds)

    def delay_ms(self, failures: int, chance: float) -> int:
        """Milliseconds before the attempt after `failures` failures; `chance` is in [0, 1)."""
        delay = self.interval
        if self.backoff == "exponential":
            delay *= 2.0 ** min(failures - 1, 60)
        delay = min(delay, self.max_interval)
        return round((delay * chance if self.jitter else delay) * 1000)


NO_RETRY = RetryPolicy()


class Node(msgspec.Struct, frozen=True, array_like=True):
    """One node. `inports` are the *connected* ones, in the order that tokens list their inputs."""

    id: str
    actor: str
    config: Any
    inports: tuple[str, ...]
    successors: dict[str, tuple[tuple[int, int], ...]]
    """Outport -> (number of the receiving node, position of its inport)."""
    optional: tuple[int, ...] = ()
    """Positions in `inports` that a join does without once nothing else can run."""
    retry: RetryPolicy | None = None
    timeout: float | None = None
    slot: int = ONCE
    """This node's place in `Head.visits`, or ONCE."""
    default: str = DEFAULT_OUTPORT
    """The outport of plain values, and of failures that the run continues past."""
    named: bool = False
    """Whether an expression or the run's output reads this node's latest result."""
    concurrency: int = 1
    """How many of its visits may be pending at the same time; beyond it, messages queue."""


class Definition(msgspec.Struct, frozen=True, array_like=True):
    """The whole graph. `start` are the nodes that begin a run.

    `ends` are those with a declared outport that leads nowhere: what last went out of it is the
    run's output where the definition has no expression for it.
    """

    format: int
    name: str
    nodes: tuple[Node, ...]
    start: tuple[int, ...]
    ends: tuple[int, ...]
    max_steps: int
    on_failure: Literal["fail", "continue"]
    input_schema: Any = None
    has_output: bool = False
    output: Any = None
    deadline: float | None = None
    """Seconds that a whole run may take, from its start; None: as long as it likes."""


_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decode = msgspec.msgpack.Decoder(Definition).decode


def encode_definition(definition: Definition) -> tuple[bytes, bytes]:
    """The definition's bytes as they are stored, and its 16-byte digest.

    They are compressed, because a graph of ten thousand nodes is a fifth of a table's largest item
    that way, and most of it otherwise.
    """
    body = _encoder.encode(definition)
    return zlib.compress(body), hashlib.blake2b(body, digest_size=16).digest()


def decode_definition(body: bytes) -> Definition:
    """Raises NewerFormat or Corrupt."""
    try:
        body = zlib.decompress(body)
    except zlib.error as error:
        raise Corrupt(f"a stored definition cannot be decoded: {error}") from error
    return read("definition", body, _decode, FORMAT, OTHER_FORMATS)
