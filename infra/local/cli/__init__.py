"""The command line: `tidestep`, also `python -m infra.local.cli`.

`main` is the boundary where every error becomes a message and an exit code. `app` knows the
commands; each imports what it needs when it runs, so that `--help` and `list` are quick. Results go
to stdout; progress, logs and errors go to stderr.
"""

from infra.local.cli.boundary import main

__all__ = ["main"]
