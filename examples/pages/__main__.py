"""Run the example against a small server of its own."""

from __future__ import annotations

import sys

from examples.running import run_against_server

if __name__ == "__main__":
    sys.exit(run_against_server("pages"))
