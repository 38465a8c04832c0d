"""The workflow document as people write it, in YAML or JSON.

The field descriptions are published: `document_schema` is what editors complete and check with.
The model knows the shape of a document and nothing of actors, edges' ends or expressions; all that
is `validate`'s. Reading is strict: a number in quotes is text.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from engine.definition import DEFAULT_INPORT, DEFAULT_OUTPORT, NO_RETRY, RetryPolicy

SCHEMA_ID = "urn:tidestep:workflow-document"
DEFAULT_MAX_STEPS = 10_000

MAX_CONCURRENCY = 32
"""Half of what a run may have pending by default: the messages for such a node want room, too."""

_LONGEST_SECONDS = 366 * 86_400
_LONGEST_DEADLINE = 100 * _LONGEST_SECONDS
"""As long as a sleep."""

NodeId = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$", max_length=64)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Retry(_Part):
    """When a failed attempt of a node is tried again."""

    max_attempts: int = Field(
        ge=1,
        le=1_000_000,
        description="How often the actor may be executed, the first time included; 1 never retries",
    )
    interval: float = Field(
        NO_RETRY.interval,
        ge=0,
        le=_LONGEST_SECONDS,
        description="Seconds before the second attempt",
    )
    backoff: Literal["fixed", "exponential"] = Field(
        NO_RETRY.backoff,
        description="Whether the interval stays, or doubles with each further attempt",
    )
    max_interval: float = Field(
        NO_RETRY.max_interval,
        ge=0,
        le=_LONGEST_SECONDS,
        description="Seconds that no wait between two attempts exceeds",
    )
    jitter: bool = Field(
        NO_RETRY.jitter,
        description="Whether each wait is drawn at random from nothing up to the computed one",
    )
    retry_on: list[str] = Field(
        [], description="Names of the error classes that are retried; none given: all of them"
    )
    never_retry: list[str] = Field(
        [], description="Names of error classes that are not retried, whatever retry_on says"
    )

    def policy(self) -> RetryPolicy:
        return RetryPolicy(
            max_attempts=self.max_attempts,
            interval=self.interval,
            backoff=self.backoff,
            max_interval=self.max_interval,
            jitter=self.jitter,
            retry_on=tuple(self.retry_on),
            never_retry=tuple(self.never_retry),
        )


class DocumentNode(_Part):
    """One step of the workflow: an actor and what it is given."""

    id: NodeId = Field(
        description="The node's own name, by which edges and expressions refer to it"
    )
    actor: str = Field(
        min_length=1, max_length=200, description="The name of the actor that the node runs"
    )
    config: Any = Field(
        default_factory=dict,
        description="The actor's settings: any JSON; a text may hold expressions: '{{ input.a }}'",
    )
    retry: Retry | None = Field(
        None, description="When a failed attempt is tried again; not given: as the actor says"
    )
    timeout: float | None = Field(
        None,
        gt=0,
        le=_LONGEST_SECONDS,
        description="Seconds that one attempt may take; not given: as the actor says",
    )
    concurrency: int = Field(
        1,
        ge=1,
        le=MAX_CONCURRENCY,
        description="How many of the node's visits may be under way at the same time; "
        "1: one after the other",
    )
    optional: list[str] = Field(
        [],
        description="Inports that a join does without once nothing else in the run can go on",
    )
    metadata: Any = Field(None, description="Anything you like; the engine leaves it alone")


class Edge(_Part):
    """A connection: what goes out of one node's port arrives at another's."""

    from_: str = Field(
        alias="from",
        min_length=1,
        description=f"Where messages come from: 'node' or 'node.port'; '{DEFAULT_OUTPORT}' is the "
        "default port, and every node has the port 'error'",
    )
    to: str = Field(
        min_length=1,
        description=f"Where messages go: 'node' or 'node.port'; '{DEFAULT_INPORT}' is the default "
        "port",
    )


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _without_default(schema: dict[str, Any]) -> None:
    """An absent output is something else than null."""
    schema.pop("default", None)


_NODE_ID_SCHEMA = {"type": "string", "pattern": r"^[A-Za-z_][A-Za-z0-9_-]*$"}
_START_SCHEMA = {
    "anyOf": [
        _NODE_ID_SCHEMA,
        {"type": "array", "items": _NODE_ID_SCHEMA, "minItems": 1},
        {"type": "null"},
    ]
}


class WorkflowDocument(_Part):
    """A workflow: nodes that run actors, and edges that carry messages between them."""

    schema_: str | None = Field(
        None, alias="$schema", description="For editors: where this schema lies"
    )
    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=100,
        description="The workflow's name: letters, digits and . _ -",
    )
    description: str = Field("", description="What the workflow is for")
    nodes: list[DocumentNode] = Field(min_length=1, description="What the workflow is made of")
    edges: list[Edge] = Field([], description="How the nodes are connected")
    start: Annotated[list[str] | None, BeforeValidator(_listed), WithJsonSchema(_START_SCHEMA)] = (
        Field(
            None,
            min_length=1,
            description="The node or nodes that a run begins with; "
            "not given: all nodes without incoming edges",
        )
    )
    input_schema: dict[str, Any] | None = Field(
        None, description="JSON Schema (2020-12) that a run's input must satisfy"
    )
    output: Any = Field(
        None,
        description="A run's output: any JSON, with expressions; not given: a mapping from node id "
        "to what last went out of a port that leads nowhere",
        json_schema_extra=_without_default,
    )
    on_failure: Literal["fail", "continue"] = Field(
        "fail",
        description="When a node has failed for good and its port 'error' leads nowhere: fail the "
        "run, or send the error out of the default port",
    )
    max_steps: int = Field(
        DEFAULT_MAX_STEPS,
        ge=1,
        le=10_000_000,
        description="How many attempts a run may take; ends loops that do not end themselves",
    )
    deadline: float | None = Field(
        None,
        gt=0,
        le=_LONGEST_DEADLINE,
        description="Seconds that a whole run may take, from its start; not given: as many as it "
        "needs",
    )
    metadata: Any = Field(None, description="Anything you like; the engine leaves it alone")

    @property
    def has_output(self) -> bool:
        """Whether `output` was given: null is an output, too."""
        return "output" in self.model_fields_set

    def plain(self) -> dict[str, Any]:
        """The document as JSON, holding what was given and no defaults."""
        return self.model_dump(by_alias=True, exclude_unset=True)


def split_end(end: str, default_port: str) -> tuple[str, str]:
    """Node id and port of one end of an edge. Ids hold no dots, ports may."""
    node, dot, port = end.partition(".")
    return node, port if dot else default_port


def document_schema() -> dict[str, Any]:
    """JSON Schema of the document, for editors and other tools."""
    schema = WorkflowDocument.model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **schema,
        "title": "Tidestep workflow",
    }
