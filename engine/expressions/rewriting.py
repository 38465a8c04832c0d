"""Turns a parsed expression into calls of our own functions, or refuses it.

Theory of operation. Jinja2 parses the text; this module walks the tree by a table of node types
and builds a second tree, which Jinja2 then compiles to Python. The second tree holds nothing of
the author's but constants: each name, attribute, operator, method, filter and test has become a
call of a function of this package, with the Evaluation as its first argument, or has been refused.
What stays native are `and`, `or`, `not` and `if`, because they must not evaluate both sides.

A call is written as a Jinja2 filter node: that is the one construct that compiles to a plain
function call. The functions stand in `environment.filters` as RUNTIME names them.

Conflicts: a node type that is not in the table is refused, so a newer Jinja2 with more syntax
means new refusals, not new powers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from jinja2 import nodes as ast

from engine.errors import ExpressionError
from engine.expressions import operators
from engine.expressions.evaluation import MAX_INTEGER_BITS
from engine.expressions.filters import FILTERS, PLAIN_FILTERS
from engine.expressions.functions import Function, find
from engine.expressions.methods import METHODS_BY_NAME, call_method
from engine.expressions.predicates import TESTS
from engine.expressions.references import DYNAMIC, ROOTS, look_up, names_in
from engine.expressions.runtime import BINARY, UNARY, finish, follow_value, name_of, no_else
from engine.expressions.scope import Json, Names
from engine.expressions.values import too_many_bits

# Levels of the syntax tree. Every stage after parsing recurses by it, and Python's own compiler
# accepts 200 nested parentheses.
MAX_DEPTH = 64

# The only variable of the generated code.
EVALUATION = "evaluation"


def rewrite(expression: ast.Expr) -> tuple[ast.Template, Names, bool]:
    """The program to compile, what it names, and whether the expression is a bare reference.

    Raises ExpressionError for whatever is not allowed.
    """
    _check_depth(expression)
    rewriter = _Rewriter()
    rewritten = rewriter.rewrite(expression)
    is_reference = isinstance(rewritten, ast.Filter) and rewritten.name == name_of(look_up)
    program = ast.Template([ast.ExprStmt(_call(finish, rewritten), lineno=1)], lineno=1)
    return program, rewriter.names, is_reference


def _check_depth(expression: ast.Expr) -> None:
    level: list[ast.Node] = [expression]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in node.iter_child_nodes()]
        if not level:
            return
    raise ExpressionError(f"the expression nests deeper than {MAX_DEPTH} levels")


class _Rewriter:
    def __init__(self) -> None:
        self.names = Names()

    def rewrite(self, node: ast.Node) -> ast.Expr:
        rewriter = _REWRITERS.get(type(node))
        if rewriter is None:
            raise ExpressionError(f"{type(node).__name__} is not part of the expression language")
        return rewriter(self, node)

    def each(self, nodes: Sequence[ast.Node]) -> list[ast.Expr]:
        return [self.rewrite(node) for node in nodes]

    def constant(self, node: ast.Const) -> ast.Expr:
        value = node.value
        if isinstance(value, float) and not math.isfinite(value):
            raise ExpressionError("a number in the expression is too large")
        if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
            too_many_bits()
        if isinstance(value, str) and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise ExpressionError("a string in the expression is no valid Unicode") from None
        return ast.Const(value)

    def name(self, node: ast.Name) -> ast.Expr:
        return self._reference(node.name, [])

    def path(self, node: ast.Getattr | ast.Getitem) -> ast.Expr:
        """A chain of attributes and items, which becomes one lookup of the whole path."""
        steps: list[ast.Node] = []
        base: Any = node
        while isinstance(base, ast.Getattr | ast.Getitem):
            if isinstance(base, ast.Getattr):
                steps.append(ast.Const(base.attr))
            elif isinstance(base.arg, ast.Slice):
                break
            else:
                steps.append(base.arg)
            base = base.node
        steps.reverse()
        if isinstance(base, ast.Name):
            return self._reference(base.name, steps)
        keys = self.each(steps)
        value = self._slice(base) if isinstance(base, ast.Getitem) else self.rewrite(base)
        return _call(follow_value, value, *keys) if keys else value

    def _reference(self, root: str, steps: Sequence[ast.Node]) -> ast.Expr:
        literals = [step.value if isinstance(step, ast.Const) else DYNAMIC for step in steps]
        if root in _GLOBALS:
            raise ExpressionError(f"'{root}' is a function: call it, as in {root}(...)")
        self.names |= names_in(root, literals)
        return _call(look_up, ast.Const(root), *self.each(steps))

    def _slice(self, node: ast.Getitem) -> ast.Expr:
        bounds = (node.arg.start, node.arg.stop, node.arg.step)  # type: ignore[attr-defined]
        return _call(
            operators.cut,
            self.rewrite(node.node),
            *(ast.Const(None) if bound is None else self.rewrite(bound) for bound in bounds),
        )

    def call(self, node: ast.Call) -> ast.Expr:
        _refuse_unpacking(node)
        callee = node.node
        if isinstance(callee, ast.Name) and callee.name in _GLOBALS:
            return _GLOBALS[callee.name](self, node)
        if isinstance(callee, ast.Name) and callee.name not in ROOTS:
            names_in(callee.name, [])
        if not isinstance(callee, ast.Getattr):
            raise ExpressionError("only methods, range and dict can be called")
        value = self.rewrite(callee.node)
        named = self._checked_names(find(METHODS_BY_NAME, "method", callee.attr), node)
        arguments = self.each(node.args)
        return _call(call_method, value, ast.Const(callee.attr), *arguments, named=named)

    def range_call(self, node: ast.Call) -> ast.Expr:
        if node.kwargs or not 1 <= len(node.args) <= 3:
            raise ExpressionError("range takes (stop), (start, stop) or (start, stop, step)")
        return _call(operators.make_range, *self.each(node.args))

    def dict_call(self, node: ast.Call) -> ast.Expr:
        if len(node.args) > 1:
            raise ExpressionError("dict takes one mapping and named arguments")
        pairs: list[ast.Expr] = []
        for keyword in node.kwargs:
            pairs += [ast.Const(keyword.key), self.rewrite(keyword.value)]
        mapping = _call(operators.build_mapping, *pairs)
        if not node.args:
            return mapping
        return _call(operators.merge, self.rewrite(node.args[0]), mapping)

    def filtered(self, node: ast.Filter) -> ast.Expr:
        function = find(FILTERS, "filter", node.name)
        if node.name == "map":
            _check_applied(PLAIN_FILTERS, "filter for map", node.args)
        elif node.name in ("select", "reject"):
            _check_applied(TESTS, "test", node.args)
        elif node.name in ("selectattr", "rejectattr"):
            _check_applied(TESTS, "test", node.args[1:])
        return self._apply(function, node)

    def tested(self, node: ast.Test) -> ast.Expr:
        return self._apply(find(TESTS, "test", node.name), node)

    def _apply(self, function: Function, node: ast.Filter | ast.Test) -> ast.Expr:
        _refuse_unpacking(node)
        if node.node is None:
            raise ExpressionError(f"{function.description} is applied to nothing")
        named = self._checked_names(function, node)
        return _call(function, self.rewrite(node.node), *self.each(node.args), named=named)

    def _checked_names(
        self, function: Function, node: ast.Call | ast.Filter | ast.Test
    ) -> list[ast.Keyword]:
        """The named arguments, after all arguments have been compared with the signature.

        Only that makes the names safe: they appear in the generated code as they are.
        """
        keywords = cast("list[ast.Keyword]", node.kwargs)  # Jinja2 annotates filters with Pair
        function.check_arguments(len(node.args), [keyword.key for keyword in keywords])
        return [ast.Keyword(keyword.key, self.rewrite(keyword.value)) for keyword in keywords]

    def sequence(self, node: ast.List | ast.Tuple) -> ast.Expr:
        return _call(operators.build_list, *self.each(node.items))

    def mapping(self, node: ast.Dict) -> ast.Expr:
        parts = [part for pair in node.items for part in (pair.key, pair.value)]
        return _call(operators.build_mapping, *self.each(parts))

    def binary(self, node: ast.BinExpr) -> ast.Expr:
        return _call(BINARY[type(node)], self.rewrite(node.left), self.rewrite(node.right))

    def unary(self, node: ast.UnaryExpr) -> ast.Expr:
        return _call(UNARY[type(node)], self.rewrite(node.node))

    def concatenation(self, node: ast.Concat) -> ast.Expr:
        return _call(operators.concatenate, *self.each(node.nodes))

    def comparison(self, node: ast.Compare) -> ast.Expr:
        parts = [part for op in node.ops for part in (ast.Const(op.op), self.rewrite(op.expr))]
        return _call(operators.compare, self.rewrite(node.expr), *parts)

    def both(self, node: ast.And) -> ast.Expr:
        return ast.And(self.rewrite(node.left), self.rewrite(node.right))

    def either(self, node: ast.Or) -> ast.Expr:
        return ast.Or(self.rewrite(node.left), self.rewrite(node.right))

    def negation(self, node: ast.Not) -> ast.Expr:
        return ast.Not(self.rewrite(node.node))

    def condition(self, node: ast.CondExpr) -> ast.Expr:
        otherwise = _call(no_else) if node.expr2 is None else self.rewrite(node.expr2)
        return ast.CondExpr(self.rewrite(node.test), self.rewrite(node.expr1), otherwise)


_REWRITERS: dict[type[ast.Node], Callable[[_Rewriter, Any], ast.Expr]] = {
    ast.Const: _Rewriter.constant,
    ast.Name: _Rewriter.name,
    ast.Getattr: _Rewriter.path,
    ast.Getitem: _Rewriter.path,
    ast.Call: _Rewriter.call,
    ast.Filter: _Rewriter.filtered,
    ast.Test: _Rewriter.tested,
    ast.List: _Rewriter.sequence,
    ast.Tuple: _Rewriter.sequence,
    ast.Dict: _Rewriter.mapping,
    ast.Concat: _Rewriter.concatenation,
    ast.Compare: _Rewriter.comparison,
    ast.And: _Rewriter.both,
    ast.Or: _Rewriter.either,
    ast.Not: _Rewriter.negation,
    ast.CondExpr: _Rewriter.condition,
    **dict.fromkeys(BINARY, _Rewriter.binary),
    **dict.fromkeys(UNARY, _Rewriter.unary),
}

_GLOBALS: Mapping[str, Callable[[_Rewriter, ast.Call], ast.Expr]] = {
    "range": _Rewriter.range_call,
    "dict": _Rewriter.dict_call,
}


def _call(
    function: Callable[..., Json], *arguments: ast.Expr, named: Sequence[ast.Keyword] = ()
) -> ast.Filter:
    evaluation = ast.Name(EVALUATION, "load")
    return ast.Filter(evaluation, name_of(function), list(arguments), list(named), None, None)


def _refuse_unpacking(node: ast.Call | ast.Filter | ast.Test) -> None:
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        raise ExpressionError("arguments cannot be unpacked with '*'")


def _check_applied(table: Mapping[str, Function], kind: str, arguments: Sequence[ast.Node]) -> None:
    """A name given as text, as in map('upper'), is looked up before the run where possible."""
    if arguments and isinstance(arguments[0], ast.Const):
        find(table, kind, arguments[0].value).check_arguments(len(arguments) - 1, ())
