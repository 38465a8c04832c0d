"""Put a signal into a party's inbox, once, and have somebody look.

What must stay true (DESIGN §4 rule 14)
- The signal and the memory of its id are written in one transaction; the message that makes
  somebody look is sent after that. The same id again stores nothing, and sends the message again.
- Ids are forgotten after `REMEMBERED_MS`: a sender that repeats itself for longer is not ours.
"""

from __future__ import annotations

import msgspec

from engine.allocation.signals import FORMAT, Envelope, Signal, encode
from engine.layout import RunKey, inbox_item, signal_item
from engine.messages import SERVICE_FORMAT, Message, encode_message
from engine.ports import Clock, Entropy, Item, Journal, Send

REMEMBERED_MS = 7 * 86_400_000
LOOK = 0
"""The timer that a message names which is about none."""

_encode = msgspec.msgpack.Encoder().encode


class Mailer:
    """Sends signals to the parties of one platform."""

    def __init__(self, journal: Journal, clock: Clock, entropy: Entropy) -> None:
        self._journal = journal
        self._clock = clock
        self._entropy = entropy
        self._last_at = 0

    async def signal(
        self, to: RunKey, signal: Signal, id: str, sender: str = "", sequence: int = 0
    ) -> None:
        """Store the signal unless one of this id was, and send a message for it.

        `id` is the sender's own, unique among all that are sent to the receiver; signals of one
        `sender` are taken in the order of `sequence`. Raises PlatformError.
        """
        at = self._last_at = max(self._clock.now(), self._last_at + 1)
        marker = Item(to.partition, signal_item(id), _encode(at), at + REMEMBERED_MS)
        envelope = Envelope(FORMAT, id, at, sender, sequence, signal)
        stored = Item(to.partition, inbox_item(at, id), encode(envelope))
        await self._journal.put_once(marker, [stored], [self.look(to)])

    def look(self, to: RunKey, timer: int = LOOK, delay_ms: int = 0) -> Send:
        """A message that has somebody look at the party, for its timer where that is named."""
        message = Message(
            SERVICE_FORMAT,
            to.tenant,
            to.run,
            (0, 0, 0, timer),
            self._entropy.new_id(),
            kind=to.kind,
        )
        return again(message, delay_ms)


def again(message: Message, delay_ms: int) -> Send:
    """The same message once more: to put it off (rule 4)."""
    return Send(encode_message(message), f"{message.tenant}:{message.kind}", delay_ms)
