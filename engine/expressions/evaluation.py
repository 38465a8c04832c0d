"""One rendering in progress: the scope it reads and the budget it spends.

Every function that builds something calls `spend` with the size of its result *before* it
allocates, and every function that walks something calls it for the walk. This one counter is what
stops `'a' * 10**10` and all its relatives; a new operator, method or filter that forgets it is a
hole. The budget belongs to a rendering of a whole value, so that a thousand small expressions in
one config cannot do what a single large one may not.
"""

from __future__ import annotations

from engine.errors import ExpressionError
from engine.expressions.scope import Json, Scope

# Roughly bytes: one unit per character built, ELEMENT_UNITS per entry of a list or mapping. Going
# through what is there already allocates nothing, but must end as well.
BUDGET_UNITS = 4 * 1024 * 1024
ELEMENT_UNITS = 16
_ELEMENT_UNITS_WALKED = 8

# Integers that arithmetic may produce: about 1200 digits.
MAX_INTEGER_BITS = 4096

# Reading a string in place (comparing, searching) is far cheaper than building one.
_CHARACTERS_READ_PER_UNIT = 4


class Evaluation:
    """Mutable, used for one rendering by one thread. `context` is Jinja2's, made on first use."""

    __slots__ = ("context", "result", "scope", "seen", "units_left")

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.units_left = BUDGET_UNITS
        self.context: Json = None
        self.result: Json = None
        self.seen: set[int] = set()

    def spend(self, units: int) -> None:
        """Raises ExpressionError, before anything is allocated, when the budget is used up."""
        self.units_left -= units
        if self.units_left < 0:
            raise ExpressionError(
                f"too large: a rendering may build {BUDGET_UNITS} units "
                f"(1 per character, {ELEMENT_UNITS} per element)"
            )

    def spend_elements(self, count: int) -> None:
        self.spend(ELEMENT_UNITS * (1 + count))

    def spend_walk(self, elements: int) -> None:
        self.spend(_ELEMENT_UNITS_WALKED * (1 + elements))

    def spend_reading(self, characters: int) -> None:
        self.spend(1 + characters // _CHARACTERS_READ_PER_UNIT)

    def is_first_use(self, value: Json) -> bool:
        """Whether this object leaves the rendering for the first time; true once per object.

        A value taken from the scope unchanged is no larger than the scope, and free. The same
        value a second time makes the result larger than the scope, and must be paid for.
        """
        identity = id(value)
        if identity in self.seen:
            return False
        self.seen.add(identity)
        return True
