"""Made-up values satisfy the schemas that they are made for."""

from __future__ import annotations

from random import Random
from typing import Any, Literal

import jsonschema
import msgspec
import pydantic
import pytest

from engine.library import ACTORS
from engine.simulation.trials.fitting import fitting


class Leaf(msgspec.Struct):
    names: list[str]
    kind: Literal["a", "b"]
    weight: float | None = None


class Tree(msgspec.Struct):
    left: Tree | None
    leaf: Leaf
    pair: tuple[int, str]


class Model(pydantic.BaseModel):
    count: int = pydantic.Field(ge=3, le=5)
    share: float = pydantic.Field(gt=0, lt=1)
    code: str = pydantic.Field(min_length=3, max_length=8)
    inner: list[Model]


SCHEMAS: dict[str, dict[str, Any]] = {
    "struct": msgspec.json.schema(Tree),
    "model": Model.model_json_schema(),
    "http": next(each for each in ACTORS if each.name == "http.request").describe()["outports"][
        "out"
    ],
    "bounds": {"type": "integer", "minimum": 7, "exclusiveMaximum": 9},
    "multiple": {"type": "integer", "minimum": 5, "maximum": 90, "multipleOf": 4},
    "list": {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 3},
    "constant": {"const": {"a": 1}},
    "several kinds": {"type": ["string", "null"]},
    "all of": {"allOf": [{"type": "object", "required": ["a"]}, {"properties": {"b": {}}}]},
    "properties alone": {"properties": {"a": {"type": "string"}}, "required": ["a"]},
    "date": {"type": "string", "format": "date-time"},
    "anything": {},
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_is_made_up_fits(name: str) -> None:
    schema = SCHEMAS[name]
    for seed in range(100):
        jsonschema.validate(fitting(schema, Random(seed)), schema)


def test_the_same_seed_makes_the_same_value() -> None:
    schema = SCHEMAS["struct"]
    made = [fitting(schema, Random(seed)) for seed in range(10)]
    assert made == [fitting(schema, Random(seed)) for seed in range(10)]
    assert any(each != made[0] for each in made)
