"""Which names an expression may use, and how they are recorded.

A reference is a root name with the keys that follow it. What must be loaded before rendering has
to be readable from the text, so the first keys after `nodes`, `messages`, `env` and `secrets` are
literal, and these four cannot be taken whole.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from engine.errors import ExpressionError
from engine.expressions.evaluation import Evaluation
from engine.expressions.missing import follow, path_text
from engine.expressions.scope import ALLOWED_NAMES, NODE_VIEWS, Json, Names

ROOTS = ("input", "message", "messages", "nodes", "env", "secrets")


class Dynamic:
    """Stands for a key that is itself an expression."""


DYNAMIC = Dynamic()


def names_in(root: str, keys: Sequence[Json]) -> Names:
    """What this reference needs. Raises ExpressionError if there is no such reference.

    `keys` are literals, or DYNAMIC where the text has an expression.
    """
    match root, [key if isinstance(key, str) else None for key in keys]:
        case "input", _:
            return Names(input=True)
        case "message", _:
            return Names(message=True)
        case "messages", [str(port), *_]:
            return Names(ports=frozenset((port,)))
        case "env", [str(name), *_]:
            return Names(env=frozenset((name,)))
        case "secrets", [str(name), *_]:
            return Names(secrets=frozenset((name,)))
        case "nodes", [str(node), "all", *_]:
            return Names(all_of=frozenset((node,)))
        case "nodes", [str(node), str(view), *_] if view in NODE_VIEWS:
            return Names(nodes=frozenset((node,)))
    written = path_text(root, keys)
    if root in ROOTS:
        raise ExpressionError(f"'{written}' cannot be named; allowed are {ALLOWED_NAMES}")
    close = difflib.get_close_matches(root, ROOTS, 1)
    guess = f" (did you mean '{close[0]}'?)" if close else ""
    raise ExpressionError(f"unknown name '{root}'{guess}; allowed are {ALLOWED_NAMES}")


def look_up(evaluation: Evaluation, root: str, *keys: Json) -> Json:
    """The value of a reference that `names_in` has accepted."""
    return follow(root, getattr(evaluation.scope, root), keys)
