"""What travels and what is stored: there and back, and what a newer version has written."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from engine.allocation import frames, signals
from engine.allocation.actor_state import PHASES, Running
from engine.allocation.frames import UnknownFrame
from engine.allocation.head import (
    Debt,
    Past,
    ServiceHead,
    decode_service,
    encode_service,
    service_record,
)
from engine.allocation.parties import Kind, Party, actor, party_of, runner
from engine.allocation.rules import Clear, Effect, Evict, HangUp, Post, Request, Tell
from engine.allocation.signals import Envelope, decode, encode
from engine.errors import Corrupt, NewerFormat
from engine.layout import RunKey
from engine.snapshot import Status
from tests.engine.allocation.cases import ACTOR_PHASES, CASES
from tests.engine.allocation.scenes import NOW, an_actor

HEADERS = [("a", "1"), ("a", "2")]
RAW = msgspec.Raw(b'{"n":1}')
COMMANDS = (
    frames.Command(1, frames.StartActor("a1", 2, "counter", ("x", "y"), NOW, NOW + 1)),
    frames.Command(2, frames.StopActor("a1", 2, True)),
)
REPORTS: tuple[frames.Report, ...] = (
    frames.Running(),
    frames.Stopped(),
    frames.Stopped("boom"),
    frames.Sleep(),
    frames.Stop(),
    frames.Alarm(NOW),
    frames.Alarm(),
)
FROM_RUNNER = (
    frames.Hello("p", "k", 4, version=2, connection="q1", token="t"),
    frames.Events(tuple(frames.Event(n, "a1", 2, each) for n, each in enumerate(REPORTS)), 3),
    frames.Ping(5),
    frames.Stopping(),
    frames.Load("1", "a1", 2),
    frames.Save("1", "a1", 2, RAW, {"k": RAW}, ("d",)),
    frames.Save("1", "a1", 2),
    frames.Fetch("1", "a1", 2, ("k",)),
    frames.Fetch("1", "a1", 2, prefix="", after="k", limit=3),
    frames.ResponseStart("r", 200, HEADERS, b"\x00\xff", True),
    frames.ResponseChunk("r", 1, b"\x00", True),
    frames.Refused("r", "not_here", "gone"),
    frames.SocketOpened("s"),
    frames.SocketMessage("s", 1, "text"),
    frames.SocketMessage("s", 2, data=b"\x00"),
    frames.SocketClose("s", 1001, "bye"),
)
TO_RUNNER = (
    frames.Welcome("n1", 3, 1, 2, 3),
    frames.Commands(COMMANDS),
    frames.EventsStored(4),
    frames.Pong(),
    frames.Evicted("why"),
    frames.Loaded("1", RAW, RAW),
    frames.Loaded("1", error="moved"),
    frames.Saved("1"),
    frames.Fetched("1", {"k": RAW}, True),
    frames.RequestStart("r", "a1", 2, "POST", "/x?y=1", HEADERS, b"\x00", True, NOW),
    frames.RequestChunk("r", 1, b"\x00", True),
    frames.RequestAbort("r"),
    frames.SocketOpen("s", "a1", 2, "/", HEADERS),
    frames.SocketMessage("s", 1, "text"),
    frames.SocketClose("s"),
)


# -- frames ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", FROM_RUNNER, ids=lambda f: type(f).__name__)
def test_a_runners_frame_arrives_as_it_was_sent(frame: Any) -> None:
    assert frames.from_runner(frames.encode(frame)) == frame


@pytest.mark.parametrize("frame", TO_RUNNER, ids=lambda f: type(f).__name__)
def test_a_frame_to_a_runner_arrives_as_it_was_sent(frame: Any) -> None:
    assert frames.to_runner(frames.encode(frame)) == frame


def test_every_kind_of_frame_is_tried() -> None:
    assert {type(each) for each in FROM_RUNNER} == set(get_args(frames.FromRunner))
    assert {type(each) for each in TO_RUNNER} == set(get_args(frames.ToRunner))


def test_fields_of_a_newer_peer_are_ignored() -> None:
    text = '{"type":"Ping","silent_ms":7,"mood":"fine"}'
    assert frames.from_runner(text) == frames.Ping(7)
    event = '{"index":1,"actor":"a","generation":1,"report":{"type":"Running","x":1},"y":2}'
    (found,) = frames.from_runner(f'{{"type":"Events","events":[{event}]}}').events  # type: ignore[union-attr]
    assert found == frames.Event(1, "a", 1, frames.Running())


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"Teleport"}',
        '{"type":"Pong"}',  # a server's
        '{"silent_ms":1}',
        "{",
        "",
        "[1]",
        b"\xff\xfe",
        "[" * 100_000,
        '{"type":"Events","events":[{"index":1,"actor":"a","generation":1,"report":{"type":"Fly"}}]}',
    ],
)
def test_what_cannot_be_read_is_an_unknown_frame(text: str | bytes) -> None:
    with pytest.raises(UnknownFrame, match="a frame cannot be read"):
        frames.from_runner(text)


def test_a_full_frame_of_a_body_fits_into_a_connection() -> None:
    headers = [("x" * 100, "y" * 100)] * 50
    chunk = frames.ResponseStart("r" * 40, 200, headers, b"\xff" * frames.CHUNK_BYTES, True)
    assert len(frames.encode(chunk)) < frames.FRAME_BYTES < 128_000


# -- signals --------------------------------------------------------------------------------------

SENT = [*{repr(case.signal): case.signal for _, cases in CASES.values() for case in cases}.values()]


@pytest.mark.parametrize("signal", SENT, ids=lambda s: type(s).__name__)
def test_a_signal_is_read_as_it_was_stored(signal: signals.Signal) -> None:
    envelope = Envelope(signals.FORMAT, "id", NOW, "actor:a1", 9, signal)
    assert decode(encode(envelope)) == envelope


def test_a_signal_of_a_newer_format_is_not_read_whatever_it_says() -> None:
    newer = msgspec.msgpack.encode([2, {"unheard": "of"}])
    with pytest.raises(NewerFormat, match="signal format 2; this version reads up to 1"):
        decode(newer)


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x80", msgspec.msgpack.encode([1, "id", 2])])
def test_a_mutilated_signal_is_corrupt(body: bytes) -> None:
    with pytest.raises(Corrupt, match="a stored signal cannot be decoded"):
        decode(body)


# -- heads ----------------------------------------------------------------------------------------

EFFECTS: tuple[Effect, ...] = (
    Tell(runner("n1"), signals.Stop("a1", 2, False)),
    Post("c1", 3),
    Evict("c1", "why"),
    HangUp("c1"),
    Request("q1"),
    Clear(),
)


def test_a_head_of_every_party_is_read_as_it_was_stored() -> None:
    debts = tuple(Debt(f"3.{n}", 3 << 16 | n, each) for n, each in enumerate(EFFECTS))
    past = (Past(NOW, "Wake", "Starting", ("allocate",)),)
    for _, cases in CASES.values():
        for state in {repr(case.state): case.state for case in cases}.values():
            head = ServiceHead(1, 4, NOW, state, 3, debts, 1, 2, "sid", 3, 4, past)
            assert decode_service(encode_service(head)) == head


def test_a_head_of_a_newer_format_is_not_read() -> None:
    with pytest.raises(NewerFormat, match="service format 2; this version reads up to 1"):
        decode_service(msgspec.msgpack.encode([2, 1]))
    with pytest.raises(Corrupt):
        decode_service(b"\xc1")


def test_fields_that_a_head_does_not_have_yet_have_their_defaults() -> None:
    head = ServiceHead(1, 1, NOW, an_actor(Running("n1")))
    fields = msgspec.msgpack.decode(encode_service(head))
    assert decode_service(msgspec.msgpack.encode(fields[:4])) == head


def test_a_sleeping_actor_costs_less_than_a_kilobyte() -> None:
    past = tuple(
        Past(NOW, "Stopped", "Sleeping", ("deallocate", "publish Stopped")) for _ in range(8)
    )
    head = ServiceHead(1, 1, NOW, an_actor(ACTOR_PHASES[11]), 400, past=past)
    assert len(encode_service(head)) < 1024


@pytest.mark.parametrize("phase", ACTOR_PHASES, ids=str)
def test_an_actors_row_is_over_when_it_is_destroyed(phase: Any) -> None:
    record = service_record(
        RunKey("default", "a1", "actor"), ServiceHead(1, 1, NOW, an_actor(phase))
    )
    over = type(phase) is PHASES[-1]
    assert record.status is (Status.COMPLETED if over else Status.ACTIVE)
    assert record.workflow == "counter"


def test_a_head_is_looked_at_again_for_whatever_comes_first() -> None:
    head = ServiceHead(1, 1, NOW, an_actor(), owed_look_at=5, timer_look_at=9, look_at=7)
    assert head.wake_at == 7  # it owes nothing
    debts = (Debt("1.0", 1, Clear()),)
    assert msgspec.structs.replace(head, owed=debts).wake_at == 5
    assert ServiceHead(1, 1, NOW, an_actor()).wake_at == 0


def test_a_party_is_a_run_of_its_own_kind() -> None:
    key = actor("a1").key("acme")
    assert (key.kind, key.partition) == ("actor", "acme/actor/a1")
    assert party_of(key) == Party(Kind.ACTOR, "a1")
    assert str(actor("a1")) == "actor 'a1'"
