"""From snapshots to what a journal takes: head records, sends, definition items."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from engine.layout import DEFINITION_ITEM, RunKey, definition_partition, message_group
from engine.messages import FORMAT, Message, encode_message
from engine.ports import HeadRecord, Item, Send
from engine.snapshot import Head, State, Token, encode_head


def head_record(key: RunKey, head: Head) -> HeadRecord:
    return HeadRecord(
        key=key,
        rev=head.rev,
        status=head.status,
        workflow=head.workflow,
        created_at=head.lineage.at if head.lineage is not None else head.created_at,
        wake_at=head.wake_at,
        body=encode_head(head),
    )


def definition_item(tenant: str, digest: bytes, body: bytes) -> Item:
    return Item(definition_partition(tenant, digest), DEFINITION_ITEM, body)


def token_sends(
    key: RunKey,
    head: Head,
    tokens: Iterable[Token],
    now: int,
    new_id: Callable[[], str],
    *,
    again: bool = False,
) -> list[Send]:
    """A message for each token, each with a fresh sid, delayed until the token is due."""
    group = message_group(key.tenant, head.workflow)
    return [
        Send(
            encode_message(
                Message(
                    FORMAT,
                    key.tenant,
                    key.run,
                    (head.epoch, token.node, token.visit, token.attempt),
                    new_id(),
                    again,
                )
            ),
            group,
            max(0, token.due - now),
        )
        for token in tokens
    ]


def at_once(tokens: Iterable[Token]) -> list[Token]:
    """The tokens as their messages go out when nobody knows whether somebody has looked: one for a
    wait looks into the inbox, and then puts itself off until the wait is due."""
    return [replace(t, due=0) if t.state is State.WAITING else t for t in tokens]
