"""A process that visits a database file beside its worker, and asks for what it is told to.

`python -m tests.infra.local.visitor DATABASE ACTS ANSWERS SEED`: acts are a JSON list; an answer is
a line in the file of answers, written once it is known. Killed and started again it goes on with
what has no answer. Some acts it leaves to the command line, as a process of its own.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from collections import deque
from pathlib import Path

import msgspec

from engine.errors import PlatformError, RunEnded, RunNotFound
from infra.local.embedded import visiting
from tests.infra.torture.asking import Answer, AnyAct, Asker, Cancel, Close, Retry, Signal, Start
from tests.infra.torture.workload import ACTORS, Times, definitions

TIMES = Times(unit=0.4, charge=0.3)
LONGEST_PAUSE_S = 0.3
"""Between two acts."""
CLI = [sys.executable, "-m", "infra.local.cli"]


def read_acts(path: Path) -> list[AnyAct]:
    return msgspec.json.decode(path.read_bytes(), type=list[AnyAct])


def read_answers(path: Path) -> list[Answer]:
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [msgspec.json.decode(line, type=Answer) for line in lines if line.endswith(b"\n")]


def write_answer(path: Path, answer: Answer) -> None:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(file, msgspec.json.encode(answer) + b"\n")
    os.close(file)


async def ask(database: Path, acts: Path, answers: Path, chance: random.Random) -> None:
    answered = [answer.act for answer in read_answers(answers)]
    left = deque(act for act in read_acts(acts) if act not in answered)
    with visiting(database, os.environ) as embedded:
        asker = Asker(embedded.platform, definitions(TIMES))
        while left:
            act = left.popleft()
            await asyncio.sleep(chance.random() * LONGEST_PAUSE_S)
            try:
                if act.by_command:
                    accepted = command(act, database)
                else:
                    accepted = await asker.perform(act)
            except RunNotFound:
                left.append(act)  # another visitor has not started it yet
            except PlatformError as error:
                print(f"again: {error}", file=sys.stderr)
                left.appendleft(act)
            else:
                write_answer(answers, Answer(act, accepted))


def command(act: AnyAct, database: Path) -> bool:
    """The same by `tidestep`. Raises as `Asker.perform` does."""
    done = subprocess.run(
        [*CLI, *words(act, database.parent), "--db", str(database)], capture_output=True, text=True
    )
    if done.returncode == RunNotFound.exit_code:
        raise RunNotFound(done.stderr)
    if done.returncode == PlatformError.exit_code:
        raise PlatformError(done.stderr)
    if done.returncode == RunEnded.exit_code:
        return isinstance(act, Retry)  # there is nothing to retry: asked for before
    assert done.returncode == 0, f"{act}: {done.returncode}: {done.stderr}"
    return True


def words(act: AnyAct, directory: Path) -> list[str]:
    if isinstance(act, Start):
        file, input = directory / f"{act.workflow}.yaml", msgspec.json.encode(act.input).decode()
        return ["start", str(file), "--id", act.run, "--input", input, "--actors", ACTORS]
    if isinstance(act, Signal):
        payload = msgspec.json.encode(act.payload).decode()
        return ["signal", act.run, act.name, "--id", act.id, "--input", payload]
    if isinstance(act, Cancel):
        return ["cancel", act.run]
    if isinstance(act, Close):
        return ["cancel", act.run, "--gracefully", "--grace", f"{act.grace_s:g}"]
    assert isinstance(act, Retry)
    return ["retry", act.run]


if __name__ == "__main__":
    _, database, acts, answers, seed = sys.argv
    asyncio.run(ask(Path(database), Path(acts), Path(answers), random.Random(seed)))
