"""The callbacks of one process, as its environment sets them up; the same for every backend.

TIDESTEP_CALLBACK_URL    where this system is reached from outside: actors hand out addresses
                         below it
TIDESTEP_CALLBACK_KEYS   keys of the operator's own, `id:base64,id:base64`: the first signs, all
                         of them verify, and the stored ones count for nothing
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping

from engine.callback_links import URL_VARIABLE, Callbacks
from engine.callbacks import SigningKey
from engine.errors import Misconfigured
from engine.keys import KEYS_VARIABLE, KeyRing
from engine.ports import Clock, Entropy, Journal

LEAST_KEY_BYTES = 16
_ID = re.compile(r"[A-Za-z0-9_-]{1,16}")


def callbacks_from(
    environment: Mapping[str, str], journal: Journal, clock: Clock, entropy: Entropy
) -> Callbacks:
    """Raises Misconfigured where one of the variables makes no sense."""
    keys = KeyRing(journal, clock, entropy, given_keys(environment))
    return Callbacks(keys, environment.get(URL_VARIABLE, "").strip() or None)


def given_keys(environment: Mapping[str, str]) -> tuple[SigningKey, ...]:
    """The operator's own keys, in their order. Raises Misconfigured; no error shows a key."""
    listed = environment.get(KEYS_VARIABLE, "").replace(",", " ").split()
    keys = tuple(_given_key(place, text) for place, text in enumerate(listed, 1))
    if len({key.id for key in keys}) < len(keys):
        raise Misconfigured(f"{KEYS_VARIABLE}: two keys have the same id; ids must differ")
    return keys


def _given_key(place: int, text: str) -> SigningKey:
    id, colon, encoded = text.partition(":")
    if not colon or not _ID.fullmatch(id):
        raise Misconfigured(
            f"{KEYS_VARIABLE}: key {place} must be written as id:base64, the id of 1 to 16 "
            "letters, digits, '_' and '-'"
        )
    try:
        secret = b64decode(encoded, validate=True)
    except binascii.Error:
        raise Misconfigured(f"{KEYS_VARIABLE}: the key '{id}' is not valid base64") from None
    if len(secret) < LEAST_KEY_BYTES:
        raise Misconfigured(
            f"{KEYS_VARIABLE}: the key '{id}' has {len(secret)} bytes; it needs at least "
            f"{LEAST_KEY_BYTES}, better 32: openssl rand -base64 32"
        )
    return SigningKey(id, secret)
