"""One run's messages out of a file's queue.

`run` and `resume` are the file's worker while they last, and have the actors of one run only: a
step of another run would fail in their hands for want of its actor.
"""

from __future__ import annotations

from engine.errors import TidestepError
from engine.layout import RunKey
from engine.messages import decode_message
from engine.ports import Delivery, Source
from infra.local.filtered import Filtered


class OneRun(Filtered):
    """Implements `engine.ports.Source` for the messages of the run `key`."""

    def __init__(self, source: Source, key: RunKey) -> None:
        super().__init__(source, self._is_own)
        self._key = key

    def _is_own(self, delivery: Delivery) -> bool:
        try:
            message = decode_message(delivery.body)
        except TidestepError:
            return False  # of a newer version, or nobody's: not for us to judge
        return message.key == self._key
