"""Send a signal to a run: stored durably, remembered by its id, and then given to who waits.

What must stay true (DESIGN §4 rule 14)
- The signal and the memory of its id are written in one transaction, before any wait ends by it and
  before the caller is answered. The same id with the same content gets the first answer, and the
  waits are looked at again; with other content it is a conflict.
- Whoever waits is found after the signal is stored. Who begins to wait looks into the inbox after
  that is stored. So one of the two finds the other.
- A wait ends by a save of the head, here as in a delivery: a time-out that is being decided at the
  same moment conflicts, and looks again. No message stands behind this save, and so what it makes
  ready is looked after a minute later.
- Every wait that could take the signal is given its due: what a wait takes may be an older signal,
  which leaves this one for another wait.
- A wait that is over takes no more signals, and says so.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
from msgspec.structs import replace

from engine.definition import Definition
from engine.errors import (
    InboxFull,
    InvalidInput,
    NotJson,
    PayloadTooLarge,
    RunEnded,
    SignalConflict,
    WaitClosed,
)
from engine.events import settled_events
from engine.heads import read_head
from engine.inbox import (
    BY_NAME,
    FORMAT,
    Signal,
    dead_signals,
    encode_signal,
    for_wait,
    outcome_of,
    read_inbox,
)
from engine.json_values import encode_json
from engine.layout import (
    RunKey,
    WaitAddress,
    inbox_item,
    payload_item,
    signal_name,
)
from engine.loaded import Definitions
from engine.outcomes import Settling, Signalled
from engine.ports import Item, ItemConflict, Platform, RevisionConflict
from engine.remembering import FORMAT as MEMORY_FORMAT
from engine.remembering import (
    Remembered,
    clear_away,
    content_digest,
    forget,
    recall,
    recalled,
    refuse,
    remembered_item,
)
from engine.saving import Saver
from engine.settle import Settled
from engine.snapshot import Head, State, Status, Token, Wait
from engine.timing import API_LOOK_MS
from engine.values import store_value


class Answered(msgspec.Struct, frozen=True):
    """`created` is False where the same signal was sent before; `at` is when (ms since 1970)."""

    id: str
    at: int
    created: bool


class Signaller:
    """Sends signals on one platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._saver = Saver(platform)
        self._definitions = Definitions(platform.journal)
        self._last_at = 0

    async def signal(
        self,
        key: RunKey,
        name: str,
        payload: Any,
        id: str | None = None,
    ) -> Answered:
        """Send a signal to whichever wait of this name is open, or is opened next.

        Raises RunNotFound, RunEnded, InvalidName, NotJson (as InvalidInput), PayloadTooLarge,
        InboxFull, or SignalConflict for an id that was used with another content.
        """
        signal_name(name)
        if id is not None:
            signal_name(id)
        text = self._checked(payload)
        id = f"id:{id}" if id is not None else f"new:{self._platform.entropy.new_id()}"
        return await self._send(key, Signal(FORMAT, id, 0, b"", name), text)

    async def answer(self, address: WaitAddress, payload: Any) -> Answered:
        """Answer one wait, once. Raises as `signal` does, and WaitClosed where it is over."""
        text = self._checked(payload)
        head = await read_head(self._platform.journal, address.key)
        if head.created_at // 1000 != address.since:
            raise WaitClosed(f"run '{address.key.run}' is not the one that waited for this")
        return await self._send(address.key, _answer(address), text)

    async def forward(
        self, key: RunKey, name: str, text: bytes, sender: str, sequence: int, id: str
    ) -> Answered:
        """Send what another run owes: `id` is its own, `sequence` rises. Raises as `signal`."""
        signal = Signal(FORMAT, id, 0, b"", name, sender=sender, sequence=sequence)
        return await self._send(key, signal, text)

    def _checked(self, payload: Any) -> bytes:
        try:
            text = encode_json(payload, "the signal's payload")
        except NotJson as error:
            raise InvalidInput(str(error)) from error
        limit = self._platform.limits.signal_bytes
        if len(text) > limit:
            raise PayloadTooLarge(
                f"the signal's payload has {len(text):,} bytes of JSON; the limit is {limit:,}"
            )
        return text

    async def _send(self, key: RunKey, signal: Signal, text: bytes) -> Answered:
        digest = content_digest(signal, text)
        head = await read_head(self._platform.journal, key)
        remembered = await recall(self._platform.journal, key, signal.id)
        created = remembered is None
        if remembered is None:
            _must_be_open(key, head, signal, self._platform.clock.now())
            if not _waiting_for(head, signal):  # else it does not stay
                await self._must_have_room(key, head)
            remembered, created = await self._store(key, signal, text, digest)
        if remembered.digest != digest:
            raise SignalConflict(
                f"run '{key.run}': a signal of this id ({_told(signal.id)}) was sent before, with "
                "another content"
            )
        if remembered.refused:
            raise _too_late(key)
        await self._wake(key, signal, remembered)
        return Answered(signal.id, remembered.at, created)

    async def _store(
        self, key: RunKey, signal: Signal, text: bytes, digest: bytes
    ) -> tuple[Remembered, bool]:
        """What is remembered of the signal, and whether it is this one that was stored."""
        platform = self._platform
        at = self._last_at = max(platform.clock.now(), self._last_at + 1)
        name = payload_item(signal.id, platform.entropy.new_id())
        value, payload = await store_value(text, key.partition, name, platform.blobs)
        item = inbox_item(at, signal.id)
        remembered = Remembered(MEMORY_FORMAT, digest, at, item)
        marker = remembered_item(key, signal.id, remembered)
        body = encode_signal(replace(signal, at=at, value=value))
        also = [Item(key.partition, item, body), *([payload] if payload is not None else [])]
        try:
            await platform.journal.swap(marker, None, also)
        except ItemConflict as conflict:  # somebody else was quicker, or our own write timed out
            winner = recalled(key, conflict.current or b"")
            return winner, winner == remembered
        return remembered, True

    async def _wake(self, key: RunKey, signal: Signal, remembered: Remembered) -> None:
        """End the waits that can take what lies in the inbox; theirs are the signals from now on.

        A time-out that is being decided at the same moment conflicts, and looks again. Raises
        WaitClosed where nobody waits for this answer any more.
        """
        while True:
            head = await read_head(self._platform.journal, key)
            tokens = _waiting_for(head, signal)
            if not tokens or _is_over(head):
                await self._must_be_taken(key, head, signal, remembered)
                return
            signals = await read_inbox(self._platform.journal, key, head)
            now = self._platform.clock.now()
            for token in tokens:
                outcome = outcome_of(head, token, signals, now)
                if isinstance(outcome, Signalled):
                    break
            else:
                return
            loaded = await self._definitions.get(key.tenant, head.definition)
            sid, look_at = self._platform.entropy.new_id(), now + API_LOOK_MS
            settling = Settling(token, outcome, sid, now, look_at=look_at)
            with suppress(RevisionConflict):
                settled = await self._saver.save(key, head, loaded, settling)
                self._publish(key, loaded.definition, settled)

    def _publish(self, key: RunKey, definition: Definition, settled: Settled) -> None:
        events = self._platform.events
        if events is not None:
            for event in settled_events(key, definition, settled, settled.head.tail[-1]):
                events.publish(event)

    async def _must_be_taken(
        self, key: RunKey, head: Head, signal: Signal, remembered: Remembered
    ) -> None:
        """A signal to a wait that is no longer open must be the one that closed it."""
        if signal.node == BY_NAME or (_still_to_come(head, signal) and not _is_over(head)):
            return
        if remembered.item in head.consumed:
            return
        found = await self._platform.journal.items(key.partition, [remembered.item])
        if remembered.item in found and _is_over(head) and _takes_after_retry(head, signal):
            await forget(self._platform.journal, key, signal.id, remembered)
            raise RunEnded(f"run '{key.run}' ended before this answer came")
        if remembered.item in found:
            await refuse(self._platform.journal, key, signal.id, remembered)
            raise _too_late(key)

    async def _must_have_room(self, key: RunKey, head: Head) -> None:
        journal, limit = self._platform.journal, self._platform.limits.signals
        signals = await read_inbox(journal, key, head)
        if len(signals) < limit:
            return
        dead = dead_signals(head, signals, self._platform.clock.now())
        await clear_away(journal, key, dead)
        if len(signals) - len(dead) >= limit:
            raise InboxFull(
                f"run '{key.run}': {len(signals):,} signals wait for it, as many as its inbox may "
                "hold"
            )


def _is_over(head: Head) -> bool:
    return head.status.terminal or head.status is Status.CLOSING


def _takes_after_retry(head: Head, signal: Signal) -> bool:
    """Whether the wait is still there, in a run that is over and may be opened again."""
    return bool(_waiting_for(head, signal)) or _still_to_come(head, signal)


def _too_late(key: RunKey) -> WaitClosed:
    return WaitClosed(f"run '{key.run}': the wait was over before this answer came")


def _must_be_open(key: RunKey, head: Head, signal: Signal, now: int) -> None:
    """Raises RunEnded or WaitClosed for a signal that nobody could ever take."""
    if head.status is Status.CLOSING:
        raise RunEnded(f"run '{key.run}' is being cancelled: it takes no signals")
    if head.status.terminal:
        raise RunEnded(f"run '{key.run}' has ended ({head.status}): it takes no signals")
    if signal.node != BY_NAME and not _takes(head, signal, now):
        raise WaitClosed(f"run '{key.run}': nobody waits for this answer any more")


def _told(id: str) -> str:
    """A signal's id as its sender knows it."""
    kind, _, rest = id.partition(":")
    return rest if kind == "id" else "the answer to a wait" if kind == "wait" else id


def takes_answer(head: Head, address: WaitAddress, now: int) -> bool:
    """Whether this wait is open or still to come, by what the head says: pure."""
    if _is_over(head):
        return False
    if head.created_at // 1000 != address.since:
        return False
    return _takes(head, _answer(address), now)


def _answer(address: WaitAddress) -> Signal:
    return Signal(
        FORMAT,
        address.id,
        0,
        b"",
        node=address.node,
        visit=address.visit,
        ordinal=address.ordinal,
    )


def _takes(head: Head, signal: Signal, now: int) -> bool:
    tokens = _waiting_for(head, signal)
    if not tokens:
        return _still_to_come(head, signal)
    return not any(0 < token.due <= now for token in tokens)


def _waiting_for(head: Head, signal: Signal) -> list[Token]:
    """The tokens whose waits may take the signal."""
    waiting = [token for token in head.frontier if token.state is State.WAITING]
    waits = [(token, head.wait(token.node, token.visit)) for token in waiting]
    return [token for token, wait in waits if wait is not None and for_wait(signal, wait)]


def _still_to_come(head: Head, signal: Signal) -> bool:
    """Whether the visit goes on and has not begun this wait yet: addresses are given out first."""
    if not any((t.node, t.visit) == (signal.node, signal.visit) for t in head.frontier):
        return False
    wait = head.wait(signal.node, signal.visit)
    return signal.ordinal > _begun(wait)


def _begun(wait: Wait | None) -> int:
    return 0 if wait is None else wait.ordinal
