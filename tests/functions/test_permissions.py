"""What each function asks of AWS is what its role allows: the stand-in checks no permissions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from botocore.client import BaseClient

from engine.layout import WaitAddress, run_key
from tests.functions.conftest import Stack, properties, sample
from tests.functions.templates import statements_of
from tests.functions.test_callbacks import ask

ACTION_OF = {
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "lambda:Invoke": "lambda:InvokeFunction",
    "apigatewaymanagementapi:PostToConnection": "execute-api:ManageConnections",
    "apigatewaymanagementapi:DeleteConnection": "execute-api:ManageConnections",
}
"""Operations that are authorised as another one."""
TRANSACTED = {"Put": "PutItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
"""Each item of a transaction is authorised as what is done to it."""

WAITS = """
name: waits
nodes:
  - {id: a, actor: flow.wait, config: {signal: x}}
  - {id: b, actor: flow.wait, config: {signal: y}}
  - {id: c, actor: flow.wait, config: {signal: z}}
"""


def allowed(template: dict[str, Any], function: str) -> set[str]:
    actions: set[str] = set()
    for statement in statements_of(properties(template, function)):
        action = statement["Action"]
        actions |= {action} if isinstance(action, str) else set(action)
    return actions


def actions_of(service: str, operation: str, parameters: Mapping[str, Any]) -> set[str]:
    """What a role needs for a request."""
    if operation == "TransactWriteItems":
        kinds = {kind for each in parameters["TransactItems"] for kind in each}
        return {f"dynamodb:{TRANSACTED[kind]}" for kind in kinds}
    name = f"{service}:{operation}"
    return {ACTION_OF.get(name, name)}


@contextmanager
def noting() -> Iterator[set[str]]:
    """The actions that are asked for meanwhile."""
    asked: set[str] = set()
    call = BaseClient._make_api_call

    def noted(self: BaseClient, operation: str, parameters: Any) -> Any:
        asked.update(actions_of(self.meta.service_model.service_name, operation, parameters))
        return call(self, operation, parameters)

    with patch.object(BaseClient, "_make_api_call", noted):
        yield asked


def begin(document: str, run: str, **pending: Any) -> None:
    """A run of this document; `pending` replaces fields of its head."""
    from msgspec.structs import replace

    from engine.documents import parse_definition
    from engine.ports import Commit
    from engine.reading import RunReader
    from engine.records import head_record
    from engine.starting import Starter
    from functions.application import actors, platform

    async def begun() -> None:
        await Starter(platform()).start(parse_definition(document, "w", actors()), {}, run)
        if pending:
            head = await RunReader(platform()).head(run_key(run))
            after = replace(head, rev=head.rev + 1, **pending)
            record = head_record(run_key(run), after)
            await platform().journal.commit(Commit(record, head.rev))

    asyncio.run(begun())


def test_steps_ask_for_what_the_dispatcher_may(stack: Stack, template: dict[str, Any]) -> None:
    with noting() as asked:
        body = {"id": "order-7", "input": {"sku": "cup", "quantity": 2}}
        stack.start(body=json.dumps(body))
        asked.clear()
        records = stack.receive()
        for record in records:  # a repeated delivery claims its token
            record["attributes"]["ApproximateReceiveCount"] = "2"
        asked.clear()
        from functions.dispatcher import handler

        handler({"Records": records}, stack.context)
    assert {"dynamodb:PutItem", "sqs:SendMessage"} <= asked
    assert asked <= allowed(template, "DispatcherFunction")


def test_answers_ask_for_what_the_callback_function_may(
    stack: Stack, template: dict[str, Any]
) -> None:
    from engine.callbacks import sign
    from engine.reading import RunReader
    from functions.application import callbacks, platform

    begin(WAITS, "waits")
    stack.work()

    async def tokens() -> list[str]:
        head = await RunReader(platform()).head(run_key("waits"))
        key = await callbacks().keys.signing()
        since = head.created_at // 1000
        return [sign(WaitAddress(run_key("waits"), node, 1, 1, since), key) for node in range(3)]

    with noting() as asked:
        for token in asyncio.run(tokens()):
            assert ask(stack, "POST", token, "1")[0] == 200
            assert ask(stack, "GET", token)[0] == 200
    assert "dynamodb:DeleteItem" in asked, "an answer clears away what the one before has left"
    assert asked <= allowed(template, "CallbackFunction")


def test_looks_ask_for_what_the_sweeper_may(stack: Stack, template: dict[str, Any]) -> None:
    from engine.snapshot import Owed
    from functions.sweeper import handler

    begin(WAITS, "waits")
    stack.work()
    debts = tuple(Owed(f"1.{n}", "waits", n, name, b"1") for n, name in enumerate("xyz"))
    begin(WAITS, "debtor", owed=debts, owed_look_at=1, wake_at=1)
    with noting() as asked:
        assert handler(sample("sweeper"), stack.context)["looked_at"] == 1
    assert {"dynamodb:DeleteItem", "sqs:SendMessage", "sqs:GetQueueAttributes"} <= asked
    assert asked <= allowed(template, "SweeperFunction")


@pytest.mark.parametrize("injected", [0, 3])
def test_dead_letters_ask_for_what_their_consumer_may(
    stack: Stack, template: dict[str, Any], injected: int
) -> None:
    from functions.dead_letters import handler

    begin(WAITS, "waits")
    record = stack.receive()[0]
    message = {**json.loads(record["body"]), "injected": injected}
    with noting() as asked:
        handler({"Records": [{**record, "body": json.dumps(message)}]}, stack.context)
        handler({"Records": [{**record, "body": "not ours"}]}, stack.context)
    assert asked
    assert asked <= allowed(template, "DeadLetterFunction")
