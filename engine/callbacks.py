"""Callback tokens: what lets whoever holds one answer one wait, and do nothing else. Pure.

A token names a wait and carries the code of the key that signed it. It is handed to people and to
other systems, in e-mails too, so it is short and holds only characters that need no escaping in a
URL.

What must stay true
- Without a key nobody can make a token or change one: HMAC-SHA256, cut to 128 bits, over all that
  the token says, the key's id and the format included.
- A wait has one spelling per key: what decodes to the same bytes but is spelt otherwise is refused.
- It holds no time and no state. The head decides whether the wait is still open, and the wait's
  ordinal is the id of its one answer (DESIGN §4 rule 14): so it expires with the wait, and works
  once.
- Every refusal is the same error: it does not say what was wrong.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable

import msgspec

from engine.errors import InvalidCallback
from engine.layout import DEFAULT_TENANT, RunKey, WaitAddress

FORMAT = 1
CODE_BYTES = 16
MAX_CHARS = 320
"""Longer than the token of the longest names; nothing longer is looked at."""
_PURPOSE = b"tidestep callback\0"
"""Signed with every token: a code made for another purpose is none here."""


class SigningKey(msgspec.Struct, frozen=True, array_like=True):
    """A key, and the id by which tokens name it. `created_at` is ms since 1970, 0 for unknown."""

    id: str
    secret: bytes
    created_at: int = 0

    def __repr__(self) -> str:
        return f"SigningKey({self.id!r})"  # the secret stays out of logs and tracebacks


class _Statement(msgspec.Struct, frozen=True, array_like=True):
    """What a token says; an empty tenant is the default one."""

    format: int
    key: str
    tenant: str
    run: str
    node: int
    visit: int
    ordinal: int
    since: int


def sign(address: WaitAddress, key: SigningKey) -> str:
    """The token of this wait, as this key signs it."""
    tenant = "" if address.key.tenant == DEFAULT_TENANT else address.key.tenant
    statement = _encode(
        _Statement(
            FORMAT,
            key.id,
            tenant,
            address.key.run,
            address.node,
            address.visit,
            address.ordinal,
            address.since,
        )
    )
    code = hmac.digest(key.secret, _PURPOSE + statement, "sha256")[:CODE_BYTES]
    return urlsafe_b64encode(statement + code).rstrip(b"=").decode()


def verify(text: str, keys: Iterable[SigningKey]) -> WaitAddress:
    """The wait that a token of one of these keys names. Raises InvalidCallback."""
    statement = _statement(text)
    run = RunKey(statement.tenant or DEFAULT_TENANT, statement.run)
    address = WaitAddress(run, statement.node, statement.visit, statement.ordinal, statement.since)
    for key in keys:
        if key.id == statement.key and hmac.compare_digest(sign(address, key), text):
            return address
    raise InvalidCallback(REFUSAL)


def named_key(text: str) -> str:
    """The id of the key that a token says has signed it: unproven. Raises InvalidCallback."""
    return _statement(text).key


def _statement(text: str) -> _Statement:
    if len(text) > MAX_CHARS or not text.isascii():
        raise InvalidCallback(REFUSAL)
    try:
        signed = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        statement = _decode(signed[:-CODE_BYTES])
    except (ValueError, msgspec.MsgspecError):
        raise InvalidCallback(REFUSAL) from None
    if statement.format != FORMAT:
        raise InvalidCallback(REFUSAL)
    return statement


REFUSAL = "there is no such callback; was its address copied whole?"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Statement).decode
