"""A runner as a process of this machine.

What must stay true
- Whatever ends `run_process`, the process has ended and was reaped: asked to first (SIGTERM), then
  killed.
- What it says is passed on line by line, and is never waited for: a line that does not end is cut.
"""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, Process
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

STOP_S = 10.0
"""From SIGTERM to SIGKILL."""
REST_S = 1.0
"""How long the rest of the output may take, where something else holds it open."""
READ_BYTES = 64 << 10
LINE_CHARACTERS = 2000
LAST_LINES = 5


async def run_process(
    command: Sequence[str],
    environment: Mapping[str, str],
    stop: asyncio.Event,
    say: Callable[[str], None],
) -> str:
    """Run until it ends, or `stop` is set and it has; in the end, what was wrong, or nothing."""
    last: deque[str] = deque(maxlen=LAST_LINES)
    async with _listening(last, say) as (output, reading):
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                env=dict(environment),
                stdin=DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is the server's: it stops its runners in order
            )
        except OSError as error:
            return f"cannot start {command[0]!r}: {error.strerror or error}"
        finally:
            os.close(output)
        ending = asyncio.create_task(process.wait())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({ending, stopping}, return_when=asyncio.FIRST_COMPLETED)
            asked = not ending.done()
            if asked:
                await _end(process, ending)
            await asyncio.wait({reading}, timeout=REST_S)
            return "" if asked else _problem(ending.result(), last)
        finally:
            stopping.cancel()
            if not ending.done():
                process.kill()
            await asyncio.gather(ending, stopping, return_exceptions=True)


@asynccontextmanager
async def _listening(
    last: deque[str], say: Callable[[str], None]
) -> AsyncIterator[tuple[int, asyncio.Task[None]]]:
    """A pipe to write to, and who reads it: one of our own, for whoever inherits it may hold it
    open for longer than the process lives. Close what is written to."""
    reader, writer = os.pipe()
    stream = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(stream)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: protocol, os.fdopen(reader, "rb", 0))
    reading = asyncio.create_task(_read(stream, last, say))
    try:
        yield writer, reading
    finally:
        reading.cancel()
        transport.close()
        await asyncio.gather(reading, return_exceptions=True)


async def _end(process: Process, ending: asyncio.Task[int]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            process.send_signal(number)
        await asyncio.wait({ending}, timeout=STOP_S)
        if ending.done():
            return


async def _read(stream: asyncio.StreamReader, last: deque[str], say: Callable[[str], None]) -> None:
    rest = ""
    while part := await stream.read(READ_BYTES):
        *lines, rest = (rest + part.decode(errors="replace")).split("\n")
        if len(rest) > LINE_CHARACTERS:
            lines, rest = [*lines, rest], ""
        for line in lines:
            _take(line, last, say)
    if rest:
        _take(rest, last, say)


def _take(line: str, last: deque[str], say: Callable[[str], None]) -> None:
    line = line.rstrip()[:LINE_CHARACTERS]
    if line:
        last.append(line)
        say(line)


def _problem(code: int, last: Sequence[str]) -> str:
    if code == 0:
        return ""
    if code < 0:
        return f"the runner's process was killed by {_signal_name(-code)}"
    told = f": {' | '.join(last)}" if last else ""
    return f"the runner's process ended with exit code {code}{told}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
