"""From snapshots to what a journal takes: head records, sends, definition items."""

from __future__ import annotations

from collections.abc import Callable, Iterable

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
    wake: bool = False,
) -> list[Send]:
    """A message for each token, each with a fresh sid, delayed until the token is due.

    One for a wait goes at once: it looks into the inbox, and then puts itself off.
    """
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
                    wake,
                )
            ),
            group,
            0 if token.state is State.WAITING else max(0, token.due - now),
        )
        for token in tokens
    ]
