"""Run one actor once: load what it needs, call it within its deadline, and say how it ended.

Nothing an actor does escapes from here but as an `Outcome`: a wrong type, an expression that
names something missing, a non-JSON result, an exception, an overrun are all ways for an attempt to
fail, and the retry policy decides what follows. Only the platform's own trouble (a store that does
not answer, a page that is missing) is raised, because then the attempt has not happened.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import Any, Literal

import msgspec

from engine.actors import Context, Registry, Sleep
from engine.actors.registry import AnyActor
from engine.deadline import run_within
from engine.definition import NO_RETRY, Node, RetryPolicy
from engine.errors import (
    AttemptTimeout,
    InvalidValue,
    OutOfTime,
    PlatformError,
    TidestepError,
    TooLarge,
    UnknownActor,
)
from engine.json_values import decode_json, encode_json
from engine.layout import DEFAULT_TENANT, RunKey, output_item, state_item
from engine.loaded import LoadedDefinition
from engine.ports import Item, Platform
from engine.scopes import expression_scope, secrets_for
from engine.settle import Done, Failed, Outcome, Slept
from engine.snapshot import ABSENT, RUN_INPUT, Failure, Head, Payload, Resumed, Token, Value
from engine.threads import run_in_thread
from engine.values import INLINE_BYTES, Values, store_value

log = logging.getLogger("tidestep")

MESSAGE_LIMIT = 400
"""Characters of an error's message that are recorded: it lies in the head until its page is full.
"""

LONGEST_SLEEP_S = 100 * 366 * 86_400

_RESUMED: dict[Resumed, Literal["retry", "sleep", "signal"]] = {
    Resumed.RETRY: "retry",
    Resumed.SLEPT: "sleep",
    Resumed.SIGNAL: "signal",
}


class Attempted(msgspec.Struct, frozen=True):
    """How an attempt ended, what must be written for it, and what it makes superfluous."""

    outcome: Outcome
    policy: RetryPolicy = NO_RETRY
    took_ms: int = 0
    state: Value | None = None
    items: tuple[Item, ...] = ()
    drops: tuple[str, ...] = ()


class Attempt:
    """One execution of the actor of one token."""

    def __init__(
        self,
        platform: Platform,
        actors: Registry,
        key: RunKey,
        head: Head,
        loaded: LoadedDefinition,
        token: Token,
    ) -> None:
        self._platform = platform
        self._actors = actors
        self._key = key
        self._head = head
        self._loaded = loaded
        self._token = token
        self._node: Node = loaded.definition.nodes[token.node]
        self._secrets: dict[str, str] = {}

    @cached_property
    def _values(self) -> Values:
        platform, definition = self._platform, self._loaded.definition
        return Values(platform.journal, platform.blobs, self._key, self._head, definition)

    async def run(self, deadline: int) -> Attempted:
        """Run the actor; it is cut off at `deadline` (ms since 1970). Raises PlatformError."""
        began = self._platform.clock.now()
        actor = self._actors.get(self._node.actor)
        policy = self._node.retry or (actor.retry if actor else None) or NO_RETRY
        try:
            if actor is None:
                raise UnknownActor(f"no actor '{self._node.actor}' is registered in this process")
            attempted = await self._call(actor, began, deadline)
        except PlatformError:
            raise
        except _Raised as raised:
            attempted = Attempted(self._failed(raised.error))
        except Exception as error:
            attempted = Attempted(self._failed(error))
        took = max(0, self._platform.clock.now() - began)
        return msgspec.structs.replace(attempted, policy=policy, took_ms=took)

    async def _call(self, actor: AnyActor, began: int, deadline: int) -> Attempted:
        messages = await self._messages(actor)
        config = await self._config(messages)
        timeout_s = (deadline - self._platform.clock.now()) / 1000
        if timeout_s <= 0:
            raise OutOfTime(f"run {self._key.run}: loading took all the time of the step")
        limit = self._node.timeout or actor.timeout
        if limit is not None:
            timeout_s = min(timeout_s, limit)
        context = self._context(began, timeout_s) if actor.signature.context else None
        before = await self._load_state(actor, context)
        arguments = actor.arguments(messages, config, context)
        result = await self._within(timeout_s, actor, arguments)
        outcome, item = await self._outcome(actor, result, config, began)
        state, state_item, drops = await self._store_state(actor, context, before)
        items = tuple(each for each in (item, state_item) if each is not None)
        return Attempted(outcome, state=state, items=items, drops=drops)

    async def _outcome(
        self, actor: AnyActor, result: Any, config: Mapping[str, Any], began: int
    ) -> tuple[Outcome, Item | None]:
        if isinstance(result, Sleep):
            return Slept(self._until(result, began)), None
        port, value = actor.emitted(result, config)
        stored, item = await self._store_output(port, value)
        return Done(port, stored), item

    async def _within(self, timeout_s: float, actor: AnyActor, arguments: dict[str, Any]) -> Any:
        """What the actor returns. Raises AttemptTimeout, or _Raised with what the actor raised."""
        work = actor.function if actor.is_async else partial(run_in_thread, actor.function)
        scope = asyncio.timeout(timeout_s)
        try:
            return await run_within(work(**arguments), scope)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise _Raised(error) from error
        except BaseException as error:
            if not (isinstance(error, TimeoutError) and scope.expired()):
                raise _Raised(error) from error
        raise AttemptTimeout(f"the attempt took longer than its {timeout_s:g} seconds")

    async def _messages(self, actor: AnyActor) -> dict[str, Any]:
        """The messages of this token by port, decoded."""
        if not self._token.inputs:
            first = self._node.inports[0] if self._node.inports else actor.inports[0]
            references = {first: RUN_INPUT}
        else:
            references = {
                port: reference
                for port, reference in zip(self._node.inports, self._token.inputs, strict=True)
                if reference != ABSENT
            }
        if len(references) == 1:  # as a rule, and from the step before, whose entry the tail has
            ((port, reference),) = references.items()
            entry = self._head.entry(reference)
            if entry is not None and entry.failure is None and isinstance(entry.value, bytes):
                return {port: decode_json(entry.value)}
        values = await self._values.load(references.values())
        return {port: values[reference] for port, reference in references.items()}

    async def _config(self, messages: Mapping[str, Any]) -> dict[str, Any]:
        compiled = self._loaded.config(self._token.node)
        if compiled.constant:
            return deepcopy(self._node.config) if self._node.config else {}
        self._secrets = secrets_for(compiled.names, self._platform.secrets)
        scope = await expression_scope(
            compiled.names,
            self._loaded,
            self._head,
            self._values,
            self._platform,
            messages=messages,
            message=next(iter(messages.values()), None),
            secrets=self._secrets,
        )
        rendered: dict[str, Any] = compiled.render(scope)
        return rendered

    def _context(self, began: int, timeout_s: float) -> Context:
        now = datetime.fromtimestamp(began / 1000, UTC)
        node, token = self._node.id, self._token
        key = f"{self._key.run}/{node}/{token.visit}"
        if self._key.tenant != DEFAULT_TENANT:  # two tenants may use the same run id
            key = f"{self._key.tenant}/{key}"
        extra = {"run": self._key.run, "node": node, "attempt": token.attempt}
        return Context(
            tenant=self._key.tenant,
            run_id=self._key.run,
            workflow=self._head.workflow,
            node=node,
            visit=token.visit,
            attempt=token.attempt,
            idempotency_key=key,
            now=now,
            deadline=now + timedelta(seconds=timeout_s),
            log=logging.LoggerAdapter(log, extra),
            resumed=_RESUMED.get(token.resumed),
        )

    async def _load_state(self, actor: AnyActor, context: Context | None) -> bytes:
        """Give the context its state; the JSON text of it, to see a change by."""
        if actor.state_shape is None or context is None:
            return b""
        stored = self._head.states.get(self._token.node)
        if stored is None:
            context.state = actor.state_type()
            return b""
        value = (await self._values.decode({0: stored}))[0]
        context.state = actor.state_shape.load(value, "the stored state")
        return encode_json(actor.state_shape.dump(context.state, "the stored state"))

    async def _store_state(
        self, actor: AnyActor, context: Context | None, before: bytes
    ) -> tuple[Value | None, Item | None, tuple[str, ...]]:
        if actor.state_shape is None or context is None:
            return None, None, ()
        text = self._redacted(
            encode_json(actor.state_shape.dump(context.state, "the state"), "the state")
        )
        if text == before:
            return None, None, ()
        limit = self._platform.limits.state_bytes
        if len(text) > limit:
            raise TooLarge(f"the state has {len(text):,} bytes of JSON; the limit is {limit:,}")
        name = state_item(self._token.node, self._platform.entropy.new_id())
        value, item = await store_value(text, self._key.partition, name, self._platform.blobs)
        old = self._head.states.get(self._token.node)
        drops = (old.ref,) if isinstance(old, Payload) and not old.blob else ()
        return value, item, drops

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

    def _until(self, sleep: Sleep, began: int) -> int:
        until = sleep.until
        if isinstance(until, datetime):
            if until.tzinfo is None:
                raise InvalidValue("Sleep(until) needs a datetime with a time zone")
            return int(until.timestamp() * 1000)
        seconds = until.total_seconds() if isinstance(until, timedelta) else until
        if not -LONGEST_SLEEP_S <= seconds <= LONGEST_SLEEP_S:  # NaN included
            raise InvalidValue(f"Sleep({seconds}) is longer than {LONGEST_SLEEP_S:,} seconds")
        return began + int(seconds * 1000)

    def _failed(self, error: BaseException) -> Failed:
        message = self._redacted_text(_text_of(error))
        if len(message) > MESSAGE_LIMIT:
            message = message[: MESSAGE_LIMIT - 1] + "…"
        if not isinstance(error, TidestepError):
            trace = self._redacted_text("".join(traceback.format_exception(error)))
            extra = {"run": self._key.run, "node": self._node.id, "attempt": self._token.attempt}
            log.info("actor raised\n%s", trace, extra=extra)
        return Failed(
            Failure(type(error).__name__, message),
            tuple(
                kind.__name__ for kind in type(error).__mro__ if kind not in (object, BaseException)
            ),
            permanent=isinstance(error, TidestepError) and not error.retryable,
        )

    def _redacted(self, text: bytes) -> bytes:
        """JSON text without the secrets that this step has seen."""
        if not self._secrets:
            return text
        from engine.expressions import redact

        return encode_json(redact(decode_json(text), self._secrets.values()))

    def _redacted_text(self, text: str) -> str:
        if not self._secrets:
            return text
        from engine.expressions import redact

        return str(redact(text, self._secrets.values()))


class _Raised(Exception):
    """An actor raised `error`, which may be of any class, the engine's own included."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


def _text_of(error: BaseException) -> str:
    """What an error says, as text that can be stored; its class's name where it says nothing."""
    try:
        text = str(error)
    except Exception as nested:
        text = f"its text cannot be had: {type(nested).__name__}"
    return text.encode("utf-8", "replace").decode() or type(error).__name__
