"""Expressions in definitions: `{{ ... }}` inside the strings of any JSON value.

The language is Jinja2's expression language, cut down to what can be checked. Expressions are not
trusted: they read the scope that they are given, build JSON values, and can do nothing else. What
must stay true:

- Compiling finds every mistake that does not depend on data, and tells what an expression names
  (`Names`), so that a plan knows which results to load before anything is rendered.
- Rendering is a pure function of the scope. It ends in a JSON value or an `ExpressionError` that
  shows the expression; no other exception leaves this package.
- No value is allocated before its size is known to fit (`engine/expressions/evaluation.py`).
- Jinja2 is imported when the first expression is compiled, never before: a value without
  expressions costs neither the import nor a walk.

    compiled = compile_value({"amount": "{{ input.total * 2 }}"})
    compiled.names.input                       # True
    compiled.render(Scope(input={"total": 4})) # {"amount": 8}
"""

from engine.expressions.compiled import Compiled, Path, check_value, compile_value
from engine.expressions.redaction import redact
from engine.expressions.scope import Names, Scope

__all__ = ["Compiled", "Names", "Path", "Scope", "check_value", "compile_value", "redact"]
