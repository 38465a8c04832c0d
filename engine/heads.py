"""Load a run's head, for whoever was given the run's name by a person or a program."""

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
    try:
        return decode_head(body)
    except NewerFormat as error:
        raise NewerFormat(
            f"run '{key.run}' was saved by a newer version of Tidestep: {error}; use that version"
        ) from error
    except Corrupt as error:
        raise Corrupt(f"run '{key.run}': {error}; restore it, or leave it alone") from error
