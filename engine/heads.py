"""Load a run's head; what is wrong with one is said with the run's name."""

from __future__ import annotations

from engine.errors import Corrupt, NewerFormat, RunNotFound
from engine.layout import RunKey
from engine.ports import Reader
from engine.snapshot import Head, decode_head


async def read_head(reader: Reader, key: RunKey) -> Head:
    """Raises RunNotFound, NewerFormat or Corrupt, which name the run."""
    body = await reader.head(key)
    if body is None:
        raise RunNotFound(f"there is no run '{key.run}'")
    return named_head(key, body)


def named_head(key: RunKey, body: bytes) -> Head:
    """The head that `body` holds. Raises NewerFormat or Corrupt, which name the run."""
    try:
        return decode_head(body)
    except NewerFormat as error:
        raise NewerFormat(f"run '{key.run}': {error}") from error
    except Corrupt as error:
        raise Corrupt(f"run '{key.run}': {error}; restore it, or leave it alone") from error
