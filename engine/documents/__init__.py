"""Workflow documents: reading, checking, drawing them, and compiling them to definitions.

    definition = load_definition("order.yaml", registry)   # or InvalidDefinition, all problems

A document passes through `source` (text to a value with lines), `model` (shape), `validate` (all
problems, with places) and `compile`. pydantic, ruamel.yaml and jsonschema are imported from here:
what runs steps imports `engine.definition`, never this package.
"""

from engine.documents.builder import NodeRef, PortRef, Workflow
from engine.documents.catalog import ActorSpec, Catalog
from engine.documents.collection import Workflows, load_workflows
from engine.documents.compile import (
    compile_document,
    definition_of,
    load_definition,
    parse_definition,
)
from engine.documents.graph import mermaid
from engine.documents.model import WorkflowDocument, document_schema
from engine.documents.problems import Problem
from engine.documents.source import Source, parse_source, read_source
from engine.documents.validate import validate

__all__ = [
    "ActorSpec",
    "Catalog",
    "NodeRef",
    "PortRef",
    "Problem",
    "Source",
    "Workflow",
    "WorkflowDocument",
    "Workflows",
    "compile_document",
    "definition_of",
    "document_schema",
    "load_definition",
    "load_workflows",
    "mermaid",
    "parse_definition",
    "parse_source",
    "read_source",
    "validate",
]
