"""What an attempt leaves behind: its outcome as data, and the items that hold what is large.

Everything is checked, redacted and bounded here, before anything is saved. The names of items hold
the execution, so that racing executions of one token never overwrite each other (DESIGN §5).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from engine.actors import Context, Sleep, Wait
from engine.actors.context import Sending
from engine.actors.registry import AnyActor
from engine.errors import InvalidName, InvalidValue, TooLarge
from engine.json_values import decode_json, encode_json
from engine.layout import RunKey, output_item, owed_item, run_key, signal_name, state_item
from engine.outcomes import Done, Effect, Outcome, Slept, Waited
from engine.ports import Item, Platform
from engine.snapshot import Head, Token, Value
from engine.values import INLINE_BYTES, store_value

LONGEST_SLEEP_S = 100 * 366 * 86_400


class Keeping:
    """Keeps what one token's attempt leaves behind, without the secrets that it has seen."""

    def __init__(
        self, platform: Platform, key: RunKey, head: Head, token: Token, secrets: Collection[str]
    ) -> None:
        self._platform = platform
        self._key = key
        self._head = head
        self._token = token
        self._secrets = secrets

    async def outcome(
        self, actor: AnyActor, result: Any, config: Mapping[str, Any], began: int
    ) -> tuple[Outcome, Item | None]:
        """What `result` means, and the item of its value where that is large.

        Raises UndeclaredPort or InvalidValue.
        """
        if isinstance(result, Sleep):
            return Slept(_moment(result.until, began, "Sleep")), None
        if isinstance(result, Wait):
            try:
                name = signal_name(str(result.name))
            except InvalidName as error:
                raise InvalidValue(f"Wait: {error}") from error
            if result.timeout is None:
                return Waited(name), None
            return Waited(name, max(1, _moment(result.timeout, began, "Wait"))), None
        port, value = actor.emitted(result, config)
        stored, item = await self._store_output(port, value)
        return Done(port, stored), item

    async def state(
        self, actor: AnyActor, context: Context | None, before: bytes
    ) -> tuple[Value | None, Item | None]:
        if actor.state_shape is None or context is None:
            return None, None
        text = self._redacted(
            encode_json(actor.state_shape.dump(context.state, "the state"), "the state")
        )
        if text == before:
            return None, None
        limit = self._platform.limits.state_bytes
        if len(text) > limit:
            raise TooLarge(f"the state has {len(text):,} bytes of JSON; the limit is {limit:,}")
        name = state_item(self._token.node, self._platform.entropy.new_id())
        return await store_value(text, self._key.partition, name, self._platform.blobs)

    async def effects(self, sendings: list[Sending]) -> tuple[tuple[Effect, ...], tuple[Item, ...]]:
        """What the actor asked to be sent. Raises TooLarge or InvalidValue."""
        if not sendings:
            return (), ()
        limits = self._platform.limits
        if len(sendings) > limits.sends:
            raise TooLarge(
                f"the attempt sends {len(sendings)} signals; the limit is {limits.sends}: send the "
                "rest from other nodes"
            )
        effects: list[Effect] = []
        items: list[Item] = []
        for sending in sendings:
            what = f"the signal '{sending.name}' to run '{sending.receiver}'"
            try:
                run_key(sending.receiver, self._key.tenant)
                signal_name(sending.name)
            except InvalidName as error:
                raise InvalidValue(f"Context.send: {error}") from error
            text = self._redacted(encode_json(sending.payload, what))
            if len(text) > limits.signal_bytes:
                raise TooLarge(
                    f"{what} has {len(text):,} bytes of JSON; the limit is {limits.signal_bytes:,}"
                )
            name = owed_item(self._platform.entropy.new_id())
            value, item = await store_value(text, self._key.partition, name, self._platform.blobs)
            effects.append(Effect(sending.receiver, sending.name, value))
            items += [] if item is None else [item]
        return tuple(effects), tuple(items)

    async def _store_output(self, port: str, value: Any) -> tuple[Value, Item | None]:
        what = f"the value on port '{port}'"
        text = self._redacted(encode_json(value, what))
        limit = self._platform.limits.output_bytes
        if len(text) > limit:
            raise TooLarge(f"{what} has {len(text):,} bytes of JSON; the limit is {limit:,}")
        if len(text) <= INLINE_BYTES:
            return text, None
        execution = self._platform.entropy.new_id()
        name = output_item(self._head.epoch, self._token, execution)
        return await store_value(text, self._key.partition, name, self._platform.blobs)

    def _redacted(self, text: bytes) -> bytes:
        """JSON text without the secrets that this step has seen."""
        if not self._secrets:
            return text
        from engine.expressions import redact

        return encode_json(redact(decode_json(text), self._secrets))


def _moment(until: datetime | timedelta | float, began: int, what: str) -> int:
    """When that is (ms since 1970), for an attempt that began at `began`. Raises InvalidValue."""
    if isinstance(until, datetime):
        if until.tzinfo is None:
            raise InvalidValue(f"{what}(...) needs a datetime with a time zone")
        return int(until.timestamp() * 1000)
    seconds = until.total_seconds() if isinstance(until, timedelta) else until
    if not -LONGEST_SLEEP_S <= seconds <= LONGEST_SLEEP_S:  # NaN included
        raise InvalidValue(f"{what}({seconds}) is longer than {LONGEST_SLEEP_S:,} seconds")
    return began + int(seconds * 1000)
