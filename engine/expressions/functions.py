"""A function that expressions may call, as filter, test or method, with the checks around it.

The author's arguments are compared with the Python signature when the expression is compiled, so
a wrong count or name is found before any run, and no argument name reaches generated code
unchecked. When it runs, a missing value among the arguments is an error, unless the function
exists to deal with missing values.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from engine.errors import ExpressionError
from engine.expressions.evaluation import Evaluation
from engine.expressions.missing import Missing
from engine.expressions.scope import Json


@dataclass(frozen=True, slots=True)
class Function:
    """`implementation` takes the Evaluation, the value it is applied to, and the arguments."""

    description: str
    implementation: Callable[..., Json]
    signature: inspect.Signature
    takes_missing: bool

    def check_arguments(self, count: int, names: Collection[str]) -> None:
        """Raises ExpressionError unless `count` unnamed and these named arguments fit."""
        try:
            self.signature.bind(*range(count), **dict.fromkeys(names))
        except TypeError:
            raise ExpressionError(f"{self.description} takes ({self._parameters()})") from None

    def __call__(self, evaluation: Evaluation, /, *values: Json, **named: Json) -> Json:
        """Arguments must have been checked."""
        if not self.takes_missing:
            for value in values:
                if type(value) is Missing:
                    value.fail()
            for value in named.values():
                if type(value) is Missing:
                    value.fail()
        return self.implementation(evaluation, *values, **named)

    def _parameters(self) -> str:
        shown = []
        for parameter in self.signature.parameters.values():
            star = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
            default = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
            shown.append(f"{star}{parameter.name}{default}")
        return ", ".join(shown)


def functions(
    kind: str,
    implementations: Mapping[str, Callable[..., Json]],
    takes_missing: Collection[str] = (),
) -> dict[str, Function]:
    """A table of functions by name; `kind` ("filter") appears in messages."""
    return {
        name: Function(
            f"{kind} '{name}'",
            implementation,
            _own_parameters(implementation),
            name in takes_missing,
        )
        for name, implementation in implementations.items()
    }


def find(table: Mapping[str, Function], kind: str, name: Json) -> Function:
    """Raises ExpressionError with all names there are, if this is not one of them."""
    if not isinstance(name, str) or name not in table:
        shown = f" '{name}'" if isinstance(name, str) else " of that name"
        raise ExpressionError(f"there is no {kind}{shown}; there are {', '.join(sorted(table))}")
    return table[name]


def _own_parameters(implementation: Callable[..., Json]) -> inspect.Signature:
    """Without the evaluation and the value, which the author does not write as arguments."""
    signature = inspect.signature(implementation)
    return signature.replace(parameters=list(signature.parameters.values())[2:])


class Unset:
    """Marks an argument that was not given, where None is a value that one can give."""

    def __repr__(self) -> str:
        return "..."


UNSET = Unset()
