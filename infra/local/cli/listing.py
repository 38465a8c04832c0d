"""`tidestep list`: the newest runs, a line each."""

from __future__ import annotations

from engine.layout import DEFAULT_TENANT
from engine.snapshot import Status
from infra.local.cli.options import Place
from infra.local.cli.output import print_json, print_table, say
from infra.local.cli.places import visited
from infra.local.cli.tables import plain_table
from infra.local.cli.wording import duration, moment

_STATUS_STYLES = {
    Status.COMPLETED: "green",
    Status.FAILED: "red",
    Status.CANCELLED: "red",
    Status.ERROR: "yellow",
    Status.CLOSING: "yellow",
    Status.PAUSED: "blue",
}


async def list_runs(place: Place, status: Status | None, limit: int, *, as_json: bool) -> None:
    async with visited(place) as platform:
        rows = await platform.journal.runs(DEFAULT_TENANT, limit=limit, status=status)
        now = platform.clock.now()
    if as_json:
        print_json(
            [
                {
                    "run": row.key.run,
                    "tenant": row.key.tenant,
                    "workflow": row.workflow,
                    "status": row.status,
                    "created_at": row.created_at,
                }
                for row in rows
            ]
        )
        return
    if not rows:
        say(f"no run in {place} is {status}" if status else f"there are no runs in {place}")
        return
    from rich.text import Text

    table = plain_table("run", "status", "workflow", "started", ">age")
    for row in rows:
        table.add_row(
            Text(row.key.run, style="bold"),
            Text(row.status, style=_STATUS_STYLES.get(row.status, "cyan")),
            Text(row.workflow),
            moment(row.created_at, now),
            duration(now - row.created_at),
        )
    print_table(table)
    if len(rows) == limit:
        say(f"the newest {limit}; --limit shows more")
