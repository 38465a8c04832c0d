"""Prints the JSON Schema of the workflow document: what `docs/workflow.schema.json` holds."""

import json

from engine.documents.model import document_schema

print(json.dumps(document_schema(), indent=2, ensure_ascii=False))
