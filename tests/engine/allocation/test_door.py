"""The server's side of a runner's connection: what each frame leads to."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from engine.allocation import frames, signals
from engine.allocation.door import Known, RunnerDoor
from engine.errors import Misconfigured, PlatformError
from engine.layout import RunKey
from engine.ports import Platform
from tests.engine.allocation.scenes import SERVERLESS
from tests.engine.allocation.test_directory import Slow
from tests.engine.allocation.yard import Yard, pool_key

HELLO = frames.Hello("default", "r1", 1, session="s1")


class Play:
    """One runner, frame by frame."""

    def __init__(self, yard: Yard, secret: str = "", **hello: Any) -> None:
        self.yard = yard
        self.door = RunnerDoor(yard.platform(), yard.replies, secret)
        self.connection = "c1"
        self.known: Known | None = None
        self.hello(**hello)

    def hello(self, connection: str = "c1", **changes: Any) -> None:
        self.connection = connection
        text = frames.encode(msgspec.structs.replace(HELLO, **changes))
        self.known = self.yard.do(self.door.hello(connection, text))
        self.yard.work()

    @property
    def key(self) -> RunKey:
        assert self.known is not None
        return RunKey("default", self.known.runner, "runner")

    def send(self, frame: frames.Frame | str) -> None:
        assert self.known is not None
        text = frame if isinstance(frame, str) else frames.encode(frame)
        self.yard.do(self.door.frame(self.connection, self.known, text))
        self.yard.work()

    def got(self, kind: type[frames.Frame]) -> list[Any]:
        return self.yard.wires.to(self.connection, kind)

    def event(self, index: int, actor: RunKey, report: frames.Report) -> frames.Events:
        generation = self.yard.actor(actor).generation
        return frames.Events((frames.Event(index, actor.run, generation, report),), 1)


def test_a_runner_is_welcomed_by_its_id_and_told_the_times(yard: Yard) -> None:
    play = Play(yard)
    (welcome,) = play.got(frames.Welcome)
    assert (welcome.runner, welcome.events, welcome.lost_ms) == (play.key.run, 0, 15_000)
    assert yard.phase(play.key) == "Connected"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (frames.encode(frames.Ping()), "the first frame must be Hello"),
        ("nonsense", "a frame cannot be read"),
        (frames.encode(frames.Hello("default", "r 1", 1)), "r 1"),
        (frames.encode(frames.Hello("default", "r1", 0)), "1 to 1,000 slots"),
    ],
)
def test_a_runner_that_makes_no_sense_is_sent_away_and_told_why(
    yard: Yard, text: str, why: str
) -> None:
    door = RunnerDoor(yard.platform(), yard.replies)
    assert yard.do(door.hello("c1", text)) is None
    (evicted,) = yard.wires.to("c1", frames.Evicted)
    assert why in evicted.reason


def test_a_runner_must_know_the_token_where_there_is_one(yard: Yard) -> None:
    assert Play(yard, secret="secret", token="wrong").known is None
    assert "set TIDESTEP_RUNNER_TOKEN" in yard.wires.to("c1", frames.Evicted)[0].reason
    assert Play(yard, secret="secret", token="secret").known is not None


def test_a_process_without_a_way_to_runners_serves_none(yard: Yard) -> None:
    whole = yard.platform()
    bare = Platform(whole.journal, whole.blobs, whole.clock, whole.entropy, whole.secrets)
    with pytest.raises(Misconfigured, match="this process cannot serve runners"):
        RunnerDoor(bare, yard.replies)


def test_the_pool_is_told_which_runner_its_request_has_brought(yard: Yard) -> None:
    yard.do(yard.directory.configure("default", SERVERLESS))
    yard.create("main")
    (request,) = yard.holders.begun
    play = Play(yard)
    hello = msgspec.structs.replace(HELLO, key="r2", connection=request)
    known = yard.do(play.door.hello("c2", frames.encode(hello)))
    yard.work()
    assert known is not None
    (held,) = yard.head(pool_key()).state.requests  # type: ignore[union-attr]
    assert held.runner == known.runner


def test_an_event_is_stored_before_it_is_said_to_be(yard: Yard) -> None:
    play = Play(yard)
    actor = yard.create("main")
    play.send(play.event(1, actor, frames.Running()))
    assert play.got(frames.EventsStored) == [frames.EventsStored(1)]
    assert yard.phase(actor) == "Running"


def test_an_event_that_could_not_be_stored_is_not_said_to_be(yard: Yard) -> None:
    class Broken(Slow):
        async def swap(self, *arguments: Any, **options: Any) -> None:
            raise PlatformError("the store does not answer")

    play = Play(yard)
    actor = yard.create("main")
    play.door = RunnerDoor(yard.platform(Broken(yard)), yard.replies)
    with pytest.raises(PlatformError):
        play.send(play.event(1, actor, frames.Running()))
    assert play.got(frames.EventsStored) == []


def test_an_event_that_comes_twice_counts_once(yard: Yard) -> None:
    play = Play(yard)
    actor = yard.create("main")
    for _ in range(2):
        play.send(play.event(1, actor, frames.Running()))
    assert len(play.got(frames.EventsStored)) == 2
    assert [step.signal for step in yard.steps if step.key == actor] == ["Timer", "Running"]


def test_what_cannot_be_read_is_passed_over(yard: Yard) -> None:
    play = Play(yard)
    play.send('{"type":"Teleport"}')
    play.send(HELLO)
    play.send(frames.Ping())
    assert play.got(frames.Pong) == [frames.Pong()]


def test_a_ping_says_that_the_runner_lives(yard: Yard) -> None:
    play = Play(yard)
    for _ in range(5):
        yard.clock.advance(6)
        play.send(frames.Ping())
    assert yard.phase(play.key) == "Connected"


def test_a_runner_that_was_silent_is_given_those_who_wait_meanwhile(yard: Yard) -> None:
    play = Play(yard)
    yard.clock.advance(12)
    actor = yard.create("main")
    yard.signal(actor, signals.Wake())
    yard.work()
    assert yard.phase(actor) == "Pending"
    play.send(frames.Ping(silent_ms=12_000))
    assert yard.phase(actor) == "Starting"


def test_a_runner_that_wants_to_end_is_drained(yard: Yard) -> None:
    play = Play(yard)
    play.send(frames.Stopping())
    assert yard.phase(play.key) == "Draining"


def test_a_connection_that_closes_is_its_runners_absence(yard: Yard) -> None:
    play = Play(yard)
    assert play.known is not None
    yard.do(play.door.closed("c1", play.known))
    yard.work()
    assert yard.phase(play.key) == "Away"
    play.hello("c2")
    assert yard.phase(play.key) == "Connected"
    assert play.known.runner == play.key.run


def test_a_runner_reads_and_writes_what_its_actors_have_stored(yard: Yard) -> None:
    play = Play(yard)
    actor = yard.create("main", input={"n": 1})
    play.send(frames.Load("1", actor.run, 1))
    (loaded,) = play.got(frames.Loaded)
    assert (loaded.state, bytes(loaded.input)) == (msgspec.UNSET, b'{"n":1}')
    saving = frames.Save("2", actor.run, 1, msgspec.Raw(b"7"), {"k": msgspec.Raw(b"8")})
    play.send(saving)
    assert play.got(frames.Saved) == [frames.Saved("2")]
    play.send(frames.Load("3", actor.run, 1))
    assert bytes(play.got(frames.Loaded)[-1].state) == b"7"
    play.send(frames.Fetch("4", actor.run, 1, keys=("k", "x")))
    play.send(frames.Fetch("5", actor.run, 1, prefix=""))
    assert [list(each.entries) for each in play.got(frames.Fetched)] == [["k"], ["k"]]


@pytest.mark.parametrize("generation", [0, 2])
def test_what_is_not_a_runners_own_is_refused(yard: Yard, generation: int) -> None:
    play = Play(yard)
    actor = yard.create("main")
    play.send(frames.Load("1", actor.run, generation))
    play.send(frames.Save("2", actor.run, generation, msgspec.Raw(b"7")))
    play.send(frames.Fetch("3", actor.run, generation))
    play.send(frames.Load("4", "a404", 1))
    play.send(frames.Load("5", "a/b", 1))
    answers = [*play.got(frames.Loaded), *play.got(frames.Saved), *play.got(frames.Fetched)]
    errors = {each.id: each.error.partition(":")[0] for each in answers}
    assert errors == dict.fromkeys("1234", "NotOwner") | {"5": "InvalidName"}
    assert "state" not in yard.items(actor.partition)


def test_an_actors_answer_is_handed_to_whoever_waits_for_it(yard: Yard) -> None:
    play = Play(yard)
    answer = frames.ResponseStart("r1", 200)

    async def wait() -> Any:
        async with yard.replies.expect("default", "r1") as reply:
            assert play.known is not None
            await play.door.frame("c1", play.known, frames.encode(answer))
            return await reply.next(0)

    assert yard.do(wait()) == answer
    play.send(answer)  # nobody waits any more
