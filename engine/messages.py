"""What travels on the queue: the name of a token, and nothing with authority.

A message says "look at this token of this run"; the snapshot decides what that means (DESIGN §4
rule 4). It is JSON, because SQS carries text and people read dead letters. Its fields have names
and defaults, and that is all the upgrading that it needs: none outlives the queue's retention.
"""

from __future__ import annotations

import msgspec

from engine.errors import Corrupt
from engine.formats import newer
from engine.layout import RUN_KIND, RunKey

FORMAT = 1
SERVICE_FORMAT = 2
"""Of messages to a run of another kind, whom code that reads format 1 would not find: it must put
them off (DESIGN §4 rule 20), not acknowledge them as messages to nobody."""


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """`token` is epoch, node, visit and attempt. `sid` names this sending of it, and no other."""

    format: int
    tenant: str
    run: str
    token: tuple[int, int, int, int]
    sid: str
    again: bool = False
    """Somebody may be running this token already: claim it before running it (rule 11)."""
    injected: int = 0
    """How often it has come back from the dead letters (rule 13)."""
    kind: str = RUN_KIND
    """The kind of run that it is for. Whoever names another one writes `SERVICE_FORMAT`."""

    @property
    def key(self) -> RunKey:
        """The run that it is for."""
        return RunKey(self.tenant, self.run, self.kind)


class _Prefix(msgspec.Struct):
    format: int


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Message)


def encode_message(message: Message) -> str:
    return _encoder.encode(message).decode()


def decode_message(body: str) -> Message:
    """Raises NewerFormat, or Corrupt for what never was a message of ours."""
    try:
        stored = msgspec.json.decode(body, type=_Prefix).format
        if stored > SERVICE_FORMAT:
            raise newer("message", stored, SERVICE_FORMAT)
        return _decoder.decode(body)
    except msgspec.DecodeError as error:
        raise Corrupt(f"not a message of ours: {error}") from error


def marked_again(body: str) -> str:
    """The same message, whatever else is in it, with `again` set."""
    return msgspec.json.encode({**msgspec.json.decode(body), "again": True}).decode()
