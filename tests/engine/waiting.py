"""A run that waits, written down without an engine: for tests of what comes in from outside."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from engine.definition import encode_definition
from engine.layout import RunKey, WaitAddress, run_key
from engine.ports import Commit, Journal
from engine.records import definition_item, head_record
from engine.snapshot import FORMAT, Head, State, Status, Token, Wait, decode_head
from tests.engine.graphs import CREATED, graph

KEY = run_key("order-7")
APPROVE = 1
"""The node that waits; the runs' nodes are ask, approve and publish."""
SINCE = CREATED // 1000
ADDRESS = WaitAddress(KEY, APPROVE, 1, 1, SINCE)


async def write_waiting_run(journal: Journal, key: RunKey = KEY, due: int = 0) -> None:
    """A run whose node `approve` waits for the first time; `due` is its time-out, 0 for none."""
    body, digest = encode_definition(graph("ask -> approve", "approve -> publish"))
    await journal.put([definition_item(key.tenant, digest, body)])
    head = Head(
        format=FORMAT,
        rev=1,
        epoch=0,
        status=Status.PAUSED,
        workflow="test",
        definition=digest,
        created_at=CREATED,
        start_digest=b"",
        input=b"{}",
        frontier=(Token(APPROVE, 1, 2, State.WAITING, "sid", 0, due=due),),
        waits=(Wait(APPROVE, 1, "approval", 1),),
    )
    await journal.commit(Commit(head_record(key, head), None))


async def change_head(journal: Journal, key: RunKey = KEY, **changes: Any) -> None:
    """Save the run's head with these fields changed."""
    body = await journal.head(key)
    assert body is not None
    head = decode_head(body)
    head = replace(head, rev=head.rev + 1, **changes)
    await journal.commit(Commit(head_record(key, head), head.rev - 1))
