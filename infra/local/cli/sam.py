"""The SAM CLI: found, and run."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

from engine.errors import Misconfigured, PlatformError
from infra.local.cli.children import how_it_ended, wait_for
from infra.local.cli.output import say


class SamFailed(PlatformError):
    """A step of the SAM CLI has failed, and has said why."""


def find_sam() -> str:
    """Beside the Python that runs, or else on PATH. Raises Misconfigured."""
    found = shutil.which("sam", path=_search_path())
    if found is None:
        raise Misconfigured(
            "the SAM CLI builds and deploys, and it is not installed: pip install aws-sam-cli"
        )
    return found


def run_sam(sam: str, *words: str) -> None:
    """Run one command of it in the current directory, to its end. Raises SamFailed."""
    say(f"$ {shlex.join(('sam', *words))}")
    # It looks for the Python of the stack's runtime on PATH: the one that runs is the first choice.
    code = wait_for([sam, *words], {**os.environ, "PATH": _search_path()})
    if code:
        raise SamFailed(f"`sam {words[0]}` {how_it_ended(code)}; why is said above")


def _search_path() -> str:
    beside = str(Path(sys.executable).parent)
    return os.pathsep.join(filter(None, (beside, os.environ.get("PATH", os.defpath))))
