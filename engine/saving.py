"""Save what came of a step: settle, commit, send, pay, acknowledge; one save, all backends.

What must stay true
- A save either raises, with the delivery unacknowledged, or everything that it called for is done
  (DESIGN §4 rules 1 and 5). RevisionConflict has changed nothing.
- What the head lists as consumed is removed from the inbox before the save that forgets it (14).
- What the run owes to others is paid before the delivery is acknowledged (7).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from engine.ending import complete, fail
from engine.errors import ExpressionError, InvalidValue
from engine.layout import RunKey, page_item
from engine.loaded import LoadedDefinition
from engine.outcomes import Settling
from engine.outputs import run_output
from engine.paying import Payer
from engine.ports import Commit, Delivery, Item, Platform, Send
from engine.records import head_record, token_sends
from engine.settle import Settled, settle
from engine.snapshot import Failure, Head, Token, encode_page


class Saver:
    """Saves steps on one platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._payer = Payer(platform)

    async def save(
        self,
        key: RunKey,
        head: Head,
        loaded: LoadedDefinition,
        settling: Settling,
        delivery: Delivery,
        items: Sequence[Item] = (),
        drops: Sequence[str] = (),
    ) -> Settled:
        """Settle on `head` and save. Raises RevisionConflict, with nothing changed."""
        head = await self.without_consumed(key, head)
        settled = settle(head, loaded.definition, settling, self._platform.limits.frontier)
        written = list(items)
        if settled.page is not None:
            name = page_item(settled.page.first)
            written.append(Item(key.partition, name, encode_page(settled.page)))
        if settled.quiescent:
            settled = await self._end(key, loaded, settled, settling.now, written)
        after = settled.head
        sends = self._sends(key, after, settled.ready, settling.now)
        await self._commit(key, head, after, loaded, delivery, written, sends, drops)
        return settled

    async def save_head(
        self,
        key: RunKey,
        head: Head,
        after: Head,
        loaded: LoadedDefinition,
        delivery: Delivery,
    ) -> Head:
        """Save a head that no outcome has led to. Raises RevisionConflict, with nothing changed."""
        after = replace(after, rev=head.rev + 1)
        await self._commit(key, head, after, loaded, delivery)
        return after

    async def relay(
        self,
        key: RunKey,
        head: Head,
        loaded: LoadedDefinition,
        tokens: Iterable[Token],
        delivery: Delivery,
    ) -> None:
        """Send messages for tokens that may have none, pay what is owed, and acknowledge."""
        now = self._platform.clock.now()
        sends = self._sends(key, head, tokens, now, again=True)
        if head.owed:
            await self._platform.journal.send(sends)
            await self._payer.pay(key, head, loaded.definition, delivery)
        else:
            await self._platform.journal.send(sends, delivery)

    async def _commit(
        self,
        key: RunKey,
        head: Head,
        after: Head,
        loaded: LoadedDefinition,
        delivery: Delivery,
        items: Sequence[Item] = (),
        sends: Sequence[Send] = (),
        drops: Sequence[str] = (),
    ) -> None:
        record = head_record(key, after)
        acknowledged = None if after.owed else delivery
        await self._platform.journal.commit(
            Commit(record, head.rev, items, sends, drops, acknowledged)
        )
        if after.owed:
            await self._payer.pay(key, after, loaded.definition, delivery)

    async def without_consumed(self, key: RunKey, head: Head) -> Head:
        """The head as it may be saved once what it has consumed is gone."""
        if not head.consumed:
            return head
        await self._platform.journal.remove(key.partition, head.consumed)
        return replace(head, consumed=())

    async def _end(
        self,
        key: RunKey,
        loaded: LoadedDefinition,
        settled: Settled,
        now: int,
        items: list[Item],
    ) -> Settled:
        """The run has nothing left to run: compute its output, and end it with that."""
        try:
            output, item = await run_output(self._platform, key, settled.head, loaded, items)
        except (ExpressionError, InvalidValue) as error:
            failure = Failure(type(error).__name__, f"the workflow's output: {error}")
            return replace(settled, head=fail(settled.head, failure, -1, now))
        if item is not None:
            items.append(item)
        return replace(settled, head=complete(settled.head, output, now))

    def _sends(
        self, key: RunKey, head: Head, tokens: Iterable[Token], now: int, *, again: bool = False
    ) -> list[Send]:
        new_id = self._platform.entropy.new_id
        return token_sends(key, head, tokens, now, new_id, again=again)
