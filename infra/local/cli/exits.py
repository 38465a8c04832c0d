"""The exit codes: every way a command can end.

Errors raised on purpose bring their own (`TidestepError.exit_code`); this is the table that the
help prints and that docs/cli.md repeats.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from engine.errors import CallerError, PlatformError, TidestepError

OK = 0
INVALID = 3
RUN_FAILED = 8
VIOLATION = 9
BUG = 70
INTERRUPTED = 130
OUTPUT_CLOSED = 141
TERMINATED = 143

EXIT_CODES: Mapping[int, str] = {
    OK: "done; of run and resume: the run completed; of work: it was stopped",
    1: "an error of no other kind",
    2: "wrong usage, or an input that cannot be used",
    INVALID: "the workflow or an actor must be changed first",
    4: "there is no such run, step, file, actor or database",
    5: "it conflicts with what is there: a taken id, a run that has ended, a full inbox",
    6: "the database, the cloud service or a setting must be looked at",
    7: "another worker already runs on the database",
    RUN_FAILED: "the run failed, or was cancelled",
    VIOLATION: "of simulate: a run has broken a rule of the engine's",
    BUG: "a bug in tidestep",
    INTERRUPTED: "interrupted by Ctrl-C; a run can be resumed",
    OUTPUT_CLOSED: "whoever read the output stopped reading",
    TERMINATED: "ended by SIGTERM; a run can be resumed",
}


class NotThere(CallerError):
    """There is no database or actor of this name."""

    exit_code = 4


class NotReady(PlatformError):
    """What was asked for goes on, and has not come about in time."""


class OutputClosed(TidestepError):
    """Whoever read the output stopped reading: nobody is left to tell."""

    exit_code = OUTPUT_CLOSED


class OutputFailed(PlatformError):
    """The output cannot be written."""


def command_line(*words: str) -> str:
    """A `tidestep` command for people to copy, quoted for a shell."""
    return shlex.join(("tidestep", *words))
