"""Definitions as a process holds them: loaded once by digest, their configs compiled when needed.

A definition is immutable and pinned, so a copy in memory is never stale (DESIGN §4 rule 18).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from engine.definition import Definition, decode_definition
from engine.errors import Corrupt, NewerFormat
from engine.layout import DEFINITION_ITEM, definition_partition
from engine.ports import Reader

if TYPE_CHECKING:
    from engine.expressions import Compiled


class LoadedDefinition:
    """A definition, and the compiled form of what expressions it holds."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.numbers = {node.id: number for number, node in enumerate(definition.nodes)}
        self._configs: dict[int, Compiled] = {}
        self._output: Compiled | None = None

    def config(self, node: int) -> Compiled:
        """The compiled config of a node. Raises ExpressionError."""
        compiled = self._configs.get(node)
        if compiled is None:
            compiled = self._configs[node] = _compile(self.definition.nodes[node].config)
        return compiled

    def output(self) -> Compiled:
        """The compiled output of the run. Raises ExpressionError."""
        if self._output is None:
            self._output = _compile(self.definition.output)
        return self._output


def _compile(value: Any) -> Compiled:
    from engine.expressions import compile_value

    return compile_value(value)


class Definitions:
    """The definitions that this process has met last, at most `capacity` of them."""

    def __init__(self, reader: Reader, capacity: int = 100) -> None:
        self._reader = reader
        self._capacity = capacity
        self._loaded: OrderedDict[tuple[str, bytes], LoadedDefinition] = OrderedDict()

    async def get(self, tenant: str, digest: bytes) -> LoadedDefinition:
        """Raises Corrupt for one that is not stored, NewerFormat for one we cannot read."""
        key = (tenant, digest)
        loaded = self._loaded.get(key)
        if loaded is not None:
            self._loaded.move_to_end(key)
            return loaded
        partition = definition_partition(tenant, digest)
        items = await self._reader.items(partition, [DEFINITION_ITEM])
        if DEFINITION_ITEM not in items:
            raise Corrupt(f"definition {digest.hex()} is missing, and a run names it")
        try:
            loaded = LoadedDefinition(decode_definition(items[DEFINITION_ITEM]))
        except (NewerFormat, Corrupt) as error:
            raise type(error)(f"definition {digest.hex()}: {error}") from error
        self._loaded[key] = loaded
        if len(self._loaded) > self._capacity:
            self._loaded.popitem(last=False)
        return loaded
