"""From a document to the definition that the engine runs.

Compiling is deterministic: the same document and the same actors' ports give the same bytes, for a
run is pinned to the digest of those bytes. Retry and timeout are the document's alone; what an
actor brings of its own is asked for when it runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.definition import DEFAULT_INPORT, DEFAULT_OUTPORT, FORMAT, ONCE, Definition, Node
from engine.documents.catalog import Catalog, inport_order
from engine.documents.check_expressions import OPENING, texts
from engine.documents.model import WorkflowDocument, split_end
from engine.documents.source import Source, parse_source, plain_source, read_source
from engine.documents.topology import cyclic, reachable
from engine.documents.validate import DEFAULT_LIMITS, checked_document, longest_lists
from engine.expressions import compile_value
from engine.ports import Limits


def load_definition(
    path: str | Path, catalog: Catalog, limits: Limits = DEFAULT_LIMITS
) -> Definition:
    """The definition in a YAML or JSON file.

    Raises InvalidDefinition with all problems, UnknownWorkflow for a file that cannot be read.
    """
    return _compiled(read_source(path, longest_lists(limits)), catalog, limits)


def parse_definition(
    text: str, name: str, catalog: Catalog, limits: Limits = DEFAULT_LIMITS
) -> Definition:
    """The definition in a text; `name` stands for the file. Raises InvalidDefinition."""
    return _compiled(parse_source(text, name, longest_lists(limits)), catalog, limits)


def definition_of(
    document: WorkflowDocument | Mapping[str, Any],
    catalog: Catalog,
    limits: Limits = DEFAULT_LIMITS,
) -> Definition:
    """The definition of a document that is at hand as a value. Raises InvalidDefinition."""
    value = document.plain() if isinstance(document, WorkflowDocument) else dict(document)
    name = value.get("name")
    source = plain_source(value, name if isinstance(name, str) else "document")
    return _compiled(source, catalog, limits)


def _compiled(source: Source, catalog: Catalog, limits: Limits) -> Definition:
    return compile_document(checked_document(source, catalog, limits), catalog)


def compile_document(document: WorkflowDocument, catalog: Catalog) -> Definition:
    """`document` must be valid with this catalog; what `validate` finds is not looked for here."""
    numbers = {node.id: number for number, node in enumerate(document.nodes)}
    ends = [
        (*split_end(edge.from_, DEFAULT_OUTPORT), *split_end(edge.to, DEFAULT_INPORT))
        for edge in document.edges
    ]
    entered: list[list[str]] = [[] for _ in document.nodes]
    follows: list[list[int]] = [[] for _ in document.nodes]
    for source, _, target, inport in ends:
        entered[numbers[target]].append(inport)
        follows[numbers[source]].append(numbers[target])
    inports = [
        inport_order(catalog[node.actor], set(ports))
        for node, ports in zip(document.nodes, entered, strict=True)
    ]
    positions = [{port: place for place, port in enumerate(ports)} for ports in inports]
    successors: list[dict[str, list[tuple[int, int]]]] = [{} for _ in document.nodes]
    for source, outport, target, inport in ends:
        to = numbers[target]
        successors[numbers[source]].setdefault(outport, []).append((to, positions[to][inport]))

    last = frozenset(
        number
        for number, node in enumerate(document.nodes)
        if not set(catalog[node.actor].outports_for(node.config)) <= successors[number].keys()
    )
    start = _start(document, numbers, entered)
    lenient = {number for number, node in enumerate(document.nodes) if node.optional}
    slots = _slots(entered, follows, start, lenient)
    named = _named(document)
    nodes = tuple(
        Node(
            id=node.id,
            actor=node.actor,
            config=node.config,
            inports=inports[number],
            successors={port: tuple(to) for port, to in successors[number].items()},
            optional=tuple(sorted({positions[number][port] for port in node.optional})),
            retry=node.retry.policy() if node.retry else None,
            timeout=node.timeout,
            slot=slots.get(number, ONCE),
            default=_default_port(catalog[node.actor].outports_for(node.config)),
            named=node.id in named or (not document.has_output and number in last),
            concurrency=node.concurrency,
        )
        for number, node in enumerate(document.nodes)
    )
    return Definition(
        format=FORMAT,
        name=document.name,
        nodes=nodes,
        start=start,
        ends=tuple(sorted(last)),
        max_steps=document.max_steps,
        on_failure=document.on_failure,
        input_schema=document.input_schema,
        has_output=document.has_output,
        output=document.output,
        deadline=document.deadline,
    )


def _start(
    document: WorkflowDocument, numbers: dict[str, int], entered: list[list[str]]
) -> tuple[int, ...]:
    if document.start is not None:
        return tuple(sorted(numbers[id] for id in document.start))
    return tuple(number for number, ports in enumerate(entered) if not ports)


def _slots(
    entered: list[list[str]],
    follows: list[list[int]],
    start: tuple[int, ...],
    lenient: set[int],
) -> dict[int, int]:
    """The counters of the nodes that one run may activate more than once, in node order.

    That is: nodes on a cycle; nodes with an inport where several edges merge; start nodes that
    edges lead to as well; joins with optional ports, which fire without a message that may still
    come; and whatever any of these leads to.
    """
    merging = {number for number, ports in enumerate(entered) if len(set(ports)) < len(ports)}
    restarted = {number for number in start if entered[number]}
    repeated = reachable(cyclic(follows) | merging | restarted | lenient, follows)
    return {number: slot for slot, number in enumerate(sorted(repeated))}


def _default_port(outports: tuple[str, ...]) -> str:
    return outports[0] if outports and DEFAULT_OUTPORT not in outports else DEFAULT_OUTPORT


def _named(document: WorkflowDocument) -> set[str]:
    """The ids of the nodes whose results some expression reads."""
    named: set[str] = set()
    values = [node.config for node in document.nodes]
    for text in {text for value in (*values, document.output) for _, text in texts(value)}:
        if OPENING in text and "nodes" in text:
            names = compile_value(text).names
            named |= names.nodes | names.all_of
    return named
