"""The actor of these tests' workflow: `--actors tests.infra.local.http.actors`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.actors import Context, actor
from engine.actors.outcomes import Wait


@actor("test.ask")
def ask(message: Any, context: Context) -> Any:
    """Leave the address in the file `address`, and wait for whoever finds it there."""
    if context.resumed is None:
        Path("address.new").write_text(context.callback_url)
        Path("address.new").rename("address")
        return Wait("approval")
    return context.signal
