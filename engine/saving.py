"""Save what came of a step: settle, commit, send, acknowledge; one save, all backends.

What must stay true
- A save either raises, with the delivery unacknowledged, or everything that it called for is done
  (DESIGN §4 rules 1 and 5). RevisionConflict has changed nothing.
- What the head lists as consumed is removed from the inbox before the save that forgets it (14).
- A delivery whose run owes something is not acknowledged here: it is when that is paid (7).
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from engine.ending import complete, fail
from engine.errors import ExpressionError, InvalidValue
from engine.layout import RunKey, page_item
from engine.loaded import LoadedDefinition
from engine.outcomes import Settling
from engine.outputs import run_output
from engine.ports import Commit, Delivery, Item, Platform
from engine.records import head_record, token_sends
from engine.settle import Settled, settle
from engine.snapshot import Failure, Head, encode_page


class Saver:
    """Saves steps on one platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def save(
        self,
        key: RunKey,
        head: Head,
        loaded: LoadedDefinition,
        settling: Settling,
        acknowledgement: Delivery | None = None,
        items: Sequence[Item] = (),
        drops: Sequence[str] = (),
    ) -> Settled:
        """Settle on `head` and save. Raises RevisionConflict, with nothing changed.

        A run that owes something is not done with: nothing is acknowledged then.
        """
        head = await self.without_consumed(key, head)
        settled = settle(head, loaded.definition, settling, self._platform.limits.frontier)
        written = list(items)
        if settled.page is not None:
            name = page_item(settled.page.first)
            written.append(Item(key.partition, name, encode_page(settled.page)))
        if settled.quiescent:
            settled = await self._end(key, loaded, settled, settling.now, written)
        after = settled.head
        new_id = self._platform.entropy.new_id
        sends = token_sends(key, after, settled.ready, settling.now, new_id)
        acknowledged = None if after.owed else acknowledgement
        await self._platform.journal.commit(
            Commit(head_record(key, after), head.rev, written, sends, drops, acknowledged)
        )
        return settled

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
