"""A workflow as a picture: text for Mermaid, which GitHub and many editors draw.

Nodes are numbered in the text, since their ids could be words of Mermaid's own. Start nodes are
rounded, error edges dotted. Everything a document chose stands in quotes, with all that could end
them or be taken for markup written as character codes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from engine.definition import DEFAULT_INPORT, DEFAULT_OUTPORT, ERROR_PORT, Definition
from engine.documents.model import WorkflowDocument, split_end

_PLAIN = re.compile(r"[^\w .,/()-]")

_Edge = tuple[int, str, int, str]


def mermaid(workflow: Definition | WorkflowDocument, direction: Literal["TD", "LR"] = "TD") -> str:
    """The flowchart. Edges of a document that name no node are left out."""
    edges = list(
        _compiled_edges(workflow) if isinstance(workflow, Definition) else _document_edges(workflow)
    )
    starts = _starts(workflow, edges)
    lines = [f"flowchart {direction}"]
    for number, (id, actor) in enumerate(_labels(workflow)):
        opening, closing = ("([", "])") if number in starts else ("[", "]")
        label = f"{_escaped(id)}<br/>{_escaped(actor)}"
        lines.append(f'    n{number}{opening}"{label}"{closing}')
    for source, outport, target, inport in edges:
        arrow = "-.->" if outport == ERROR_PORT else "-->"
        label = _escaped(outport) if outport != DEFAULT_OUTPORT else ""
        if inport != DEFAULT_INPORT:
            label = f"{label} to {_escaped(inport)}".lstrip()
        lines.append(f"    n{source} {arrow}" + (f'|"{label}"|' if label else "") + f" n{target}")
    if starts:
        lines.append("    classDef start stroke-width:3px")
        lines.append(f"    class {','.join(f'n{number}' for number in sorted(starts))} start")
    return "\n".join(lines) + "\n"


def _labels(workflow: Definition | WorkflowDocument) -> list[tuple[str, str]]:
    if isinstance(workflow, Definition):
        return [(node.id, node.actor) for node in workflow.nodes]
    return [(node.id, node.actor) for node in workflow.nodes]


def _compiled_edges(definition: Definition) -> Iterator[_Edge]:
    for number, node in enumerate(definition.nodes):
        for outport, targets in node.successors.items():
            for target, position in targets:
                yield number, outport, target, definition.nodes[target].inports[position]


def _document_edges(document: WorkflowDocument) -> Iterator[_Edge]:
    numbers = {node.id: number for number, node in enumerate(document.nodes)}
    for edge in document.edges:
        source, outport = split_end(edge.from_, DEFAULT_OUTPORT)
        target, inport = split_end(edge.to, DEFAULT_INPORT)
        if source in numbers and target in numbers:
            yield numbers[source], outport, numbers[target], inport


def _starts(workflow: Definition | WorkflowDocument, edges: list[_Edge]) -> set[int]:
    if isinstance(workflow, Definition):
        return set(workflow.start)
    if workflow.start is not None:
        return {n for n, node in enumerate(workflow.nodes) if node.id in workflow.start}
    return set(range(len(workflow.nodes))) - {target for _, _, target, _ in edges}


def _escaped(text: str) -> str:
    """Mermaid's character codes: `#34;` is a quotation mark."""
    return _PLAIN.sub(lambda found: f"#{ord(found.group())};", text)
