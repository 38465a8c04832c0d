"""What the examples share: the command line, as a user would type it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent.relative_to(Path.cwd())
TIDESTEP = [sys.executable, "-m", "infra.local.cli"]


def say(text: str) -> None:
    print(f"\n# {text}", file=sys.stderr, flush=True)


def tidestep(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start `tidestep ARGUMENTS`, after showing what one would type for it."""
    print(f"$ tidestep {shlex.join(arguments)}", file=sys.stderr, flush=True)
    return subprocess.Popen([*TIDESTEP, *arguments], text=True, env={**os.environ, **environment})
