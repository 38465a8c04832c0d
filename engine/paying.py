"""Pay what a run owes: signals to other runs, recorded with the result that asked for them.

What must stay true (DESIGN §4 rule 7)
- What is owed is part of the head, with ids that follow from the result, so that paying twice is
  one signal. Everything that a head owes is paid in order, so that no receiver sees a later signal
  of this run before an earlier one.
- It leaves the head by a save of its own, after it was sent. Whoever finds a head that owes pays:
  the delivery that caused it, its redelivery, a sweep; whether the run has ended or not.
- A receiver that does not exist or has ended cannot be paid: that is the end of the debt.
"""

from __future__ import annotations

import logging

from msgspec.structs import replace

from engine.definition import Definition
from engine.errors import CallerError, Corrupt, InboxFull, NewerFormat
from engine.heads import named_head
from engine.layout import RunKey
from engine.ports import Commit, Delivery, Platform, RevisionConflict
from engine.records import head_record
from engine.signalling import Signaller
from engine.snapshot import Head, Payload
from engine.timing import LOOK_AFTER_MS, next_look
from engine.values import Values

log = logging.getLogger("tidestep")


class Payer:
    """Pays the debts of runs of one platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._signaller = Signaller(platform)

    async def pay(
        self,
        key: RunKey,
        head: Head,
        definition: Definition,
        acknowledgement: Delivery | None = None,
    ) -> None:
        """Send what `head` owes, take it off the stored head, and acknowledge.

        Raises PlatformError, with the delivery unacknowledged; paying again is harmless.
        """
        paid = await self._send(key, head, definition)
        journal = self._platform.journal
        while True:
            rest = tuple(owed for owed in head.owed if owed.id not in paid)
            if len(rest) == len(head.owed):
                await journal.send((), acknowledgement)
                return
            look_at = self._platform.clock.now() + LOOK_AFTER_MS if rest else 0
            after = replace(head, rev=head.rev + 1, owed=rest, owed_look_at=look_at)
            record = head_record(key, replace(after, wake_at=next_look(after)))
            drops = [
                owed.value.ref
                for owed in head.owed
                if owed.id in paid and isinstance(owed.value, Payload) and not owed.value.blob
            ]
            try:
                await journal.commit(
                    Commit(record, head.rev, drops=drops, acknowledgement=acknowledgement)
                )
                return
            except RevisionConflict as conflict:
                if conflict.current is None:
                    await journal.send((), acknowledgement)
                    return
                head = named_head(key, conflict.current)

    async def _send(self, key: RunKey, head: Head, definition: Definition) -> set[str]:
        """Send in order; the ids of what is paid, or can never be."""
        platform = self._platform
        values = Values(platform.journal, platform.blobs, key, head, definition)
        paid: set[str] = set()
        unable: set[str] = set()
        for owed in head.owed:
            if owed.receiver in unable:
                continue
            receiver, id = RunKey(key.tenant, owed.receiver), f"from:{key.run}:{owed.id}"
            try:
                text = (await values.texts({0: owed.value}))[0]
            except Corrupt as error:
                log.error("run %s: a signal to run %s is lost: %s", key.run, owed.receiver, error)
                paid.add(owed.id)
                continue
            try:
                await self._signaller.forward(receiver, owed.name, text, key.run, owed.sequence, id)
            except (InboxFull, Corrupt, NewerFormat) as error:
                log.warning("run %s still owes a signal: %s", key.run, error)
                unable.add(owed.receiver)
                continue
            except CallerError as error:
                log.warning("run %s cannot signal run %s: %s", key.run, owed.receiver, error)
            paid.add(owed.id)
        return paid
