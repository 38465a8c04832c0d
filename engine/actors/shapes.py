"""Types at an actor's boundary: JSON values in, typed values to the function, and back.

Plain annotations, dataclasses, typed dicts and msgspec structs are msgspec's; where an annotation
mentions a pydantic model, pydantic does the work. pydantic is never imported from here unless the
actor's module already has.
"""

from __future__ import annotations

import sys
import types
from typing import Any, Protocol, Union, get_args, get_origin

import msgspec

from engine.actors.outcomes import Emit, Sleep, Wait
from engine.errors import InvalidActor, InvalidValue, NotJson

OUTCOMES = (Emit, Sleep, Wait)


class Shape(Protocol):
    """One type, as a check in both directions. Both raise InvalidValue."""

    def load(self, value: Any, what: str) -> Any:
        """A JSON value as the annotated type; `what` begins the error."""
        ...

    def dump(self, value: Any, what: str) -> Any:
        """The annotated type as a JSON value, checked."""
        ...

    def schema(self) -> dict[str, Any]:
        """JSON Schema."""
        ...


class AnyShape:
    """No annotation, or `Any`."""

    def load(self, value: Any, what: str) -> Any:
        return value

    def dump(self, value: Any, what: str) -> Any:
        try:
            return _plain(value)
        except TypeError as error:
            raise NotJson(f"{what} is not JSON: {error}") from error

    def schema(self) -> dict[str, Any]:
        return {}


class MsgspecShape:
    def __init__(self, annotation: Any) -> None:
        self._type = annotation

    def load(self, value: Any, what: str) -> Any:
        try:
            return msgspec.convert(value, self._type)
        except msgspec.ValidationError as error:
            raise InvalidValue(f"{what}: {error}") from error

    def dump(self, value: Any, what: str) -> Any:
        try:
            plain = msgspec.to_builtins(value)
            msgspec.convert(plain, self._type)
        except (msgspec.ValidationError, TypeError, ValueError) as error:
            raise InvalidValue(f"{what}: {error}") from error
        return plain

    def schema(self) -> dict[str, Any]:
        return msgspec.json.schema(self._type)


class PydanticShape:
    def __init__(self, annotation: Any) -> None:
        from pydantic import TypeAdapter

        self._adapter: TypeAdapter[Any] = TypeAdapter(annotation)

    def load(self, value: Any, what: str) -> Any:
        return self._validate(value, what)

    def dump(self, value: Any, what: str) -> Any:
        return self._adapter.dump_python(self._validate(value, what), mode="json")

    def schema(self) -> dict[str, Any]:
        return self._adapter.json_schema()

    def _validate(self, value: Any, what: str) -> Any:
        from pydantic import ValidationError

        try:
            return self._adapter.validate_python(value)
        except ValidationError as error:
            found = "; ".join(
                f"{problem['msg']} - at `$.{'.'.join(map(str, problem['loc']))}`"
                for problem in error.errors(include_url=False)
            )
            raise InvalidValue(f"{what}: {found}") from error


def shape_of(annotation: Any, where: str) -> Shape:
    """The shape of an annotation. Raises InvalidActor for one that JSON cannot carry."""
    annotation = _without_outcomes(annotation)
    if annotation in (Any, object):
        return AnyShape()
    if _mentions_pydantic(annotation):
        return PydanticShape(annotation)
    try:
        msgspec.json.schema(annotation)
    except (TypeError, RuntimeError) as error:
        raise InvalidActor(f"{where}: {annotation!r} cannot be read from JSON: {error}") from error
    return MsgspecShape(annotation)


def _plain(value: Any) -> Any:
    """`value` with the dataclasses, structs and models in it as JSON; the rest as it is."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, msgspec.Struct) or hasattr(value, "__dataclass_fields__"):
        return msgspec.to_builtins(value)
    pydantic = sys.modules.get("pydantic")
    if pydantic is not None and isinstance(value, pydantic.BaseModel):
        return value.model_dump(mode="json")
    return value


def _without_outcomes(annotation: Any) -> Any:
    if annotation in OUTCOMES:
        return Any
    if get_origin(annotation) in (Union, types.UnionType):
        kept = tuple(part for part in get_args(annotation) if part not in OUTCOMES)
        if len(kept) != len(get_args(annotation)):
            return Union[kept] if kept else Any  # noqa: UP007 - built at run time
    return annotation


def _mentions_pydantic(annotation: Any) -> bool:
    pydantic = sys.modules.get("pydantic")
    if pydantic is None:
        return False
    pending = [annotation]
    while pending:
        part = pending.pop()
        if isinstance(part, type) and issubclass(part, pydantic.BaseModel):
            return True
        pending.extend(get_args(part))
    return False
