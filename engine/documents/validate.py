"""All problems of a document at once, each with its file, line, place and fix.

Shape first, then nodes, edges, expressions and the input schema. No stage stops the next: each
works on what the earlier ones left intact (`outline`), and says nothing about what follows merely
from a problem already reported.
"""

from __future__ import annotations

from pydantic import ValidationError

from engine.documents.catalog import Catalog
from engine.documents.check_edges import check_edges
from engine.documents.check_expressions import check_expressions
from engine.documents.check_nodes import check_nodes
from engine.documents.check_schema import check_input_schema
from engine.documents.model import WorkflowDocument
from engine.documents.outline import outline
from engine.documents.problems import Path, Problem, kind_of
from engine.documents.report import Report
from engine.documents.source import Source
from engine.documents.wording import report_shape
from engine.errors import InvalidDefinition
from engine.ports import Limits

DEFAULT_LIMITS = Limits()


def longest_lists(limits: Limits) -> dict[str, int]:
    """The fields of a document whose length is limited."""
    return {"nodes": limits.nodes, "edges": limits.edges}


def validate(source: Source, catalog: Catalog, limits: Limits = DEFAULT_LIMITS) -> list[Problem]:
    """Every problem, in the order of the file; an empty list for a document that can be run."""
    return _validate(source, catalog, limits)[1]


def checked_document(
    source: Source, catalog: Catalog, limits: Limits = DEFAULT_LIMITS
) -> WorkflowDocument:
    """The document. Raises InvalidDefinition with every problem."""
    document, problems = _validate(source, catalog, limits)
    if problems or document is None:
        raise InvalidDefinition(problems)
    return document


def shaped_document(source: Source) -> WorkflowDocument:
    """The document, checked for nothing but its shape. Raises InvalidDefinition."""
    report = Report(source)
    document, _ = _shape(source, report)
    if document is None:
        raise InvalidDefinition(report.problems())
    return document


def _validate(
    source: Source, catalog: Catalog, limits: Limits
) -> tuple[WorkflowDocument | None, list[Problem]]:
    report = Report(source)
    if not isinstance(source.value, dict):
        report.add(
            (),
            f"a workflow is a mapping with 'name' and 'nodes', and this is {kind_of(source.value)}",
            "begin with 'name: my-workflow'",
        )
        return None, report.problems()
    if _is_too_large(source, report, limits):
        return None, report.problems()
    document, broken = _shape(source, report)
    sketch = outline(source.value, broken)
    known = check_nodes(sketch, catalog, report)
    graph = check_edges(sketch, known, report)
    check_expressions(sketch, known, graph, report)
    check_input_schema(sketch.input_schema, report)
    return document, report.problems()


def _shape(source: Source, report: Report) -> tuple[WorkflowDocument | None, set[Path]]:
    try:
        return WorkflowDocument.model_validate(source.value), set()
    except ValidationError as error:
        return None, report_shape(error, report)


def _is_too_large(source: Source, report: Report, limits: Limits) -> bool:
    too_large = False
    for field, limit in longest_lists(limits).items():
        members = source.value.get(field)
        if isinstance(members, list) and len(members) > limit:
            too_large = True
            report.add(
                (field,),
                f"there are {len(members):,} {field}; the limit is {limit:,}",
                "split the workflow into several",
            )
    return too_large
