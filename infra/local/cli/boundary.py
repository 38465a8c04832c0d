"""The one place where errors become messages and exit codes.

What must stay true: commands raise and never print an error themselves; a user's mistake shows no
traceback; what is no `TidestepError` and no usage error is a bug and says so, with its traceback.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

from engine.errors import InvalidDefinition, TidestepError
from infra.local.cli import exits
from infra.local.cli.output import say, say_error, say_notes


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. `argv` is what follows the program's name."""
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except exits.OutputClosed as error:
        _give_up_stdout()
        return error.exit_code
    except InvalidDefinition as error:
        _say_problems(error)
        return error.exit_code
    except TidestepError as error:
        say_error(str(error) or type(error).__name__)
        say_notes(error)
        return error.exit_code
    except KeyboardInterrupt:
        say("interrupted")
        return exits.INTERRUPTED
    except Exception:
        say(traceback.format_exc().rstrip())
        say_error("this is a bug in tidestep, please report it with the lines above")
        return exits.BUG


def _run(argv: Sequence[str]) -> int:
    from typer.exceptions import TyperException
    from typer.main import get_command

    from infra.local.cli.app import app

    try:
        code = get_command(app).main(list(argv), prog_name="tidestep", standalone_mode=False)
    except TyperException as error:
        return _usage(error)
    return code if isinstance(code, int) else exits.OK


def _usage(error: Exception) -> int:
    """A wrong command line: what is wrong with it, and where the right one is described."""
    context = getattr(error, "ctx", None)
    message = getattr(error, "format_message", error.__str__)()
    message = message.replace("Value error, ", "")  # Typer's parser says it of choices
    if not message:  # `tidestep` alone has printed its help
        return exits.OK if context is None else 2
    command = context.command_path if context is not None else "tidestep"
    say_error(f"{message.rstrip('.')}\ntry: {command} --help")
    return int(getattr(error, "exit_code", 2))


def _say_problems(error: InvalidDefinition) -> None:
    from engine.documents.problems import Problem

    if len(error.problems) == 1:
        say_error(str(error))
    else:
        files = {each.file for each in error.problems if isinstance(each, Problem)}
        whose = "the workflow has" if len(files) == 1 else "the workflows have"
        say_error(f"{whose} {len(error.problems)} problems\n{error}")
    say_notes(error)


def _give_up_stdout() -> None:
    """Nobody reads it: let the interpreter flush what is left into nothing, without complaint."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, descriptor)
    os.close(nothing)
