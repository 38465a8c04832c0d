"""Declaring actors: ports, config, types and outports from a function's own signature."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import msgspec
import pydantic
import pytest

from engine.actors import Actor, Context, Emit, Retry, Sleep, actor
from engine.errors import InvalidActor, InvalidValue, NotJson, UndeclaredPort


@dataclass
class Point:
    x: int
    y: int


class Box(msgspec.Struct):
    width: float


class Person(pydantic.BaseModel):
    name: str
    age: int


def test_a_decorated_function_is_still_the_function() -> None:
    @actor
    async def add_one(number: int) -> int:
        """Adds one."""
        return number + 1

    assert asyncio.run(add_one(1)) == 2
    assert add_one.name == "add_one"
    assert add_one.summary == "Adds one."


def test_the_only_positional_parameter_is_the_port_in() -> None:
    @actor
    def take(order: Any) -> None: ...

    assert take.inports == ("in",)
    assert take.arguments({"in": 7}, {}, None) == {"order": 7}


def test_several_positional_parameters_are_ports_of_their_names() -> None:
    @actor
    def join(left: int, right: int) -> None: ...

    assert join.inports == ("left", "right")


def test_inports_can_be_named_otherwise() -> None:
    @actor(inports=("in", "else"))
    def join(a: int, b: int) -> None: ...

    assert join.arguments({"in": 1, "else": 2}, {}, None) == {"a": 1, "b": 2}


def test_an_actor_without_parameters_can_still_be_sent_messages() -> None:
    @actor
    def tick() -> None: ...

    assert tick.inports == ("in",)
    assert tick.arguments({"in": "ignored"}, {}, None) == {}


def test_keyword_only_parameters_are_config_with_their_defaults() -> None:
    @actor
    def charge(order: Any, *, currency: str = "EUR", customer: str) -> None: ...

    assert charge.arguments({"in": 1}, {"customer": "Ada"}, None) == {"order": 1, "customer": "Ada"}
    with pytest.raises(InvalidValue, match=r"config\.customer is missing"):
        charge.arguments({"in": 1}, {}, None)
    with pytest.raises(InvalidValue, match="'color'"):
        charge.arguments({"in": 1}, {"customer": "Ada", "color": 1}, None)
    assert charge.config_problems({"currency": "USD", "colour": 1}) == [
        ((), "actor 'charge' needs 'customer'"),
        (("colour",), "actor 'charge' takes no 'colour'; it takes currency, customer"),
    ]


def test_a_port_that_stayed_empty_is_none_or_the_parameters_default() -> None:
    @actor
    def join(left: int, right: int, extra: int = 5) -> None: ...

    assert join.arguments({"left": 1}, {}, None) == {"left": 1, "right": None}


@pytest.mark.parametrize(
    ("annotation", "message", "loaded"),
    [
        (Point, {"x": 1, "y": 2}, Point(1, 2)),
        (Box, {"width": 2.5}, Box(2.5)),
        (Person, {"name": "Ada", "age": 36}, Person(name="Ada", age=36)),
        (list[Person], [{"name": "Ada", "age": 36}], [Person(name="Ada", age=36)]),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (int | None, None, None),
    ],
)
def test_messages_are_loaded_as_the_annotation_says(
    annotation: Any, message: Any, loaded: Any
) -> None:
    def take(value: Any) -> Any: ...

    take.__annotations__.update(value=annotation)
    taken: Actor[..., Any] = Actor(take, "take")
    assert taken.arguments({"in": message}, {}, None) == {"value": loaded}


@pytest.mark.parametrize(
    ("annotation", "message", "place"),
    [
        (Point, {"x": "one", "y": 2}, "$.x"),
        (Box, [], "Expected `object`"),
        (Person, {"name": "Ada", "age": "old"}, "$.age"),
        (int, "7", "Expected `int`"),
    ],
)
def test_a_message_of_another_type_is_refused_with_its_place(
    annotation: Any, message: Any, place: str
) -> None:
    def take(value: Any) -> Any: ...

    take.__annotations__.update(value=annotation)
    with pytest.raises(InvalidValue) as caught:
        Actor(take, "take").arguments({"in": message}, {}, None)
    assert "the message on port 'in'" in str(caught.value)
    assert place in str(caught.value)


def test_results_are_checked_and_dumped() -> None:
    @actor
    def make() -> Person: ...  # type: ignore[empty-body]

    assert make.emitted(Person(name="Ada", age=36), {}) == ("out", {"name": "Ada", "age": 36})
    with pytest.raises(InvalidValue, match="port 'out'"):
        make.emitted({"name": "Ada"}, {})


def test_an_unannotated_result_may_hold_dataclasses_structs_and_models() -> None:
    @actor
    def make():  # type: ignore[no-untyped-def]
        ...

    result = {"point": Point(1, 2), "box": [Box(1.0)], "person": Person(name="Ada", age=36)}
    assert make.emitted(result, {})[1] == {
        "point": {"x": 1, "y": 2},
        "box": [{"width": 1.0}],
        "person": {"name": "Ada", "age": 36},
    }


def test_a_typed_object_that_json_cannot_carry_is_refused() -> None:
    @dataclass
    class Odd:
        value: object

    @actor
    def make():  # type: ignore[no-untyped-def]
        ...

    with pytest.raises(NotJson, match="port 'out'"):
        make.emitted(Odd(object()), {})


def test_outcomes_in_the_return_annotation_are_not_part_of_the_values_type() -> None:
    @actor
    def maybe() -> int | Sleep | Emit: ...  # type: ignore[empty-body]

    assert maybe.emitted(3, {}) == ("out", 3)
    with pytest.raises(InvalidValue):
        maybe.emitted("three", {})


def test_a_plain_value_goes_out_of_the_only_declared_port() -> None:
    @actor(outports=("yes",))
    def only() -> None: ...

    assert only.emitted(None, {}) == ("yes", None)


def test_a_plain_value_with_no_default_port_is_an_error_that_says_what_to_do() -> None:
    @actor(outports=("yes", "no"))
    def choose() -> None: ...

    with pytest.raises(UndeclaredPort, match=r"return Emit\(port, value\)"):
        choose.emitted(1, {})


def test_typed_outports_check_what_goes_out_of_each() -> None:
    @actor(outports={"yes": int, "no": str})
    def choose() -> Emit: ...  # type: ignore[empty-body]

    assert choose.emitted(Emit("yes", 1), {}) == ("yes", 1)
    with pytest.raises(InvalidValue, match="port 'no'"):
        choose.emitted(Emit("no", 1), {})


def test_every_actor_may_send_out_of_the_error_port() -> None:
    @actor
    def fail() -> Emit: ...  # type: ignore[empty-body]

    assert fail.emitted(Emit("error", "why"), {}) == ("error", "why")


def test_outports_can_follow_from_the_config() -> None:
    @actor(outports=lambda config: config["ports"])
    def spread(message: Any, *, ports: list[str]) -> Emit: ...  # type: ignore[empty-body]

    assert spread.outports_for({"ports": ["a", "b"]}) == ("a", "b")


def test_an_actor_runs_at_most_once_only_where_it_says_so() -> None:
    @actor(at_most_once=True)
    def launch() -> None: ...

    @actor
    def plan() -> None: ...

    assert (launch.at_most_once, plan.at_most_once) == (True, False)
    with pytest.raises(InvalidActor, match="at_most_once='no' must be True or False"):
        actor("launch", at_most_once="no")(lambda: None)  # type: ignore[call-overload]


def test_an_actor_tells_whether_it_keeps_a_state() -> None:
    @actor(state=dict)
    def gather(context: Context) -> None: ...

    @actor
    def plan() -> None: ...

    assert (gather.keeps_state, plan.keeps_state) == (True, False)


def test_a_context_parameter_is_given_the_context_wherever_it_stands() -> None:
    @actor
    def look(context: Context, value: int) -> None: ...

    assert look.inports == ("in",)
    assert look.arguments({"in": 1}, {}, "the context") == {  # type: ignore[arg-type]
        "context": "the context",
        "value": 1,
    }


def test_the_catalog_shows_ports_config_and_schemas() -> None:
    @actor("geo.move", outports={"moved": Point})
    def move(point: Point, *, by: float = 1.0) -> Emit:
        """Moves a point."""
        return Emit("moved", point)

    shown = move.describe()
    assert shown["name"] == "geo.move"
    assert shown["summary"] == "Moves a point."
    assert shown["config"]["by"] == {"required": False, "schema": {"type": "number"}}
    assert "Point" in str(shown["inports"]["in"])
    assert "Point" in str(shown["outports"]["moved"])


def star(*parts: int) -> None: ...


def unreadable(value: asyncio.Queue[int]) -> None: ...


def lost(value: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("function", "options", "words"),
    [
        (star, {}, r"\*parts"),
        (unreadable, {}, "cannot be read from JSON"),
        (lost, {}, "Nowhere"),
        (len, {"inports": ("a", "b")}, "must name each"),
        (abs, {"timeout": 0}, "timeout=0"),
        (abs, {"outports": ()}, "outports"),
        (abs, {"outports": "yes"}, "outports"),
        (abs, {"retry": Retry(max_attempts=0)}, "max_attempts is 0"),
        (abs, {"retry": Retry(interval=9, max_interval=3)}, "interval is 9"),
        (abs, {"retry": 3}, r"retry takes Retry\(max_attempts=...\), not 3"),
        (abs, {"state": dict}, "no Context parameter"),
    ],
)
def test_what_cannot_work_is_refused_at_decoration(
    function: Any, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidActor, match=words):
        actor("bad", **options)(function)


@pytest.mark.parametrize("name", ["", "a b", "9a", "a/b", "x" * 101])
def test_a_name_that_documents_cannot_use_is_refused(name: str) -> None:
    with pytest.raises(InvalidActor, match="actor name"):
        Actor(test_a_decorated_function_is_still_the_function, name)
