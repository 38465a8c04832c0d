"""What the commands print: results on stdout, everything else on stderr.

What must stay true
- stdout holds the result and nothing else, so that it can be piped.
- Text is printed as it is: nothing that a workflow says is taken for markup, and it is not wrapped
  or cut off where nobody reads it on a screen.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from infra.local.cli.exits import OutputClosed, OutputFailed

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_WIDE = 10_000
"""Columns of a table that goes into a file or a pipe: nothing is cut off."""


def print_text(text: str, stream: TextIO | None = None) -> None:
    """Write a result to stdout, or to what was stdout. Raises OutputClosed or OutputFailed."""
    stream = stream or sys.stdout
    try:
        stream.write(text if text.endswith("\n") else text + "\n")
        stream.flush()
    except BrokenPipeError:
        raise OutputClosed from None
    except UnicodeEncodeError as error:
        encoding = error.encoding
        raise OutputFailed(
            f"the output has characters that {encoding} lacks; set PYTHONUTF8=1, or use --json"
        ) from error
    except OSError as error:
        raise OutputFailed(f"the output cannot be written: {error.strerror or error}") from error


def print_json(value: Any) -> None:
    """Write a JSON value to stdout, indented."""
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print_text(json.dumps(value, indent=2, ensure_ascii=not utf8))


def print_table(table: RenderableType) -> None:
    """Write a table to stdout: as wide as the screen, or as wide as it needs to be."""
    from rich.console import Console

    console = Console(file=sys.stdout, highlight=False, emoji=False, markup=False)
    if not console.is_terminal:
        console.width = _WIDE
    with console.capture() as capture:
        console.print(table)
    lines = capture.get().splitlines()
    print_text("\n".join(line if console.is_terminal else line.rstrip() for line in lines))


def stderr_console() -> Console:
    """The console that progress and messages go to."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, emoji=False, markup=False)


def say(text: str) -> None:
    """A message for people, on stderr."""
    _quietly(text)


def say_error(text: str) -> None:
    """An error message on stderr: `error: ...`."""
    mark = "error:"
    if sys.stderr.isatty():
        mark = f"\x1b[1;31m{mark}\x1b[0m"
    _quietly(f"{mark} {text}")


def say_notes(error: BaseException) -> None:
    """What was added to an error on its way, on stderr."""
    for note in getattr(error, "__notes__", ()):
        say(note)


def _quietly(text: str) -> None:
    with suppress(OSError):  # whoever read stderr is gone, and there is nobody else to tell
        print(text, file=sys.stderr, flush=True)
