"""Which stateful actors a gateway serves: `TIDESTEP_STATEFUL="counter, room:big"`.

Each is a name, or a name and the pool whose runners host it. An address is anybody's to type: what
is not listed is neither made nor reached.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from engine.allocation.gateway import Served
from engine.errors import Misconfigured

VARIABLE = "TIDESTEP_STATEFUL"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]{0,99}")


def served_from(environment: Mapping[str, str]) -> dict[str, Served]:
    """Name -> how actors of that name are made. Raises Misconfigured, naming all that is wrong."""
    served: dict[str, Served] = {}
    problems: list[str] = []
    for text in environment.get(VARIABLE, "").replace(",", " ").split():
        name, colon, pool = text.partition(":")
        if not _NAME.fullmatch(name) or (colon and not _NAME.fullmatch(pool)):
            problems.append(f"{VARIABLE}: {text[:60]!r} must be written as name or name:pool")
        elif name in served:
            problems.append(f"{VARIABLE}: '{name}' is listed twice")
        else:
            served[name] = Served(pool) if pool else Served()
    if problems:
        raise Misconfigured("\n".join(problems))
    return served
