"""What an attempt is given: messages, config, context and state, loaded from its snapshot.

Only what the actor's signature and the node's expressions ask for is loaded. What goes wrong with
the values is raised as the author's error, and becomes the attempt's outcome.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import Any, Literal

from engine.actors import Context
from engine.actors.context import no_callbacks
from engine.actors.registry import AnyActor
from engine.errors import PlatformError
from engine.json_values import decode_json, encode_json
from engine.layout import DEFAULT_TENANT, RunKey, WaitAddress
from engine.loaded import LoadedDefinition
from engine.ports import Platform
from engine.scopes import expression_scope, secrets_for
from engine.snapshot import ABSENT, RUN_INPUT, Head, Resumed, Token
from engine.values import Values

log = logging.getLogger("tidestep")

_RESUMED: dict[Resumed, Literal["retry", "sleep", "signal", "timeout"]] = {
    Resumed.RETRY: "retry",
    Resumed.SLEPT: "sleep",
    Resumed.SIGNAL: "signal",
    Resumed.TIMEOUT: "timeout",
}


class Gathering:
    """What one token's attempt is given. `secrets` are those that its config has named."""

    def __init__(
        self, platform: Platform, key: RunKey, head: Head, loaded: LoadedDefinition, token: Token
    ) -> None:
        self._platform = platform
        self._key = key
        self._head = head
        self._loaded = loaded
        self._token = token
        self._node = loaded.definition.nodes[token.node]
        self.secrets: dict[str, str] = {}

    @cached_property
    def _values(self) -> Values:
        platform, definition = self._platform, self._loaded.definition
        return Values(platform.journal, platform.blobs, self._key, self._head, definition)

    async def messages(self, actor: AnyActor) -> dict[str, Any]:
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

    async def config(self, messages: Mapping[str, Any]) -> dict[str, Any]:
        compiled = self._loaded.config(self._token.node)
        if compiled.constant:
            return deepcopy(self._node.config) if self._node.config else {}
        self.secrets = secrets_for(compiled.names, self._platform.secrets)
        scope = await expression_scope(
            compiled.names,
            self._loaded,
            self._head,
            self._values,
            self._platform,
            messages=messages,
            message=next(iter(messages.values()), None),
            secrets=self.secrets,
        )
        rendered: dict[str, Any] = compiled.render(scope)
        return rendered

    async def context(self, began: int, timeout_s: float) -> Context:
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
            signal=await self._signal(),
            callback=await self._callback(),
        )

    async def load_state(self, actor: AnyActor, context: Context | None) -> bytes:
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

    async def _signal(self) -> Any:
        """The payload that ended the visit's wait; kept until the visit ends or waits once more."""
        wait = self._head.wait(self._token.node, self._token.visit)
        if wait is None or not wait.signal:
            return None
        return (await self._values.load([wait.signal]))[wait.signal]

    async def _callback(self) -> Callable[[], str]:
        callbacks = self._platform.callbacks
        if callbacks is None:
            return no_callbacks
        node, visit = self._token.node, self._token.visit
        wait = self._head.wait(node, visit)
        ordinal = 1 if wait is None else wait.ordinal + 1
        since = self._head.created_at // 1000
        try:
            urls = await callbacks.urls()
        except PlatformError as error:  # only who asks for the address needs it
            return partial(_unknown, error)
        return partial(urls, WaitAddress(self._key, node, visit, ordinal, since))


def _unknown(error: PlatformError) -> str:
    raise error
