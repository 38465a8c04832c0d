"""`tidestep actors`, `pools` and `runners`: look at stateful actors and those who host them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from engine.allocation.operating import Operator
from engine.allocation.parties import Kind, party_key
from engine.allocation.viewing import (
    ActorView,
    AllocationReader,
    PastView,
    PoolView,
    RunnerView,
    error_words,
)
from engine.layout import DEFAULT_TENANT
from infra.local.cli.options import Place
from infra.local.cli.output import print_json, print_table, print_text, say
from infra.local.cli.places import visited
from infra.local.cli.tables import plain_table
from infra.local.cli.wording import count, duration, moment, one_line, until

if TYPE_CHECKING:
    from rich.table import Table

View = ActorView | RunnerView | PoolView


# -- lists ----------------------------------------------------------------------------------------


async def list_actors(place: Place, pool: str | None, limit: int, *, as_json: bool) -> None:
    async with visited(place) as platform:
        views = await AllocationReader(platform).actors(limit=limit, pool=pool)
        now = platform.clock.now()
    table = plain_table("id", "actor", "state", "pool", "runner", ">age", "why", wraps=("why",))
    for view in views:
        age = duration(now - view.created_at)
        where = (view.id, address(view), view.state, view.pool, view.runner)
        table.add_row(*where, age, one_line(view.why))
    _print_list(views, table, f"there are no actors in {place}", limit, as_json=as_json)


async def list_runners(place: Place, pool: str | None, limit: int, *, as_json: bool) -> None:
    async with visited(place) as platform:
        views = await AllocationReader(platform).runners(limit=limit, pool=pool)
        now = platform.clock.now()
    table = plain_table("id", "state", "pool", ">slots", ">taken", "heard", "why", wraps=("why",))
    for view in views:
        heard = f"{duration(now - view.heard_at)} ago" if view.heard_at else ""
        slots = (str(view.slots), str(view.taken))
        table.add_row(view.id, view.state, view.pool, *slots, heard, one_line(_why_gone(view)))
    _print_list(views, table, f"there are no runners in {place}", limit, as_json=as_json)


async def list_pools(place: Place, limit: int, *, as_json: bool) -> None:
    async with visited(place) as platform:
        views = await AllocationReader(platform).pools(limit=limit)
    headings = ("pool", "state", ">runners", ">wanted", ">slots", ">taken", ">waiting")
    table = plain_table(*headings, "runners come from", "why", wraps=("why",))
    for view in views:
        numbers = (view.runners, view.wanted, view.slots, view.taken, view.waiting)
        cells = map(str, numbers)
        table.add_row(view.name, view.state, *cells, one_line(view.source), one_line(view.why))
    _print_list(views, table, f"there are no pools in {place}", limit, as_json=as_json)


def _print_list(
    views: Sequence[View], table: Table, nothing: str, limit: int, *, as_json: bool
) -> None:
    if as_json:
        print_json([_without_past(view) for view in views])
    elif not views:
        say(nothing)
    else:
        print_table(table)
        if len(views) == limit:
            say(f"the newest {limit}; --limit shows more")


def _without_past(view: View) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(view)
    found.pop("past", None)
    return found


# -- one of them ----------------------------------------------------------------------------------


async def show_actor(text: str, place: Place, *, as_json: bool) -> None:
    """Raises ActorNotFound or InvalidName."""
    async with visited(place) as platform:
        key = await Operator(platform).find(text)
        view = await AllocationReader(platform).actor(key)
        now = platform.clock.now()
    _print_one(view, _actor_lines(view, now), now, as_json=as_json)


async def show_runner(id: str, place: Place, *, as_json: bool) -> None:
    """Raises RunNotFound or InvalidName."""
    async with visited(place) as platform:
        key = party_key(Kind.RUNNER, id, DEFAULT_TENANT)
        view = await AllocationReader(platform).runner(key)
        now = platform.clock.now()
    _print_one(view, _runner_lines(view, now), now, as_json=as_json)


async def show_pool(name: str, place: Place, *, as_json: bool) -> None:
    """Raises PoolNotFound or InvalidName."""
    async with visited(place) as platform:
        view = await AllocationReader(platform).pool(name)
        now = platform.clock.now()
    _print_one(view, _pool_lines(view), now, as_json=as_json)


def _print_one(view: View, lines: Iterable[str], now: int, *, as_json: bool) -> None:
    if as_json:
        print_json(msgspec.to_builtins(view))
        return
    print_text("\n".join(lines))
    if view.past:
        print_text("")
        print_table(_past_table(view.past, now))


def _actor_lines(view: ActorView, now: int) -> Iterable[str]:
    yield f"actor       {view.id}"
    yield f"address     {address(view)}"
    yield f"state       {view.state}"
    if view.runner:
        yield f"runner      {view.runner}"
    yield f"pool        {view.pool}"
    yield f"created     {_since(view.created_at, now)}"
    if view.connectable_at:
        yield f"running     since {_since(view.connectable_at, now)}"
    if view.slept_at:
        yield f"sleeping    since {_since(view.slept_at, now)}"
    if view.destroyed_at:
        yield f"destroyed   {_since(view.destroyed_at, now)}"
    if view.alarm_at:
        yield f"alarm       {until(view.alarm_at, now)}"
    yield f"generation  {view.generation}"
    yield f"on a crash  {view.crash}"
    if view.error:
        yield f"error       {one_line(error_words(view.error))}"
    if view.why:
        yield f"why         {one_line(view.why)}"


def _runner_lines(view: RunnerView, now: int) -> Iterable[str]:
    yield f"runner   {view.id}"
    yield f"key      {view.key}"
    yield f"state    {view.state}"
    yield f"pool     {view.pool}"
    yield f"slots    {view.slots}, {view.taken} taken"
    yield f"version  {view.version}"
    yield f"created  {_since(view.created_at, now)}"
    if view.heard_at:
        yield f"heard    {_since(view.heard_at, now)}"
    if view.gone_at:
        yield f"gone     {_since(view.gone_at, now)}"
    if view.why:
        yield f"why      {one_line(_why_gone(view))}"


def _pool_lines(view: PoolView) -> Iterable[str]:
    yield f"pool     {view.name}"
    yield f"state    {view.state}"
    yield f"runners  {view.runners} there, {view.wanted} wanted, {view.held} asked for"
    if view.draining:
        yield f"ending   {count(view.draining, 'runner')}"
    yield f"slots    {view.slots}, {view.taken} taken, {count(view.waiting, 'actor')} waiting"
    yield f"source   {one_line(view.source)}"
    if view.why:
        yield f"why      {one_line(view.why)}"


def _past_table(past: Iterable[PastView], now: int) -> Table:
    table = plain_table("at", "signal", "led to", "what was done", wraps=("what was done",))
    for step in past:
        table.add_row(moment(step.at, now), step.signal, step.phase, ", ".join(step.said))
    return table


def address(view: ActorView) -> str:
    """`counter/main`, as commands take it; of an actor without a key, its name."""
    return f"{view.name}/{','.join(view.key)}" if view.key else view.name


def _why_gone(view: RunnerView) -> str:
    return error_words(view.why)


def _since(at: int, now: int) -> str:
    return f"{moment(at, now)}, {duration(now - at)} ago"
