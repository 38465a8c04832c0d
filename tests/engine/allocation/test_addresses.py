"""The gateway's edges: addresses, headers, and errors as answers."""

from __future__ import annotations

import msgspec
import pytest

from engine.allocation import errors, signals
from engine.allocation.directory import ActorExists, ActorNotFound, PoolNotFound
from engine.allocation.gateway import Address, Gateway, Served, parse_address, passed_on, refusal
from engine.allocation.tunnel import Tunnel
from engine.errors import InvalidName, PayloadTooLarge, PlatformError, StoreUnusable, TidestepError
from tests.engine.allocation.yard import Yard

# -- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("/actors/counter/main", Address("/", name="counter", key=("main",))),
        ("/actors/counter/main/", Address("/", name="counter", key=("main",))),
        ("/actors/room/eu,lobby/a/b", Address("/a/b", name="room", key=("eu", "lobby"))),
        ("/actors/room/a%2Cb/x", Address("/x", name="room", key=("a,b",))),
        ("/actors/room/a%2Fb/x", Address("/x", name="room", key=("a/b",))),
        ("/actors/room/%C3%BC/x", Address("/x", name="room", key=("ü",))),
        ("/actors/room/a+b/x", Address("/x", name="room", key=("a+b",))),
        ("/actors/r%6Fom/k/a%2Fb%20c", Address("/a%2Fb%20c", name="room", key=("k",))),
        ("/actors/room/k//", Address("//", name="room", key=("k",))),
        ("/actors/room/a,,b", Address("/", name="room", key=("a", "", "b"))),
        ("/actors/@a17", Address("/", id="a17")),
        ("/actors/@a17/x/y", Address("/x/y", id="a17")),
        ("/actors/%40a/k", Address("/", name="@a", key=("k",))),
    ],
)
def test_an_address_names_an_actor_and_the_rest_is_its_own(path: str, address: Address) -> None:
    assert parse_address(path) == address


@pytest.mark.parametrize(
    "path", ["/actors/", "/actors/room", "/actors/room/", "/actors//k", "/actors/@", "/actors/@/x"]
)
def test_an_address_that_names_no_actor_is_refused(path: str) -> None:
    with pytest.raises(InvalidName, match="names an actor"):
        parse_address(path)


@pytest.fixture
def gateway(yard: Yard) -> Gateway:
    tunnel = Tunnel(yard.platform(), yard.replies)
    return Gateway(yard.platform(), tunnel, {"counter": Served("fast", crash=CRASH)})


CRASH = Served().crash


def test_an_actor_is_made_at_its_first_request_as_the_operator_says(
    yard: Yard, gateway: Gateway
) -> None:
    key = yard.do(gateway.actor(Address("/", name="counter", key=("x",))))
    assert yard.actor(key).pool == "fast"
    assert yard.do(gateway.actor(Address("/", name="counter", key=("x",)))) == key
    assert yard.do(gateway.actor(Address("/", id=key.run))) == key


def test_only_names_that_are_served_are_made_or_reached(yard: Yard, gateway: Gateway) -> None:
    hidden = yard.create("x", name="hidden")
    for address in (Address("/", name="hidden", key=("x",)), Address("/", id=hidden.run)):
        with pytest.raises(ActorNotFound, match="no actors of the name 'hidden' are served here"):
            yard.do(gateway.actor(address))


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/actors/counter", 400, "InvalidName"),
        ("/actors/counter/a,,b", 422, "InvalidInput"),
        ("/actors/other/x", 404, "ActorNotFound"),
        ("/actors/@a404", 404, "ActorNotFound"),
        ("/actors/@a%20b", 400, "InvalidName"),
    ],
)
def test_a_request_that_names_nobody_is_answered_with_the_reason(
    yard: Yard, gateway: Gateway, path: str, status: int, code: str
) -> None:
    response = yard.do(gateway.handle("GET", path, "", [], b""))
    assert (response.status, dict(response.headers)["x-tidestep-error"]) == (status, code)
    assert msgspec.json.decode(response.body)["error"]["type"] == code


def test_a_destroyed_actor_is_gone_at_its_id(yard: Yard, gateway: Gateway) -> None:
    key = yard.create("x")
    yard.signal(key, signals.Destroy())
    yard.work()
    response = yard.do(gateway.handle("GET", f"/actors/@{key.run}", "", [], b""))
    assert (response.status, dict(response.headers)["x-tidestep-error"]) == (404, "actor.destroyed")


# -- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "code", "retry_after"),
    [
        (errors.ActorNotReady("m"), 503, "actor.ready_timeout", "1"),
        (errors.ActorBackingOff("m", 17), 503, "actor.backing_off", "17"),
        (errors.ActorKeepsStopping("m"), 503, "actor.wake_retries_exceeded", "1"),
        (errors.ActorTooSlow("m"), 504, "actor.response_timeout", "1"),
        (errors.ActorFailed("m", 0), 502, "actor.failed", None),
        (errors.ActorGone("m"), 404, "actor.destroyed", None),
        (ActorNotFound("m"), 404, "ActorNotFound", None),
        (ActorExists("m"), 409, "ActorExists", None),
        (PoolNotFound("m"), 404, "PoolNotFound", None),
        (PayloadTooLarge("m"), 413, "PayloadTooLarge", None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, TidestepError) else None,
)
def test_an_error_of_ours_is_an_answer_with_a_code(
    error: TidestepError, status: int, code: str, retry_after: str | None
) -> None:
    response = refusal(error)
    headers = dict(response.headers)
    assert (response.status, headers["x-tidestep-error"]) == (status, code)
    assert headers.get("retry-after") == retry_after
    assert headers["content-type"] == "application/json"
    assert msgspec.json.decode(response.body) == {"error": {"type": code, "message": "m"}}


@pytest.mark.parametrize("error", [PlatformError("table x"), StoreUnusable("table x")])
def test_what_is_wrong_with_the_platform_is_not_told_to_users(error: TidestepError) -> None:
    response = refusal(error)
    assert response.status == error.http_status
    assert dict(response.headers)["x-tidestep-error"] == "Unavailable"
    assert b"table x" not in response.body


# -- headers --------------------------------------------------------------------------------------


def test_headers_of_one_connection_and_our_own_are_not_passed_on() -> None:
    headers = [
        ("Accept", "text/html"),
        ("Connection", "upgrade"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "3"),
        ("Upgrade", "websocket"),
        ("X-Tidestep-Request", "forged"),
        ("x-tidestep-error", "forged"),
        ("Cookie", "a=1"),
        ("cookie", "b=2"),
    ]
    assert passed_on(headers) == [("accept", "text/html"), ("cookie", "a=1"), ("cookie", "b=2")]
