"""A process for as long as it is needed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

ENDS_WITHIN_S = 20


@contextmanager
def ended_after(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """It is asked to end, and killed where it does not."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
