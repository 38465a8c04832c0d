"""How a function's parameters become ports and config.

- Positional parameters are inports. A single one is the port `in`, whatever its name; several are
  ports of their own names. `inports=` names them otherwise.
- Keyword-only parameters are config: the node's `config` supplies them, rendered. A `**parameter`
  takes whatever else the config holds.
- A parameter annotated `Context` is given the context.
- The return annotation, without `Emit`, `Sleep` and `Wait`, is the type of the default outport.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_type_hints

from engine.actors.context import Context
from engine.actors.shapes import Shape, shape_of
from engine.definition import DEFAULT_INPORT
from engine.errors import InvalidActor

NO_DEFAULT = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Parameter:
    """One inport or one config key, and the parameter behind it."""

    name: str
    """The port's name, or the config key."""
    argument: str
    shape: Shape
    default: Any

    @property
    def required(self) -> bool:
        return self.default is NO_DEFAULT


@dataclass(frozen=True, slots=True)
class Signature:
    inports: tuple[Parameter, ...]
    config: tuple[Parameter, ...]
    open_config: bool
    context: str | None
    result: Shape


def read_signature(
    function: Callable[..., Any], name: str, inports: Sequence[str] | None
) -> Signature:
    """Raises InvalidActor for a function whose parameters have no meaning as ports or config."""
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise InvalidActor(f"actor '{name}': an annotation cannot be resolved: {error}") from error
    positional: list[inspect.Parameter] = []
    config: list[Parameter] = []
    context: str | None = None
    open_config = False
    for parameter in inspect.signature(function).parameters.values():
        if hints.get(parameter.name) is Context:
            context = parameter.name
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            positional.append(parameter)
        elif parameter.kind is parameter.KEYWORD_ONLY:
            config.append(_parameter(parameter.name, parameter, hints, name))
        elif parameter.kind is parameter.VAR_KEYWORD:
            open_config = True
        else:
            raise InvalidActor(f"actor '{name}': *{parameter.name} cannot be a port or config")
    names = _port_names(positional, name, inports)
    return Signature(
        inports=tuple(
            _parameter(port, parameter, hints, name)
            for port, parameter in zip(names, positional, strict=False)
        ),
        config=tuple(config),
        open_config=open_config,
        context=context,
        result=shape_of(hints.get("return", Any), f"actor '{name}', its result"),
    )


def _port_names(
    positional: Sequence[inspect.Parameter], name: str, inports: Sequence[str] | None
) -> tuple[str, ...]:
    if inports is None:
        if len(positional) < 2:
            return (DEFAULT_INPORT,)
        return tuple(parameter.name for parameter in positional)
    if len(inports) != len(positional) or len(set(inports)) != len(inports):
        raise InvalidActor(
            f"actor '{name}': inports={tuple(inports)!r} must name each of its "
            f"{len(positional)} positional parameters once"
        )
    return tuple(inports)


def _parameter(
    port: str, parameter: inspect.Parameter, hints: dict[str, Any], name: str
) -> Parameter:
    annotation = hints.get(parameter.name, Any)
    where = f"actor '{name}', parameter '{parameter.name}'"
    return Parameter(port, parameter.name, shape_of(annotation, where), parameter.default)
