"""Workflows written in Python: a builder of the same documents that YAML holds.

    flow = Workflow("order")
    charge = flow.node("charge", orders.charge, config={"amount": "{{ input.total }}"})
    ship = flow.node("ship", orders.ship)
    flow.edge(charge, ship)
    flow.edge(charge.port("declined"), flow.node("notify", orders.notify))

Nothing is checked while building: a document tells all its problems at once, when it is made.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.representer import SafeRepresenter

from engine.actors.shapes import shape_of
from engine.definition import RetryPolicy
from engine.documents.model import WorkflowDocument
from engine.documents.source import plain_source
from engine.documents.validate import shaped_document

_OLD_LINE_ENDS = re.compile("[\x85\u2028\u2029]")


class Named(Protocol):
    """An actor, as far as a document is concerned."""

    @property
    def name(self) -> str: ...


@dataclass(frozen=True, slots=True)
class PortRef:
    """One port of one node."""

    node: str
    name: str

    def __str__(self) -> str:
        return f"{self.node}.{self.name}"


@dataclass(frozen=True, slots=True)
class NodeRef:
    """A node that was added to a workflow."""

    id: str

    def port(self, name: str) -> PortRef:
        """An outport or inport other than the default one."""
        return PortRef(self.id, name)

    def __str__(self) -> str:
        return self.id


class Workflow:
    """`output` is the output expression; while it is not set, the end nodes' outputs are.
    `deadline` is seconds for a whole run.

    `start` names the nodes to begin with, by default those without incoming edges.
    """

    output: Any

    def __init__(
        self,
        name: str,
        *,
        description: str | None = None,
        max_steps: int | None = None,
        deadline: float | None = None,
        on_failure: Literal["fail", "continue"] | None = None,
        metadata: Any = None,
    ) -> None:
        self.start: Iterable[NodeRef] | None = None
        self._head = _given(
            name=name,
            description=description,
            max_steps=max_steps,
            deadline=deadline,
            on_failure=on_failure,
            metadata=metadata,
        )
        self._nodes: list[dict[str, Any]] = []
        self._edges: list[dict[str, str]] = []
        self._input_schema: dict[str, Any] | None = None

    def node(
        self,
        id: str,
        actor: Named | str,
        *,
        config: Mapping[str, Any] | None = None,
        retry: RetryPolicy | None = None,
        timeout: float | None = None,
        concurrency: int | None = None,
        optional: Iterable[str] | None = None,
        metadata: Any = None,
    ) -> NodeRef:
        """Add a node. `timeout` is seconds per attempt; `optional` are inports.

        `concurrency` is how many of its visits may be under way at the same time.
        """
        self._nodes.append(
            _given(
                id=id,
                actor=actor if isinstance(actor, str) else actor.name,
                config=None if config is None else dict(config),
                retry=None if retry is None else _retry(retry),
                timeout=timeout,
                concurrency=concurrency,
                optional=None if optional is None else list(optional),
                metadata=metadata,
            )
        )
        return NodeRef(id)

    def edge(self, source: NodeRef | PortRef, target: NodeRef | PortRef) -> None:
        """Send what comes out of `source` to `target`; a node stands for its default port."""
        self._edges.append({"from": str(source), "to": str(target)})

    def input(self, schema: Any) -> None:
        """What a run's input must be: a JSON Schema, or a type (a pydantic model, dataclass, ...).

        Raises InvalidActor for a type that JSON cannot carry.
        """
        if isinstance(schema, Mapping):
            self._input_schema = dict(schema)
        else:
            where = f"workflow '{self._head['name']}', its input"
            self._input_schema = shape_of(schema, where).schema()

    def document(self) -> WorkflowDocument:
        """Raises InvalidDefinition for what is no document; `validate` checks the rest."""
        value = {**self._head, "nodes": self._nodes}
        if self._edges:
            value["edges"] = self._edges
        if self.start is not None:
            value["start"] = [str(node) for node in self.start]
        if self._input_schema is not None:
            value["input_schema"] = self._input_schema
        if hasattr(self, "output"):
            value["output"] = self.output
        return shaped_document(plain_source(value, self._head["name"]))

    def to_yaml(self) -> str:
        """The document as a YAML file. Raises InvalidDefinition, as `document` does."""
        yaml = YAML(typ="safe", pure=True)
        yaml.Representer = _Representer
        yaml.default_flow_style = False
        yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
        yaml.allow_unicode = True
        yaml.width = 100
        text = io.StringIO()
        yaml.dump(self.document().plain(), text)
        return text.getvalue()


class _Representer(SafeRepresenter):
    """Writes repeated values out, and escapes what YAML 1.1 took for the end of a line."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self, data: str) -> Any:
        style = '"' if _OLD_LINE_ENDS.search(data) else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Representer.add_representer(str, _Representer.represent_text)


def _given(**fields: Any) -> dict[str, Any]:
    """The fields that are not None: the document's own defaults are said once, in the model."""
    return {name: value for name, value in fields.items() if value is not None}


def _retry(policy: RetryPolicy) -> dict[str, Any]:
    fields = msgspec.structs.asdict(policy).items()
    return {key: list(value) if isinstance(value, tuple) else value for key, value in fields}
