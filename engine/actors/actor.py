"""An actor: a function, its name, and what the engine must know to run it.

`@actor` only describes; nothing is registered globally and nothing is connected. The decorated
object is still the function: calling it runs the function's code as it stands, which is how its
logic is tested without an engine.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar, overload

from engine.actors.context import Context
from engine.actors.outcomes import Emit, Sleep
from engine.actors.shapes import AnyShape, Shape, shape_of
from engine.actors.signature import Signature, read_signature
from engine.definition import DEFAULT_INPORT, DEFAULT_OUTPORT, ERROR_PORT, RetryPolicy
from engine.errors import InvalidActor, InvalidValue, UndeclaredPort

P = ParamSpec("P")
R = TypeVar("R")

Retry = RetryPolicy
"""How users write a retry policy: `Retry(max_attempts=5, interval=2)`."""

PortsOf = Callable[[Mapping[str, Any]], Iterable[str]]

_NAME = re.compile(r"[A-Za-z_][\w.-]{0,99}")


class Actor(Generic[P, R]):
    """Satisfies `engine.documents.catalog.ActorSpec`. Call it to call the function."""

    def __init__(
        self,
        function: Callable[P, R],
        name: str,
        *,
        retry: RetryPolicy | None = None,
        timeout: float | None = None,
        inports: Sequence[str] | None = None,
        outports: Sequence[str] | Mapping[str, Any] | PortsOf | None = None,
        state: Any = None,
        at_most_once: bool = False,
    ) -> None:
        if not _NAME.fullmatch(name):
            raise InvalidActor(f"actor name {name!r}: use letters, digits and . _ -")
        if timeout is not None and not timeout > 0:
            raise InvalidActor(f"actor '{name}': timeout={timeout} must be above 0 (seconds)")
        if retry is not None and not isinstance(retry, RetryPolicy):
            raise InvalidActor(
                f"actor '{name}': retry takes Retry(max_attempts=...), not {retry!r}"
            )
        if retry is not None and (problem := retry.problem()):
            raise InvalidActor(f"actor '{name}': retry: {problem}")
        if not isinstance(at_most_once, bool):
            raise InvalidActor(
                f"actor '{name}': at_most_once={at_most_once!r} must be True or False"
            )
        self.name = name
        self.function = function
        self.retry = retry
        self.timeout = timeout
        self.at_most_once = at_most_once
        self.signature: Signature = read_signature(function, name, inports)
        self.is_async = inspect.iscoroutinefunction(function)
        self.inports = tuple(p.name for p in self.signature.inports) or (DEFAULT_INPORT,)
        self._outports, self._shapes = _read_outports(name, outports, self.signature.result)
        if state is not None and self.signature.context is None:
            raise InvalidActor(f"actor '{name}' has state=, and no Context parameter to find it in")
        self.state_type = state
        self.state_shape = None if state is None else shape_of(state, f"actor '{name}', its state")
        update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<actor {self.name}>"

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    @property
    def keeps_state(self) -> bool:
        return self.state_type is not None

    def outports_for(self, config: Any) -> tuple[str, ...]:
        """The declared outports for this config, without the `error` port that every node has."""
        if callable(self._outports):
            return tuple(self._outports(config if isinstance(config, Mapping) else {}))
        return self._outports

    def config_problems(self, config: Any) -> list[tuple[tuple[str | int, ...], str]]:
        """What can be said about a config before it is rendered: (path inside it, message)."""
        if not isinstance(config, Mapping):
            return [((), f"config must be a mapping, not {type(config).__name__}")]
        known = {parameter.name: parameter for parameter in self.signature.config}
        problems: list[tuple[tuple[str | int, ...], str]] = []
        for parameter in self.signature.config:
            if parameter.required and parameter.name not in config:
                problems.append(((), f"actor '{self.name}' needs '{parameter.name}'"))
        if not self.signature.open_config:
            listed = ", ".join(known) or "none"
            problems += [
                ((key,), f"actor '{self.name}' takes no '{key}'; it takes {listed}")
                for key in config
                if key not in known
            ]
        return problems

    def arguments(
        self, messages: Mapping[str, Any], config: Mapping[str, Any], context: Context | None
    ) -> dict[str, Any]:
        """The function's arguments, checked. Raises InvalidValue.

        `messages` are by port; a port without one (optional, and nothing came) takes the
        parameter's default, or None.
        """
        arguments: dict[str, Any] = {}
        for parameter in self.signature.inports:
            if parameter.name in messages:
                what = f"the message on port '{parameter.name}'"
                arguments[parameter.argument] = parameter.shape.load(messages[parameter.name], what)
            elif parameter.required:
                arguments[parameter.argument] = None
        rest = dict(config)
        for parameter in self.signature.config:
            if parameter.name in rest:
                value = rest.pop(parameter.name)
                arguments[parameter.argument] = parameter.shape.load(
                    value, f"config.{parameter.name}"
                )
            elif parameter.required:
                raise InvalidValue(f"config.{parameter.name} is missing")
        if self.signature.open_config:
            arguments.update(rest)
        elif rest:
            raise InvalidValue(f"config has {', '.join(map(repr, rest))}, which it does not take")
        if self.signature.context is not None:
            arguments[self.signature.context] = context
        return arguments

    def emitted(self, result: Any, config: Mapping[str, Any]) -> tuple[str, Any]:
        """The port that a result goes out of, and its JSON value.

        Raises UndeclaredPort or InvalidValue. `result` is what the function returned, `Sleep`
        excepted.
        """
        ports = self.outports_for(config)
        if isinstance(result, Emit):
            port, value = result.port, result.value
        elif DEFAULT_OUTPORT in ports:
            port, value = DEFAULT_OUTPORT, result
        elif len(ports) == 1:
            port, value = ports[0], result
        else:
            raise UndeclaredPort(
                f"actor '{self.name}' returned a plain value, and none of its ports "
                f"({', '.join(ports)}) is the default: return Emit(port, value)"
            )
        if port not in ports and port != ERROR_PORT:
            raise UndeclaredPort(
                f"actor '{self.name}' sent out of port '{port}'; it declares {', '.join(ports)}"
            )
        shape = self._shapes.get(port, _ANY)
        return port, shape.dump(value, f"the value on port '{port}'")

    def describe(self) -> dict[str, Any]:
        """What a catalog shows: ports, config and schemas, as JSON."""
        return {
            "name": self.name,
            "summary": self.summary,
            "inports": {p.name: p.shape.schema() for p in self.signature.inports},
            "config": {
                p.name: {"required": p.required, "schema": p.shape.schema()}
                for p in self.signature.config
            },
            "outports": (
                "by config"
                if callable(self._outports)
                else {port: self._shapes.get(port, _ANY).schema() for port in self._outports}
            ),
        }


_ANY = AnyShape()


def _read_outports(
    name: str, outports: Sequence[str] | Mapping[str, Any] | PortsOf | None, result: Shape
) -> tuple[tuple[str, ...] | PortsOf, dict[str, Shape]]:
    if outports is None:
        return (DEFAULT_OUTPORT,), {DEFAULT_OUTPORT: result}
    if callable(outports):
        return outports, {}
    if isinstance(outports, str) or not outports:
        raise InvalidActor(f"actor '{name}': outports must be a list or mapping of port names")
    shapes: dict[str, Shape] = {}
    if isinstance(outports, Mapping):
        shapes = {
            port: shape_of(annotation, f"actor '{name}', port '{port}'")
            for port, annotation in outports.items()
        }
    if DEFAULT_OUTPORT in outports:
        shapes.setdefault(DEFAULT_OUTPORT, result)
    return tuple(outports), shapes


@overload
def actor(name: Callable[P, R], /) -> Actor[P, R]: ...


@overload
def actor(
    name: str | None = None,
    /,
    *,
    retry: RetryPolicy | None = None,
    timeout: float | None = None,
    inports: Sequence[str] | None = None,
    outports: Sequence[str] | Mapping[str, Any] | PortsOf | None = None,
    state: Any = None,
    at_most_once: bool = False,
) -> Callable[[Callable[P, R]], Actor[P, R]]: ...


def actor(
    name: Callable[P, R] | str | None = None,
    /,
    *,
    retry: RetryPolicy | None = None,
    timeout: float | None = None,
    inports: Sequence[str] | None = None,
    outports: Sequence[str] | Mapping[str, Any] | PortsOf | None = None,
    state: Any = None,
    at_most_once: bool = False,
) -> Actor[P, R] | Callable[[Callable[P, R]], Actor[P, R]]:
    """Make a function, async or plain, an actor.

    Bare, the actor is called what the function is called. `timeout` is seconds per attempt.
    `outports` lists the ports beside or instead of `out`, or maps them to their types, or computes
    them from the config. `state` is the type of the state kept per node; its call without
    arguments makes the first one. Plain functions run in a thread of their own.

    With `at_most_once` no attempt runs twice: each is claimed before it runs, which costs a write,
    and where its process dies, or may have, it fails with `Interrupted`, which is not retried; the
    function may then have done its work or not. What the function itself raises is retried as the
    policy says, as a further attempt.

    Raises InvalidActor at decoration for what could not work.
    """
    if callable(name):
        return Actor(name, name.__name__)

    def decorate(function: Callable[P, R]) -> Actor[P, R]:
        return Actor(
            function,
            name or function.__name__,
            retry=retry,
            timeout=timeout,
            inports=inports,
            outports=outports,
            state=state,
            at_most_once=at_most_once,
        )

    return decorate


__all__ = ["Actor", "Emit", "Retry", "Sleep", "actor"]
