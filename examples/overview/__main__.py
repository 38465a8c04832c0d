"""Run the example against a small server of its own."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from examples.running import HERE, say, tidestep
from examples.small_server import serving


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="tidestep-overview-") as directory, serving() as url:
        say("The server is on this machine, which requests may not reach unless it is allowed.")
        run = tidestep(
            "run",
            str(HERE / "overview" / "workflow.yaml"),
            "--actors",
            "examples.overview.actors",
            "--db",
            str(Path(directory) / "overview.db"),
            "--input",
            json.dumps({"url": url, "city": "Oslo"}),
            TIDESTEP_HTTP_ALLOW="127.0.0.1",
        )
        return run.wait()


if __name__ == "__main__":
    sys.exit(main())
