"""How what is stored changes under runs that are in flight (DESIGN §4 rule 20).

Every stored thing is an array whose first field is the number of its format. A kind's own module
holds the number that it writes, `FORMAT`, and a table of the other formats that it reads,
`OTHER_FORMATS`. What is of the current format pays one comparison for all this.

A change that older code may ignore, and drop when it saves, is a field at the end, with a default:
nothing is raised for it. Any other change takes two releases:

1. The code learns to read format n + 1: `OTHER_FORMATS = {n + 1: as_it_is}`. It makes things of
   format n, and what it finds in n + 1 it keeps so.
2. `FORMAT = n + 1`, and `OTHER_FORMATS = {n: what_makes_n_plus_1_of_it}`. Things are upgraded when
   they are read, and stored so by the next save that there is; nothing is migrated.

The second release can be rolled back to the first, and runs beside it while it is deployed: both
read what either writes. Code from before the first refuses format n + 1 and leaves it alone.

What must stay true
- The first field is the format, in all formats that will ever be.
- An upgrade is pure, and what it makes follows from the item alone: two processes that upgrade the
  same page write the same.
- An entry of `OTHER_FORMATS` is taken out when nothing in that format can be stored any more, which
  for heads, pages and definitions is never.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

import msgspec

from engine.errors import Corrupt, NewerFormat


class Stored(Protocol):
    """Anything with a format."""

    @property
    def format(self) -> int: ...


S = TypeVar("S", bound=Stored)
Fields = list[Any]
"""A stored thing as msgpack has it, its format first."""
OtherFormats = Mapping[int, Callable[[Fields], Fields]]
"""A format -> what makes the next one of it, format number included; or `as_it_is`."""


def as_it_is(fields: Fields) -> Fields:
    """Stands for a newer format that this version understands, and does not make of others yet."""
    return fields


class _Prefix(msgspec.Struct, array_like=True):
    format: int


_decode_prefix = msgspec.msgpack.Decoder(_Prefix).decode


def read(
    what: str, body: bytes, decode: Callable[[bytes], S], current: int, others: OtherFormats
) -> S:
    """`body` in the current format, or in a newer one that is read as it is.

    Raises NewerFormat or Corrupt.
    """
    try:
        found = decode(body)
        if found.format == current:
            return found
    except ValueError:
        pass  # of another format, or damaged
    return reread(what, body, decode, current, others)


def reread(
    what: str, body: bytes, decode: Callable[[bytes], S], current: int, others: OtherFormats
) -> S:
    """Read what is not of the current format, or is damaged. Raises NewerFormat or Corrupt."""
    try:
        stored = _decode_prefix(body).format
    except ValueError as error:
        raise Corrupt(f"a stored {what} cannot be decoded: {error}") from error
    if stored != current and stored not in others:
        if stored > current:
            raise newer(what, stored, max((current, *others)))
        raise Corrupt(f"a stored {what} cannot be decoded: format {stored} is not read any more")
    try:
        if stored != current and others[stored] is not as_it_is:
            fields: Fields = msgspec.msgpack.decode(body)
            while (reached := fields[0]) != current:
                fields = others[reached](fields)
                if fields[0] <= reached:
                    raise ValueError(f"what upgrades format {reached} made {fields[0]} of it")
            body = msgspec.msgpack.encode(fields)
        return decode(body)
    except (LookupError, TypeError, ValueError) as error:
        raise Corrupt(f"a stored {what} cannot be decoded: {error}") from error


def newer(what: str, stored: int, newest: int) -> NewerFormat:
    """What is said of something that only a newer version can read."""
    return NewerFormat(
        f"{what} format {stored}; this version reads up to {newest}: a newer version of Tidestep "
        "has written it, use that one"
    )
