"""What an expression sees: only what it names is loaded, and nothing else is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.errors import ExpressionError
from engine.loaded import LoadedDefinition
from engine.ports import Platform, Secrets
from engine.snapshot import RUN_INPUT, Entry, Head
from engine.values import Values

if TYPE_CHECKING:
    from engine.expressions import Names, Scope


async def expression_scope(
    names: Names,
    loaded: LoadedDefinition,
    head: Head,
    values: Values,
    platform: Platform,
    *,
    messages: Mapping[str, Any],
    message: Any,
    secrets: Mapping[str, str],
) -> Scope:
    """The scope of one rendering: the named results of `head`, the input, the messages."""
    from engine.expressions import Scope

    chains: dict[str, list[int]] = {}
    for node in sorted(names.nodes | names.all_of):  # the same requests in every process
        number = head.latest.get(loaded.numbers.get(node, -1))
        if number is not None:
            whole = node in names.all_of
            chains[node] = (
                await _chain(number, values, platform.limits.all_results, node)
                if whole
                else [number]
            )
    wanted = {number for chain in chains.values() for number in chain}
    if names.input:
        wanted.add(RUN_INPUT)
    found = await values.load(wanted)
    entries = await values.entries(wanted - {RUN_INPUT})
    nodes: dict[str, dict[str, Any]] = {}
    for node, chain in chains.items():
        results = [_result(entries[n], found[n], values.settled_at(n)) for n in chain]
        nodes[node] = {"output": results[-1]["output"], "last": results[-1], "all": results}
    return Scope(
        input=found.get(RUN_INPUT),
        message=message,
        messages=messages,
        nodes=nodes,
        env=platform.env,
        secrets=secrets,
    )


def secrets_for(names: Names, secrets: Secrets) -> dict[str, str]:
    """The secrets that expressions name and the operator has set."""
    found = {name: secrets.get(name) for name in names.secrets}
    return {name: value for name, value in found.items() if value is not None}


async def _chain(number: int, values: Values, limit: int, node: str) -> list[int]:
    """The numbers of all results of one node, oldest first. Raises ExpressionError."""
    chain: list[int] = []
    while number:
        if len(chain) == limit:
            raise ExpressionError(f"nodes.{node}.all has more than {limit} results")
        chain.append(number)
        distance = (await values.entries([number]))[number].previous
        number = number - distance if distance else 0
    return chain[::-1]


def _result(entry: Entry, output: Any, at: int) -> dict[str, Any]:
    failure = entry.failure
    return {
        "output": output,
        "error": None if failure is None else {"type": failure.type, "message": failure.message},
        "port": entry.port,
        "attempt": entry.attempt,
        "at": at,
    }
