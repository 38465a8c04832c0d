"""`make demo`: run an order to its end; then kill another one in the middle and see it go on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from examples.running import HERE, TIDESTEP, say, tidestep

WORKFLOW = str(HERE / "order" / "workflow.yaml")
ACTORS = "examples.order.actors"
KILL_AFTER = 3
"""Results; the order has seven."""


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="tidestep-demo-") as directory:
        database = str(Path(directory) / "demo.db")
        common = ["--actors", ACTORS, "--db", database]
        say("An order: reserve, charge (it fails once and is retried), pack and label, ship.")
        order = {"sku": "teapot", "quantity": 3, "customer": "Ada"}
        first = tidestep("run", WORKFLOW, "--id", "order-1", "--input", json.dumps(order), *common)
        if first.wait():
            return first.returncode

        say(f"The same again, and this process is killed (kill -9) after {KILL_AFTER} results.")
        order = {"sku": "cup", "quantity": 40, "customer": "Grace"}
        second = tidestep("run", WORKFLOW, "--id", "order-2", "--input", json.dumps(order), *common)
        while results(database, "order-2") < KILL_AFTER and second.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                second.wait(timeout=0.1)
        second.send_signal(signal.SIGKILL)
        second.wait()

        say("Nothing is lost: it goes on where it was.")
        third = tidestep("resume", "order-2", *common)
        if third.wait():
            return third.returncode
        return tidestep("show", "order-2", "--db", database).wait()


def results(database: str, run: str) -> int:
    """How many results a run has recorded; none while it does not exist."""
    command = [*TIDESTEP, "show", run, "--db", database, "--json"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    return int(json.loads(shown.stdout)["results"]) if shown.returncode == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
