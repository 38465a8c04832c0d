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
from functools import partial
from typing import Any

import msgspec

from engine.actors import Registry
from engine.actors.registry import AnyActor
from engine.deadline import run_within
from engine.definition import NO_RETRY, Node, RetryPolicy
from engine.errors import (
    AttemptTimeout,
    InvalidActor,
    OutOfTime,
    PlatformError,
    TidestepError,
    UnknownActor,
)
from engine.gathering import Gathering
from engine.keeping import Keeping
from engine.layout import RunKey
from engine.loaded import LoadedDefinition
from engine.outcomes import Effect, Failed, Outcome
from engine.ports import Item, Platform
from engine.snapshot import Failure, Head, Token, Value
from engine.threads import run_in_thread

log = logging.getLogger("tidestep")

MESSAGE_LIMIT = 400
"""Characters of an error's message that are recorded: it lies in the head until its page is full.
"""


class Attempted(msgspec.Struct, frozen=True):
    """How an attempt ended, what it asks to be sent, and what must be written for it."""

    outcome: Outcome
    policy: RetryPolicy = NO_RETRY
    took_ms: int = 0
    state: Value | None = None
    effects: tuple[Effect, ...] = ()
    items: tuple[Item, ...] = ()


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
        self._key = key
        self._head = head
        self._token = token
        self._node: Node = loaded.definition.nodes[token.node]
        self._actor = actors.get(self._node.actor)
        self._given = Gathering(platform, key, head, loaded, token)
        self._called = False

    @property
    def at_most_once(self) -> bool:
        return self._actor is not None and self._actor.at_most_once

    def called(self) -> bool:
        """Whether the actor has been called, and may have had effects."""
        return self._called

    def failed(self, error: BaseException) -> Attempted:
        """An attempt that failed with `error`, for the node's policy to decide about."""
        policy = self._node.retry or (self._actor.retry if self._actor else None) or NO_RETRY
        return Attempted(self._failed(error), policy)

    async def run(self, deadline: int) -> Attempted:
        """Run the actor; it is cut off at `deadline` (ms since 1970). Raises PlatformError."""
        began = self._platform.clock.now()
        actor = self._actor
        try:
            if self._node.concurrency > 1 and actor is not None and actor.state_shape is not None:
                raise InvalidActor(
                    f"actor '{actor.name}' keeps state, and node '{self._node.id}' allows "
                    f"{self._node.concurrency} at a time: one would overwrite the other's"
                )
            if actor is None:
                raise UnknownActor(f"no actor '{self._node.actor}' is registered in this process")
            attempted = await self._call(actor, began, deadline)
        except PlatformError:
            raise
        except _Raised as raised:
            attempted = self.failed(raised.error)
        except Exception as error:
            attempted = self.failed(error)
        took = max(0, self._platform.clock.now() - began)
        return msgspec.structs.replace(attempted, took_ms=took)

    async def _call(self, actor: AnyActor, began: int, deadline: int) -> Attempted:
        given = self._given
        messages = await given.messages(actor)
        config = await given.config(messages)
        timeout_s = self._left_s(deadline)
        limit = self._node.timeout or actor.timeout
        if limit is not None:
            timeout_s = min(timeout_s, limit)
        context = await given.context(began, timeout_s) if actor.signature.context else None
        before = await given.load_state(actor, context)
        arguments = actor.arguments(messages, config, context)
        # A process that stood still while it loaded must not begin what its claim no longer covers.
        timeout_s = min(timeout_s, self._left_s(deadline))
        self._called = True
        result = await self._within(timeout_s, actor, arguments)
        kept = Keeping(self._platform, self._key, self._head, self._token, given.secrets.values())
        outcome, item = await kept.outcome(actor, result, config, began)
        if context is None:
            return Attempted(outcome, items=() if item is None else (item,))
        state, state_item = await kept.state(actor, context, before)
        effects, sent = await kept.effects(context.sendings)
        items = tuple(each for each in (item, state_item, *sent) if each is not None)
        return Attempted(outcome, state=state, effects=effects, items=items)

    def _left_s(self, deadline: int) -> float:
        """The seconds until `deadline` (ms since 1970). Raises OutOfTime where none are left."""
        left_ms = deadline - self._platform.clock.now()
        if left_ms <= 0:
            raise OutOfTime(f"run {self._key.run}: loading took all the time of the step")
        return left_ms / 1000

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

    def _failed(self, error: BaseException) -> Failed:
        message = self._redacted_text(_text_of(error))
        if len(message) > MESSAGE_LIMIT:
            message = message[: MESSAGE_LIMIT - 1] + "…"
        if not isinstance(error, TidestepError) and log.isEnabledFor(logging.INFO):
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

    def _redacted_text(self, text: str) -> str:
        if not self._given.secrets:
            return text
        from engine.expressions import redact

        return str(redact(text, self._given.secrets.values()))


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
