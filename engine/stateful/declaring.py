"""`@stateful_actor`: what a runner must know of an actor's class, checked when it is declared."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, get_args, get_origin, overload

from engine.actors.shapes import Shape, shape_of
from engine.errors import InvalidActor, InvalidValue
from engine.json_values import encode_json
from engine.stateful.actor import StatefulActor

IDLE_S = 30.0

HANDLERS = {"on_start": 0, "on_request": 1, "on_websocket": 1, "on_alarm": 0, "on_sleep": 0}
"""With the number of their arguments."""

AnyActor = StatefulActor[Any]
A = TypeVar("A", bound=type[AnyActor])

_NAME = re.compile(r"[A-Za-z_][\w.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Definition:
    """One kind of actor. `shape` is None for an actor without state."""

    kind: type[AnyActor]
    name: str
    state_type: Any
    shape: Shape | None
    idle: float | None
    """Seconds; None: it never goes to sleep by itself."""
    concurrency: int

    def handles(self, handler: str) -> bool:
        return getattr(self.kind, handler) is not getattr(StatefulActor, handler)

    def new_state(self) -> Any:
        return None if self.shape is None else self.state_type()


@overload
def stateful_actor(kind: A, /) -> A: ...


@overload
def stateful_actor(
    kind: None = None,
    /,
    *,
    name: str | None = None,
    state: Any = None,
    idle: float | None = IDLE_S,
    concurrency: int = 1,
) -> Callable[[A], A]: ...


def stateful_actor(
    kind: A | None = None,
    /,
    *,
    name: str | None = None,
    state: Any = None,
    idle: float | None = IDLE_S,
    concurrency: int = 1,
) -> A | Callable[[A], A]:
    """Make a subclass of StatefulActor one that runners can host.

    Its name is the class's, `ChatRoom` as `chat_room`. `state` is the type of its state, where
    `StatefulActor[...]` does not say it. After `idle` seconds without requests and open WebSockets
    it goes to sleep; None keeps it awake. `concurrency` requests run at the same time.

    Raises InvalidActor for what could not work.
    """

    def decorate(decorated: A) -> A:
        decorated._definition = _checked(decorated, name, state, idle, concurrency)
        return decorated

    return decorate if kind is None else decorate(kind)


def definition_of(kind: type[AnyActor]) -> Definition:
    """Raises InvalidActor for a class that is not decorated: a base's decoration does not count."""
    found = getattr(kind, "__dict__", {}).get("_definition")
    if not isinstance(found, Definition):
        raise InvalidActor(f"{kind!r} is no stateful actor: decorate it with @stateful_actor")
    return found


def _checked(kind: Any, given_name: Any, state: Any, idle: Any, concurrency: Any) -> Definition:
    if not isinstance(kind, type) or not issubclass(kind, StatefulActor):
        raise InvalidActor(f"@stateful_actor takes a subclass of StatefulActor, not {kind!r}")
    name = _snake(kind.__name__) if given_name is None else given_name
    what = f"stateful actor '{name}'"
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidActor(f"actor name {name!r}: use up to 64 letters, digits and . _ -")
    if idle is not None and not (_is_number(idle) and 0 < idle < float("inf")):
        raise InvalidActor(f"{what}: idle={idle!r} must be above 0 (seconds), or None")
    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
        raise InvalidActor(f"{what}: concurrency={concurrency!r} must be 1 or more")
    _check_handlers(kind, what)
    try:
        inspect.signature(kind).bind()
    except TypeError as error:
        raise InvalidActor(f"{what}: its __init__ must work without arguments: {error}") from error
    if state is None:
        state = _state_of(kind)
    return Definition(kind, name, state, _shape_of(state, what), idle, concurrency)


def _check_handlers(kind: type[AnyActor], what: str) -> None:
    for name in dir(kind):
        if not name.startswith("on_"):
            continue
        handler = inspect.getattr_static(kind, name)
        if name not in HANDLERS:
            near = difflib.get_close_matches(name, HANDLERS, 1)
            guess = f"did you mean {near[0]}?" if near else f"there are {', '.join(HANDLERS)}"
            raise InvalidActor(f"{what}: nothing calls {name}: {guess}")
        if not inspect.iscoroutinefunction(handler):
            raise InvalidActor(f"{what}: {name} must be an `async def`")
        try:
            inspect.signature(handler).bind(None, *[None] * HANDLERS[name])
        except TypeError as error:
            wanted = "(self)" if not HANDLERS[name] else f"(self, {name.removeprefix('on_')})"
            raise InvalidActor(f"{what}: {name} must take {wanted}: {error}") from error


def _state_of(kind: type[AnyActor]) -> Any:
    """What `StatefulActor[...]` says, here or at a base; None where nothing does."""
    for each in kind.__mro__:
        for base in vars(each).get("__orig_bases__", ()):
            origin, arguments = get_origin(base), get_args(base)
            if not isinstance(origin, type) or not issubclass(origin, StatefulActor):
                continue
            if arguments and not isinstance(arguments[0], TypeVar):
                return None if arguments[0] in (None, type(None), Any) else arguments[0]
    return None


def _shape_of(state: Any, what: str) -> Shape | None:
    if state is None:
        return None
    shape = shape_of(state, f"{what}, its state")
    try:
        first = state()
    except Exception as error:
        raise InvalidActor(
            f"{what}: {state!r}() must make the first state, and raised "
            f"{type(error).__name__}: {error}; give every field a default"
        ) from error
    try:
        encode_json(shape.dump(first, f"{what}: the first state"), f"{what}: the first state")
    except InvalidValue as error:
        raise InvalidActor(str(error)) from error
    return shape


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
