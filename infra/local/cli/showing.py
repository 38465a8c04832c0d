"""`tidestep show`: one run, from its head and its history."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from engine.layout import RunKey, run_key
from engine.ports import Platform
from engine.reading import PendingView, ResultView, RunReader, RunView
from engine.snapshot import Kind, State, Status
from engine.values import Values
from infra.local.cli.exits import command_line
from infra.local.cli.options import Place
from infra.local.cli.output import print_json, print_table, print_text, say
from infra.local.cli.places import visited
from infra.local.cli.progress import waiting_for
from infra.local.cli.tables import plain_table
from infra.local.cli.wording import (
    count,
    duration,
    error_text,
    moment,
    one_line,
    short_json,
    until,
    wait,
)

if TYPE_CHECKING:
    from rich.table import Table

_CLIPPED = 100
"""Characters of an output in the history's table."""
_AT_ONCE = 100
"""How many outputs are loaded together."""
_STOPPED = State.STOPPED.name.lower()
_WAITING = State.WAITING.name.lower()
_NO_ATTEMPT = {kind.name.lower() for kind in (Kind.SIGNALLED, Kind.EXPIRED, Kind.CHANGED)}
"""Outcomes of which no actor had a part."""


@dataclass(slots=True)
class NodeSummary:
    """What one node has done. `took_ms` is the sum over its attempts."""

    node: str
    actor: str
    state: str = ""
    visits: int = 0
    attempts: int = 0
    failures: int = 0
    took_ms: int = 0
    last_error: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Detail:
    """What to show beyond the summary. `outputs` are those of the history."""

    history: bool
    outputs: bool


@dataclass(slots=True)
class Shown:
    """Everything there is to show about a run."""

    view: RunView
    input: Any
    nodes: list[NodeSummary]
    history: list[ResultView]
    outputs: dict[int, Any] | None
    """By the result's number, for those that put something out."""


async def show(run: str, place: Place, detail: Detail, *, as_json: bool) -> None:
    """Raises RunNotFound."""
    async with visited(place) as platform:
        shown = await _read(platform, run_key(run), detail)
        now = platform.clock.now()
    if as_json:
        print_json(_as_json(shown, detail.history))
        return
    print_text("\n".join(_summary(shown, now)))
    _print_tables(shown, detail, now)
    for hint in _hints(shown.view, place):
        say(hint)


def _print_tables(shown: Shown, detail: Detail, now: int) -> None:
    print_text("")
    print_table(_node_table(shown.nodes))
    if shown.view.pending and not shown.view.status.terminal:
        print_text("")
        print_table(_pending_table(shown.view.pending, now))
    if detail.history:
        print_text("")
        print_table(_history_table(shown.history, shown.outputs, now))


async def _read(platform: Platform, key: RunKey, detail: Detail) -> Shown:
    reader = RunReader(platform)
    view = await reader.view(key)
    head = await reader.head(key)
    definition = await reader.definition(key, head)
    input = await reader.input(key)
    nodes = {node.id: NodeSummary(node.id, node.actor) for node in definition.nodes}
    history: list[ResultView] = []
    async for result in reader.history(key):
        _count(nodes[result.node], result)
        if detail.history:
            history.append(result)
    for token in view.pending:
        summary = nodes[token.node]
        if token.state != _STOPPED:  # that one has failed, which says more
            summary.state = token.state
        summary.visits = max(summary.visits, token.visit)
    outputs = None
    if detail.outputs:
        # A head read after the history refers to all of it, whatever has been added meanwhile.
        head = await reader.head(key)
        values = Values(platform.journal, platform.blobs, key, head, definition)
        numbers = [result.number for result in history if result.has_value]
        outputs = {}
        for begin in range(0, len(numbers), _AT_ONCE):
            outputs.update(await values.load(numbers[begin : begin + _AT_ONCE]))
    return Shown(view, input, list(nodes.values()), history, outputs)


def _count(summary: NodeSummary, result: ResultView) -> None:
    summary.state = result.outcome
    summary.visits = max(summary.visits, result.visit)
    summary.attempts += result.outcome not in _NO_ATTEMPT
    summary.took_ms += result.took_ms
    if result.error is not None:
        summary.failures += 1
        summary.last_error = result.error


def _as_json(shown: Shown, with_history: bool) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(shown.view)
    found["input"] = shown.input
    found["nodes"] = [asdict(node) for node in shown.nodes]
    if with_history:
        found["history"] = history = msgspec.to_builtins(shown.history)
        for result in history:
            if shown.outputs is not None and result["number"] in shown.outputs:
                result["output"] = shown.outputs[result["number"]]
    return found


def _summary(shown: Shown, now: int) -> Iterable[str]:
    view = shown.view
    age = duration(now - view.created_at)
    yield f"run       {view.run}"
    yield f"workflow  {view.workflow}"
    yield f"status    {view.status}"
    if view.forked_from is None:
        yield f"started   {moment(view.created_at, now)}, {age} ago"
    else:
        origin = f"run {view.forked_from.run}, before its step {view.forked_from.step}"
        yield f"forked    {moment(view.created_at, now)}, {age} ago, from {origin}"
    if view.ended_at:
        took = duration(view.ended_at - view.created_at)
        yield f"ended     {moment(view.ended_at, now)}, after {took}"
    elif view.ends_by:
        yield f"ends by   {moment(view.ends_by, now)} (in {wait(view.ends_by - now)})"
    failures = f", {count(view.failures, 'failed attempt')}" if view.failures else ""
    yield f"steps     {view.steps:,}{failures}"
    yield f"input     {short_json(shown.input)}"
    if view.status is Status.COMPLETED:
        yield f"output    {short_json(view.output)}"
    if view.error is not None:
        at = f"node '{view.error['node']}': " if "node" in view.error else ""
        yield f"error     {at}{one_line(error_text(view.error))}"


def _hints(view: RunView, place: Place) -> Iterable[str]:
    """What somebody may want to type now."""
    where = place.given()
    if view.status in (Status.FAILED, Status.CANCELLED) and view.pending:
        yield f"to go on from where it ended: {command_line('retry', view.run, *where)}"
    if view.status.terminal or view.status is Status.CLOSING:
        return
    for name in dict.fromkeys(t.signal for t in view.pending if t.state == _WAITING):
        yield f"to answer: {command_line('signal', view.run, name, *where)}"


def _node_table(nodes: Iterable[NodeSummary]) -> Table:
    headings = ("node", "actor", "state", ">visits", ">attempts", ">failures", ">time", "error")
    table = plain_table(*headings, wraps=("error",))
    for node in nodes:
        reached = node.visits > 0
        table.add_row(
            node.node,
            node.actor,
            node.state or "-",
            str(node.visits) if reached else "",
            str(node.attempts) if reached else "",
            str(node.failures) if reached else "",
            duration(node.took_ms) if node.attempts else "",
            one_line(error_text(node.last_error)),
        )
    return table


def _pending_table(pending: Iterable[PendingView], now: int) -> Table:
    table = plain_table("pending", "state", ">visit", ">attempt", "due")
    for token in pending:
        due = until(token.due, now) if token.due > now else "now"
        if token.state == _WAITING:
            due = waiting_for(token.signal, token.due, now)
        table.add_row(token.node, token.state, str(token.visit), str(token.attempt), due)
    return table


def _history_table(
    history: Iterable[ResultView], outputs: dict[int, Any] | None, now: int
) -> Table:
    headings = [">result", "node", ">visit", ">attempt", "outcome", "port or signal", ">time", "at"]
    headings.append("error")
    table = plain_table(
        *headings, *(() if outputs is None else ("output",)), wraps=("error", "output")
    )
    for result in history:
        output = []
        if outputs is not None:
            there = result.number in outputs
            output = [short_json(outputs[result.number], _CLIPPED) if there else ""]
        table.add_row(
            str(result.number),
            result.node,
            str(result.visit),
            str(result.attempt),
            result.outcome,
            result.port or result.signal,
            duration(result.took_ms),
            moment(result.at, now),
            one_line(error_text(result.error)),
            *output,
        )
    return table
