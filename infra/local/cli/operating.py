"""`tidestep signal`, `cancel`, `retry` and `fork`: act on one run, beside its worker or without.

Each says in one line on stdout what has come of it, and on stderr what to do next; `fork` prints
the new run's id, for scripts. What the engine refuses is told with what to do about it here, where
the commands are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from engine.errors import CallerError, InboxFull, RunEnded, RunNotFound, SignalConflict
from engine.forking import Forker
from engine.layout import run_key
from engine.operating import GRACE_S, Operator
from engine.reading import PendingView, RunReader, RunView
from engine.signalling import Answered, Signaller
from engine.snapshot import State, Status
from infra.local.cli.exits import command_line
from infra.local.cli.options import Place
from infra.local.cli.output import print_json, print_text, say
from infra.local.cli.places import visited
from infra.local.cli.wording import count, moment, until

_WAITING = State.WAITING.name.lower()


async def signal(
    run: str, name: str, payload: Any, id: str | None, place: Place, *, as_json: bool
) -> None:
    async with visited(place) as platform:
        with _explained(run, place):
            before = await RunReader(platform).view(run_key(run))
            answered = await Signaller(platform).signal(run_key(run), name, payload, id)
        now = platform.clock.now()
    waits = [token for token in before.pending if token.state == _WAITING]
    takers = nodes_of(token for token in waits if token.signal == name)
    if as_json:
        print_json(
            {
                "run": run,
                "signal": name,
                "id": id,
                "at": answered.at,
                "created": answered.created,
                "waiting": takers,
            }
        )
        return
    print_text(_signalled(run, name, answered, takers, now))
    others = list(dict.fromkeys(token.signal for token in waits))
    if takers or not answered.created:
        _say_next(run, place)
    elif others:
        say(f"what it waits for now: {quoted(others)}")


def _signalled(run: str, name: str, answered: Answered, takers: list[str], now: int) -> str:
    if not answered.created:
        return f"signal '{name}' of this id was sent before, at {moment(answered.at, now)}"
    if not takers:
        return f"signal '{name}' is stored: the next wait of run {run} for it takes it"
    one = "node" if len(takers) == 1 else "one of the nodes"
    return f"signal '{name}' is stored: {one} {quoted(takers)} of run {run} takes it"


async def cancel(run: str, place: Place, *, as_json: bool) -> None:
    async with visited(place) as platform:
        with _explained(run, place):
            before = await RunReader(platform).view(run_key(run))
            after = await Operator(platform).cancel(run_key(run))
    changed = before.status is not Status.CANCELLED
    if as_json:
        print_json({"run": run, "status": after.status, "changed": changed})
        return
    print_text(_cancelled(before, run))
    if changed:
        say(f"to go on from where it was: {command_line('retry', run, *place.given())}")


async def close(run: str, grace_s: float | None, place: Place, *, as_json: bool) -> None:
    async with visited(place) as platform:
        with _explained(run, place):
            before = await RunReader(platform).view(run_key(run))
            operator = Operator(platform)
            await operator.close(run_key(run), GRACE_S if grace_s is None else grace_s)
            after = await RunReader(platform).view(run_key(run))
        now = platform.clock.now()
    changed = before.status not in (Status.CANCELLED, Status.CLOSING)
    if as_json:
        found: dict[str, Any] = {"run": run, "status": after.status, "changed": changed}
        print_json({**found, "ends_by": after.ends_by} if after.ends_by else found)
        return
    if after.status is not Status.CLOSING:
        print_text(_cancelled(before, run))
        return
    already = "" if changed else " already"
    print_text(
        f"run {run} is being cancelled{already}: nothing new begins, and what is running may go on "
        f"{until(after.ends_by, now)}"
    )
    say(f"to end it at once: {command_line('cancel', run, *place.given())}")


def _cancelled(before: RunView, run: str) -> str:
    if before.status is Status.CANCELLED:
        return f"run {run} was cancelled before: nothing has changed"
    return f"run {run} is cancelled: what is still running is not recorded any more"


async def retry(run: str, place: Place, *, as_json: bool) -> None:
    async with visited(place) as platform:
        with _explained(run, place):
            await Operator(platform).retry(run_key(run))
            view = await RunReader(platform).view(run_key(run))
    nodes = nodes_of(view.pending)
    if as_json:
        print_json({"run": run, "status": view.status, "epoch": view.epoch, "nodes": nodes})
        return
    print_text(f"run {run} goes on with {count(len(nodes), 'node')}: {quoted(nodes)}")
    _say_next(run, place)


async def fork(
    run: str,
    step: str,
    changes: Mapping[str, Any],
    new: str | None,
    place: Place,
    *,
    as_json: bool,
) -> None:
    """`changes` are the `message` and the `input` that `Forker.fork` takes, where given."""
    async with visited(place) as platform:
        with _explained(run, place):
            chosen = int(step) if step.isdecimal() else step
            forked = await Forker(platform).fork(run_key(run), chosen, new, **changes)
            reader = RunReader(platform)
            view = await reader.view(forked.key)
            number = view.forked_from.step if view.forked_from is not None else 0
            node = await reader.node_of(run_key(run), number)
    if as_json:
        print_json(
            {
                "run": view.run,
                "forked_from": run,
                "step": number,
                "node": node,
                "status": view.status,
                "created": forked.created,
            }
        )
        return
    print_text(view.run)
    if not forked.created:
        say(f"this fork of {run} exists already; its status is {view.status}")
    else:
        say(f"fork {view.run} of {run} begins before step {number} ({node})")
    if not view.status.terminal:
        _say_next(view.run, place)


def nodes_of(tokens: Iterable[PendingView]) -> list[str]:
    """Their nodes, each once."""
    return list(dict.fromkeys(token.node for token in tokens))


def quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _say_next(run: str, place: Place) -> None:
    if place.aws:
        say(f"see how it goes: {command_line('show', run, *place.given())}")
    else:
        resume = command_line("resume", run, *place.given())
        say(f"a worker goes on with it; where none runs: {resume}")


@contextmanager
def _explained(run: str, place: Place) -> Iterator[None]:
    """Add to what the engine refuses what to do about it."""
    try:
        yield
    except (RunNotFound, RunEnded, SignalConflict, InboxFull) as error:
        raise type(error)(f"{error}{_advice(error, run, place)}") from None


def _advice(error: CallerError, run: str, place: Place) -> str:
    if isinstance(error, RunNotFound):
        return f" in {place}: see {command_line('list', *place.given())}"
    if isinstance(error, SignalConflict):
        return "; leave --id out, or choose another one"
    return f": see {command_line('show', run, *place.given())}"
