"""A run's output: the definition's expression, or what went out where the graph ends.

Without an expression it is a mapping: for each node whose latest result went out of a port that
leads nowhere, that result by the node's id. A node without successors is the plain case; the `done`
port of a loop's last node is the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.errors import ExpressionError, TooLarge
from engine.json_values import encode_json
from engine.layout import RUN_OUTPUT_ITEM, RunKey
from engine.loaded import LoadedDefinition
from engine.ports import Item, Platform
from engine.scopes import expression_scope
from engine.snapshot import Head, Value
from engine.values import Values, store_value


async def run_output(
    platform: Platform,
    key: RunKey,
    head: Head,
    loaded: LoadedDefinition,
    unsaved: Sequence[Item],
) -> tuple[Value, Item | None]:
    """The output to end `head` with, and the item that holds it where it is large.

    Raises ExpressionError or InvalidValue, which fail the run.
    """
    values = Values(platform.journal, platform.blobs, key, head, loaded.definition, unsaved)
    text = encode_json(await _compute(platform, head, loaded, values), "the workflow's output")
    limit = platform.limits.output_bytes
    if len(text) > limit:
        raise TooLarge(f"it has {len(text):,} bytes of JSON; the limit is {limit:,}")
    name = f"{RUN_OUTPUT_ITEM}/{platform.entropy.new_id()}"
    return await store_value(text, key.partition, name, platform.blobs)


async def _compute(platform: Platform, head: Head, loaded: LoadedDefinition, values: Values) -> Any:
    definition = loaded.definition
    if not definition.has_output:
        latest = {node: head.latest[node] for node in definition.ends if node in head.latest}
        entries = await values.entries(latest.values())
        found = await values.load(latest.values())
        return {
            definition.nodes[node].id: found[number]
            for node, number in latest.items()
            if entries[number].port not in definition.nodes[node].successors
        }
    compiled = loaded.output()
    if compiled.constant:
        return definition.output
    if compiled.names.secrets:
        raise ExpressionError("a secret cannot be part of a run's output")
    scope = await expression_scope(
        compiled.names,
        loaded,
        head,
        values,
        platform,
        messages={},
        message=None,
        secrets={},
    )
    return compiled.render(scope)
