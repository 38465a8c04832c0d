"""The JSON Schema of the document, as it is published for editors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from engine.documents import WorkflowDocument, document_schema

PUBLISHED = Path(__file__).parents[3] / "docs" / "workflow.schema.json"

GOOD = {"name": "x", "nodes": [{"id": "a", "actor": "echo"}]}


def test_the_published_schema_is_up_to_date() -> None:
    """To mend it: python -m engine.documents > docs/workflow.schema.json"""
    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == document_schema()


def test_the_schema_is_json_schema_with_an_id_and_a_description_of_every_field() -> None:
    schema = document_schema()

    Draft202012Validator.check_schema(schema)
    assert schema["$id"]
    assert schema["title"] == "Tidestep workflow"
    for part in (schema, *schema["$defs"].values()):
        assert part["additionalProperties"] is False
        for name, field in part["properties"].items():
            assert field.get("description"), name


@pytest.mark.parametrize(
    ("change", "valid"),
    [
        ({}, True),
        ({"start": "a"}, True),
        ({"start": ["a"]}, True),
        ({"start": []}, False),
        ({"start": 1}, False),
        ({"$schema": "./workflow.schema.json"}, True),
        ({"output": None}, True),
        ({"edges": [{"from": "a", "to": "b"}]}, True),
        ({"edges": [{"from_": "a", "to": "b"}]}, False),
        ({"name": "a b"}, False),
        ({"nodes": []}, False),
        ({"max_steps": 10_000_001}, False),
        ({"deadline": 0.5}, True),
        ({"deadline": 0}, False),
        ({"deadline": 100 * 366 * 86_400}, True),
        ({"deadline": 100 * 366 * 86_400 + 1}, False),
        ({"nodes": [{"id": "a", "actor": "b", "concurrency": 32}]}, True),
        ({"nodes": [{"id": "a", "actor": "b", "concurrency": 33}]}, False),
        ({"nodes": [{"id": "a", "actor": "b", "concurrency": 0}]}, False),
        ({"extra": 1}, False),
        ({"nodes": [{"id": "a", "actor": "b", "retry": {"max_attempts": 0}}]}, False),
        ({"nodes": [{"id": "a", "actor": "b", "timeout": 0}]}, False),
        ({"nodes": [{"id": "a" * 65, "actor": "b"}]}, False),
    ],
)
def test_the_schema_and_the_model_accept_the_same(change: dict[str, object], valid: bool) -> None:
    document = {**GOOD, **change}

    assert Draft202012Validator(document_schema()).is_valid(document) is valid
    try:
        WorkflowDocument.model_validate(document)
    except ValidationError:
        assert not valid
    else:
        assert valid
