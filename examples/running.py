"""What the examples share: the command line, as a user would type it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from examples.small_server import serving

HERE = Path(__file__).parent.relative_to(Path.cwd())
TIDESTEP = [sys.executable, "-m", "infra.local.cli"]


def say(text: str) -> None:
    print(f"\n# {text}", file=sys.stderr, flush=True)


def tidestep(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start `tidestep ARGUMENTS`, after showing what one would type for it."""
    print(f"$ tidestep {shlex.join(arguments)}", file=sys.stderr, flush=True)
    return subprocess.Popen([*TIDESTEP, *arguments], text=True, env={**os.environ, **environment})


def run_against_server(example: str, **input: object) -> int:
    """Run the workflow of an example, whose input names a small server of its own."""
    with tempfile.TemporaryDirectory(prefix=f"tidestep-{example}-") as directory, serving() as url:
        say("The server is on this machine, which requests may not reach unless it is allowed.")
        run = tidestep(
            "run",
            str(HERE / example / "workflow.yaml"),
            "--actors",
            f"examples.{example}.actors",
            "--db",
            str(Path(directory) / "example.db"),
            "--input",
            json.dumps({"url": url, **input}),
            TIDESTEP_HTTP_ALLOW="127.0.0.1",
        )
        return run.wait()
