"""Made-up values that fit a JSON Schema, as actors' types and workflows' inputs have them.

Short and plain rather than adversarial: what a stand-in returns should let the next node go on. A
keyword that is not known here is not obeyed.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

MOST_NESTED = 8
"""Levels; deeper, optional parts are left out and lists are empty."""
WORDS = ("alder", "birch", "cedar", "elder", "hazel", "maple", "rowan", "willow")

_FORMATS = {
    "date": "2024-02-29",
    "date-time": "2024-02-29T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "ada@example.com",
    "uri": "https://example.com/",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
}


def fitting(schema: Mapping[str, Any] | bool, random: Random) -> Any:
    """A value that fits; null where the schema asks for nothing in particular."""
    if isinstance(schema, bool):
        return None
    return _Maker(schema, random).value(schema, 0)


class _Maker:
    def __init__(self, root: Mapping[str, Any], random: Random) -> None:
        self._root = root
        self._random = random

    def value(self, schema: Any, depth: int) -> Any:
        schema = self._resolved(schema)
        if "default" in schema:
            return schema["default"]
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._random.choice(schema["enum"])
        for several in ("anyOf", "oneOf"):
            if several in schema:
                return self.value(self._choice(schema[several], depth), depth)
        return self._of_kind(self._kind(schema), schema, depth)

    def _kind(self, schema: Mapping[str, Any]) -> str:
        kinds = schema.get("type")
        if isinstance(kinds, list):
            return str(self._random.choice(kinds))
        if kinds is None:
            return "object" if schema.get("properties") or schema.get("required") else "null"
        return str(kinds)

    def _of_kind(self, kind: str, schema: Mapping[str, Any], depth: int) -> Any:
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._list(schema, depth)
            case "string":
                return self._text(schema)
            case "integer":
                return int(self._number(schema))
            case "number":
                return float(self._number(schema))
            case "boolean":
                return self._random.random() < 0.5
        return None

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        required = set(schema.get("required", ()))
        properties: Mapping[str, Any] = schema.get("properties", {})
        made = {
            name: self.value(about, depth + 1)
            for name, about in properties.items()
            if name in required or (depth < MOST_NESTED and self._random.random() < 0.5)
        }
        return made | dict.fromkeys(sorted(required - made.keys()))

    def _list(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        fixed = [self.value(each, depth + 1) for each in schema.get("prefixItems", ())]
        least = max(int(schema.get("minItems", 0)), len(fixed))
        items = schema.get("items", {})
        if items is False or (depth >= MOST_NESTED and least <= len(fixed)):
            return fixed
        most = max(least, min(int(schema.get("maxItems", least + 2)), least + 2))
        more = self._random.randint(least, most) - len(fixed)
        return fixed + [self.value(items, depth + 1) for _ in range(more)]

    def _text(self, schema: Mapping[str, Any]) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        text = self._random.choice(WORDS)
        text = text.ljust(int(schema.get("minLength", 0)), "x")
        return text[: int(schema["maxLength"])] if "maxLength" in schema else text

    def _number(self, schema: Mapping[str, Any]) -> float:
        """A whole number where there is one between the bounds."""
        above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
        least = schema.get("minimum", 0 if above is None else above + 1)
        most = schema.get("maximum", least + 100 if below is None else below - 1)
        if most < least:
            least = min(least, most) if "minimum" not in schema else least
            return float(least if above is None or below is None else (above + below) / 2)
        number: float = least + int(self._random.random() * (most - least + 1))
        number = min(number, most)
        step = schema.get("multipleOf")
        return number if not step else -(-least // step) * step

    def _choice(self, options: list[Any], depth: int) -> Any:
        """One of them; where it is deep enough already, the one with the least in it."""
        if depth < MOST_NESTED:
            return self._random.choice(options)
        return min(options, key=lambda each: len(repr(self._resolved(each))))

    def _resolved(self, schema: Any) -> Mapping[str, Any]:
        """`schema` with what it refers to and what it consists of, in one mapping."""
        if not isinstance(schema, Mapping):
            return {}
        merged: dict[str, Any] = {}
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.startswith("#"):
            merged |= self._resolved(self._at(reference))
        for part in schema.get("allOf", ()):
            merged |= self._resolved(part)
        return merged | {key: schema[key] for key in schema if key not in ("$ref", "allOf")}

    def _at(self, reference: str) -> Any:
        part: Any = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            part = part.get(name, {}) if isinstance(part, Mapping) else {}
        return part
