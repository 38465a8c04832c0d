"""Other programs that a command runs, with their output shown as it comes.

What must stay true: their output goes to stderr, so that stdout holds our results alone; and they
are left to end by themselves when Ctrl-C is pressed, as they have heard it too.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from engine.errors import Misconfigured

_STDERR = 2


def how_it_ended(code: int) -> str:
    """In words, for a code that is not 0."""
    return f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"


def wait_for(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """The exit code; negative for the signal that has ended it. Raises Misconfigured."""
    try:
        process = subprocess.Popen(command, env=environment, stdout=_STDERR)
    except OSError as error:
        raise Misconfigured(f"'{command[0]}' cannot be run: {error.strerror or error}") from error
    with process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.wait()
            raise
