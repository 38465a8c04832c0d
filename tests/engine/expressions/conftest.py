"""One way to compile and render a value, for every test of the expressions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.expressions import Scope, compile_value

Render = Callable[..., Any]


@pytest.fixture
def render() -> Render:
    """`render(value, input=..., ...)`: the value, rendered in a Scope of the named arguments."""

    def render(value: Any, **scope: Any) -> Any:
        return compile_value(value).render(Scope(**scope))

    return render
