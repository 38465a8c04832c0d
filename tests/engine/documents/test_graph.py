"""The picture of a workflow, for Mermaid."""

from __future__ import annotations

import re

from engine.documents import Catalog, WorkflowDocument, definition_of, mermaid

DOCUMENT = {
    "name": "order",
    "nodes": [
        {"id": "end", "actor": "charge", "config": {"amount": 1}},
        {"id": "ship", "actor": "join"},
        {"id": "again", "actor": "switch", "config": {"cases": ['a "b" |c| <d>']}},
    ],
    "edges": [
        {"from": "end", "to": "ship.left"},
        {"from": "end.declined", "to": "again"},
        {"from": "end.error", "to": "again"},
        {"from": 'again.a "b" |c| <d>', "to": "ship.right"},
    ],
}

PICTURE = """\
flowchart TD
    n0(["end<br/>charge"])
    n1["ship<br/>join"]
    n2["again<br/>switch"]
    n0 -->|"to left"| n1
    n0 -->|"declined"| n2
    n0 -.->|"error"| n2
    n2 -->|"a #34;b#34; #124;c#124; #60;d#62; to right"| n1
    classDef start stroke-width:3px
    class n0 start
"""


def test_a_definition_is_drawn_with_actors_ports_starts_and_errors(catalog: Catalog) -> None:
    assert mermaid(definition_of(DOCUMENT, catalog)) == PICTURE


def test_a_document_is_drawn_like_its_definition(catalog: Catalog) -> None:
    document = WorkflowDocument.model_validate(DOCUMENT)

    assert mermaid(document) == PICTURE
    assert mermaid(document, "LR").startswith("flowchart LR\n")


def test_a_document_that_is_not_valid_is_drawn_as_far_as_it_goes() -> None:
    document = WorkflowDocument.model_validate(
        {
            "name": "x",
            "nodes": [{"id": "a", "actor": 'b"]\n  click a'}, {"id": "c", "actor": "d"}],
            "edges": [{"from": "a", "to": "nowhere"}, {"from": "a", "to": "c"}],
            "start": ["c", "nobody"],
        }
    )

    picture = mermaid(document)

    assert "nowhere" not in picture
    assert re.findall(r"n\d --> n\d", picture) == ["n0 --> n1"]
    assert 'n0["a<br/>b#34;#93;#10;  click a"]' in picture
    assert "class n1 start" in picture
