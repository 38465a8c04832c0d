"""Compiles the text between two braces, and evaluates it.

The one place where Jinja2 compiles and runs anything. Its immutable sandbox is the second fence
here, not the first: the rewriting (`rewriting.py`) leaves no attribute, item or call to it, and it
refuses all three. Every exception of Jinja2 and of Python ends in this file as an ExpressionError
that shows the source of the expression; messages of foreign exceptions are dropped, because they
may quote values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

from jinja2 import TemplateSyntaxError
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from engine.errors import ExpressionError
from engine.expressions.evaluation import Evaluation
from engine.expressions.rewriting import EVALUATION, rewrite
from engine.expressions.runtime import RUNTIME
from engine.expressions.scope import Json, Names
from engine.expressions.values import text_of, weigh

_CACHED_EXPRESSIONS = 2048
_MAX_CHARACTERS_SHOWN = 200

_REASONS: dict[type[Exception], str] = {
    ZeroDivisionError: "division by zero",
    OverflowError: "a number is too large",
    RecursionError: "the value nests too deeply",
    MemoryError: "there is not enough memory",
}


class _Environment(ImmutableSandboxedEnvironment):
    """Knows the functions of RUNTIME and nothing else: no globals, no tests, no attributes."""

    def __init__(self) -> None:
        # Not optimised: the optimiser would evaluate constants while compiling, without a budget.
        super().__init__(optimized=False, cache_size=0)
        self.globals.clear()
        self.tests.clear()
        self.filters.clear()
        self.filters.update(RUNTIME)

    def getattr(self, obj: Any, attribute: str) -> NoReturn:
        raise ExpressionError("attributes are not accessible")

    def getitem(self, obj: Any, argument: Any) -> NoReturn:
        raise ExpressionError("items are not accessible")

    def call(self, *arguments: Any, **named: Any) -> NoReturn:
        raise ExpressionError("calls are not possible")


_environment = _Environment()


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression; without state, so it may be shared and cached.

    `is_reference`: it is a path into the scope and nothing else, so its value needs no checking.
    """

    source: str
    names: Names
    is_reference: bool
    root: Callable[[Context], Iterator[str]]

    def evaluate(self, evaluation: Evaluation) -> Json:
        """The value. Raises ExpressionError, showing the source, for every failure."""
        try:
            return self._result(evaluation)
        except Exception as error:
            raise _shown_with(self.source, error) from None

    def evaluate_as_text(self, evaluation: Evaluation) -> str:
        """The value as part of a mixed string, under the same conditions."""
        try:
            return text_of(evaluation, self._result(evaluation))
        except Exception as error:
            raise _shown_with(self.source, error) from None

    def _result(self, evaluation: Evaluation) -> Json:
        if evaluation.context is None:
            evaluation.context = Context(_environment, {EVALUATION: evaluation}, None, {})
        # A generator of output, of which an expression has none: it ends at once.
        next(self.root(evaluation.context), None)
        result = evaluation.result
        kind = type(result)
        if kind is list or kind is dict or kind is str:
            if not (self.is_reference and evaluation.is_first_use(result)):
                weigh(evaluation, result)
        elif kind is float and not math.isfinite(result):
            raise ExpressionError("the number is not finite")
        return result


@lru_cache(_CACHED_EXPRESSIONS)
def compile_expression(source: str) -> Expression:
    """Raises ExpressionError, showing the source, if this is no expression or not allowed."""
    try:
        parser = Parser(_environment, source, state="variable")
        parsed = parser.parse_expression()
        if not parser.stream.eos:
            parser.fail(f"unexpected '{parser.stream.current.value}'")
        program, names, is_reference = rewrite(parsed)
        program.set_environment(_environment)
        root = _environment.from_string(program).root_render_func
    except TemplateSyntaxError as error:
        message = str(error.message).replace("end of template", "end of the expression")
        raise _shown_with(source, ExpressionError(f"syntax error: {message}")) from None
    except RecursionError:
        raise _shown_with(source, ExpressionError("the expression nests too deeply")) from None
    except Exception as error:
        raise _shown_with(source, error) from None
    return Expression(source, names, is_reference, root)


def _shown_with(source: str, error: Exception) -> ExpressionError:
    text = " ".join(source.split())
    if len(text) > _MAX_CHARACTERS_SHOWN:
        text = text[:_MAX_CHARACTERS_SHOWN] + "..."
    if isinstance(error, ExpressionError):
        reason = str(error)
    else:
        reason = _REASONS.get(type(error), f"it cannot be evaluated ({type(error).__name__})")
    return ExpressionError(f"{{{{ {text} }}}}: {reason}")
