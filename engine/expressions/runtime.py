"""Every function that a compiled expression can call, under the name it has there.

This table and the constants of the author's text are all that generated code consists of. To ask
what an expression can do is to read `RUNTIME`.
"""

from __future__ import annotations

from collections.abc import Callable

from jinja2 import nodes as ast

from engine.expressions import operators
from engine.expressions.evaluation import Evaluation
from engine.expressions.filters import FILTERS
from engine.expressions.functions import Function
from engine.expressions.methods import call_method
from engine.expressions.missing import UNNAMED, Missing, absent, follow
from engine.expressions.predicates import TESTS
from engine.expressions.references import look_up
from engine.expressions.scope import Json


def finish(evaluation: Evaluation, value: Json) -> None:
    """Takes the result out of the generated code. Raises ExpressionError if it is missing."""
    if type(value) is Missing:
        value.fail()
    evaluation.result = value


def follow_value(evaluation: Evaluation, value: Json, *keys: Json) -> Json:
    """Look into a value that is not one of the scope's."""
    return follow(UNNAMED, value, keys)


def no_else(evaluation: Evaluation) -> Missing:
    return absent("there is no value: the condition of 'if' is false and there is no 'else'")


BINARY: dict[type[ast.Node], Callable[..., Json]] = {
    ast.Add: operators.add,
    ast.Sub: operators.subtract,
    ast.Mul: operators.multiply,
    ast.Div: operators.divide,
    ast.FloorDiv: operators.floor_divide,
    ast.Mod: operators.modulo,
    ast.Pow: operators.power,
}
UNARY: dict[type[ast.Node], Callable[..., Json]] = {
    ast.Neg: operators.negate,
    ast.Pos: operators.keep_sign,
}

_FUNCTIONS: list[Callable[..., Json]] = [
    finish,
    follow_value,
    no_else,
    look_up,
    call_method,
    operators.build_list,
    operators.build_mapping,
    operators.compare,
    operators.concatenate,
    operators.cut,
    operators.make_range,
    operators.merge,
    *BINARY.values(),
    *UNARY.values(),
    *FILTERS.values(),
    *TESTS.values(),
]


def name_of(function: Callable[..., Json]) -> str:
    if isinstance(function, Function):
        # Jinja2 puts the name into quotes of its own.
        return function.description.replace("'", "")
    return str(function.__name__)


RUNTIME: dict[str, Callable[..., Json]] = {name_of(function): function for function in _FUNCTIONS}
