"""Declaring stateful actors: what the decorator reads off a class, and what it refuses."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
import pydantic
import pytest

from engine.errors import InvalidActor, Misconfigured
from engine.stateful import Request, StatefulActor, definition_of, stateful_actor

S = TypeVar("S")


@dataclass
class Count:
    count: int = 0


class Box(msgspec.Struct):
    width: float = 1.0


class Person(pydantic.BaseModel):
    name: str = "nobody"


def test_bare_it_takes_name_and_state_from_the_class() -> None:
    @stateful_actor
    class ChatRoom(StatefulActor[Count]):
        pass

    definition = definition_of(ChatRoom)
    assert (definition.name, definition.idle, definition.concurrency) == ("chat_room", 30, 1)
    assert definition.new_state() == Count(0)


@pytest.mark.parametrize(
    ("given", "name"),
    [("Counter", "counter"), ("HTTPProxy", "http_proxy"), ("Room2B", "room2_b"), ("X", "x")],
)
def test_a_class_name_becomes_a_name(given: str, name: str) -> None:
    assert definition_of(stateful_actor(type(given, (StatefulActor,), {}))).name == name


def test_options_say_otherwise() -> None:
    @stateful_actor(name="Room", state=Box, idle=None, concurrency=3)
    class ChatRoom(StatefulActor[Any]):
        pass

    definition = definition_of(ChatRoom)
    assert (definition.name, definition.idle, definition.concurrency) == ("Room", None, 3)
    assert definition.new_state() == Box()


@pytest.mark.parametrize("state", [Count, Box, Person, dict[str, int], list[str], int])
def test_states_of_every_kind_go_to_json_and_back(state: Any) -> None:
    @stateful_actor(state=state)
    class Keeper(StatefulActor[Any]):
        pass

    definition = definition_of(Keeper)
    first = definition.new_state()
    assert definition.shape is not None
    assert definition.shape.load(definition.shape.dump(first, "it"), "it") == first


@pytest.mark.parametrize("base", [StatefulActor, StatefulActor[None], StatefulActor[Any]])
def test_without_a_type_there_is_no_state(base: Any) -> None:
    kind = stateful_actor(type("Plain", (StatefulActor,), {"__orig_bases__": (base,)}))
    assert definition_of(kind).shape is None


def test_a_state_is_found_at_a_base() -> None:
    class Generic_(StatefulActor[S], Generic[S]):  # noqa: N801
        pass

    class Middle(Generic_[Count]):
        pass

    @stateful_actor
    class Leaf(Middle):
        pass

    assert definition_of(Leaf).state_type is Count


def test_an_actor_is_an_ordinary_object_without_a_runner() -> None:
    @stateful_actor
    class Counter(StatefulActor[Count]):
        async def on_request(self, request: Request) -> int:
            self.state.count += request.json()
            return self.state.count

    counter = Counter()
    counter.state = Count(40)
    assert asyncio.run(counter.on_request(Request("POST", body=b"2"))) == 42
    with pytest.raises(Misconfigured, match="Counter is not run by a runner"):
        counter.sleep()


def test_a_base_that_is_decorated_does_not_decorate_its_children() -> None:
    @stateful_actor
    class Base(StatefulActor[None]):
        pass

    class Child(Base):
        pass

    with pytest.raises(InvalidActor, match="decorate it"):
        definition_of(Child)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"name": "two words"}, "actor name"),
        ({"name": ""}, "actor name"),
        ({"name": "x" * 65}, "actor name"),
        ({"idle": 0}, "idle=0"),
        ({"idle": True}, "idle=True"),
        ({"idle": "soon"}, "idle='soon'"),
        ({"idle": float("inf")}, "idle=inf"),
        ({"concurrency": 0}, "concurrency=0"),
        ({"concurrency": True}, "concurrency=True"),
        ({"concurrency": 1.5}, "concurrency=1.5"),
        ({"state": object}, "the first state is not JSON"),
        ({"state": Generic}, "cannot be read from JSON"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidActor, match=problem):
        stateful_actor(**options)(type("Actor", (StatefulActor,), {}))


async def handler(self: Any) -> None: ...


async def one(self: Any, request: Any) -> None: ...


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"on_requests": one}, "did you mean on_request"),
        ({"on_x": one}, "there are on_start"),
        ({"on_start": lambda self: None}, "on_start must be an `async def`"),
        ({"on_start": one}, r"on_start must take \(self\)"),
        ({"on_request": handler}, r"on_request must take \(self, request\)"),
        ({"on_websocket": handler}, r"on_websocket must take \(self, websocket\)"),
        ({"__init__": lambda self, needed: None}, "__init__ must work without arguments"),
    ],
)
def test_classes_that_cannot_work_are_refused(members: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidActor, match=problem):
        stateful_actor(type("Actor", (StatefulActor,), members))


def test_a_state_that_cannot_be_made_without_arguments_is_refused() -> None:
    @dataclass
    class Needy:
        count: int

    with pytest.raises(InvalidActor, match="give every field a default"):
        stateful_actor(state=Needy)(type("Actor", (StatefulActor,), {}))


@pytest.mark.parametrize("decorated", [object, print, 7])
def test_only_stateful_actors_can_be_decorated(decorated: Any) -> None:
    with pytest.raises(InvalidActor, match="a subclass of StatefulActor"):
        stateful_actor()(decorated)
