"""Values of which the golden bytes are kept: see `samples`. Every field has one of its own, so that
two which change places are seen."""

from __future__ import annotations

from engine import inbox
from engine.allocation import frames, pool_state, runner_state, signals
from engine.allocation import head as service
from engine.allocation.actor_state import ActorState, Starting
from engine.allocation.config import CrashPolicy, PoolConfig
from engine.allocation.parties import runner
from engine.allocation.rules import Tell
from engine.callbacks import SigningKey
from engine.definition import Definition, Node, RetryPolicy
from engine.layout import WaitAddress, run_key
from engine.snapshot import (
    Entry,
    Failure,
    Head,
    Kind,
    Lineage,
    Owed,
    Payload,
    Resumed,
    State,
    Status,
    Token,
    Wait,
)

NOW = 1_700_000_000_000

PAYLOAD = Payload("out/1/2", 4_321, b"digest!!", "z", True, "key-1")
FAILURE = Failure("ValueError", "not today")
ENTRIES = (
    Entry(0, 1, 1, 0, Kind.DONE, "out", "start", (0,), 120, 80, b'{"n":1}'),
    Entry(
        node=1,
        visit=2,
        attempt=3,
        epoch=4,
        kind=Kind.RETRIED,
        port="error",
        owner="sid00000001",
        inputs=(1, 2, -1),
        after=345,
        took=67,
        value=PAYLOAD,
        failure=FAILURE,
        previous=5,
        wait=8_000,
        chance=0.625,
        state=b'{"seen":2}',
    ),
)
TOKEN = Token(
    node=2,
    visit=3,
    attempt=4,
    state=State.WAITING,
    owner="sid00000002",
    look_at=NOW + 600_000,
    inputs=(6, 7),
    due=NOW + 500_000,
    failures=1,
    looks=2,
    resumed=Resumed.SIGNAL,
)
HEAD = Head(
    format=1,
    rev=9,
    epoch=4,
    status=Status.PAUSED,
    workflow="orders",
    definition=b"0123456789abcdef",
    created_at=NOW,
    start_digest=b"fedcba9876543210",
    input=b'{"order":7}',
    first=7,
    tail=ENTRIES,
    last_at=54_321,
    frontier=(TOKEN,),
    ports={3: ((5, 6), ())},
    visits=(2, 1),
    latest={1: 8},
    states={1: b'{"seen":1}'},
    steps=8,
    failures=2,
    ended_at=NOW + 60_000,
    output=b'"done"',
    failure=FAILURE,
    failed_node=1,
    held=True,
    wake_at=NOW + 500_001,
    lineage=Lineage("root", "parent", 5, NOW - 1_000),
    waits=(Wait(2, 3, "approval", 1, 6),),
    owed=(Owed("8.0", "other", 9, "go", b"7"),),
    owed_look_at=NOW + 700_000,
    consumed=("inbox/1",),
    limit=Token(-1, 0, 0, State.SLEEPING, "limit", NOW + 1, due=NOW + 2),
)
DEFINITION = Definition(
    format=1,
    name="orders",
    nodes=(
        Node("first", "charge", {"to": "{{ input.order }}"}, (), {"out": ((1, 0),)}),
        Node(
            id="second",
            actor="ship",
            config=None,
            inports=("left", "right"),
            successors={"out": (), "error": ((0, 1),)},
            optional=(1,),
            retry=RetryPolicy(3, 2.5, "fixed", 60.0, False, ("Timeout",), ("Fatal",)),
            timeout=12.5,
            slot=0,
            default="sent",
            named=True,
            concurrency=4,
        ),
    ),
    start=(0,),
    ends=(1,),
    max_steps=500,
    on_failure="continue",
    input_schema={"type": "object"},
    has_output=True,
    output="{{ nodes.second.output }}",
    deadline=3_600.0,
)
ACTOR = ActorState(
    name="counter",
    key=("acme", "7"),
    pool="default",
    crash=CrashPolicy.RESTART,
    created_at=NOW,
    phase=Starting("n1", NOW + 1),
    generation=2,
    stops=3,
    alarm_at=NOW + 2,
    crashes=4,
    crashed_at=NOW + 3,
    not_before=NOW + 4,
    error="crashed: boom",
    started_at=NOW + 5,
    connectable_at=NOW + 6,
    slept_at=NOW + 7,
    destroyed_at=NOW + 8,
)
SERVICE = service.ServiceHead(
    format=1,
    rev=5,
    created_at=NOW,
    state=ACTOR,
    steps=6,
    owed=(service.Debt("6.0", 7, Tell(runner("n1"), signals.Stop("a1", 2, True))),),
    owed_look_at=NOW + 9,
    timer=8,
    timer_owner="sid00000003",
    timer_look_at=NOW + 10,
    look_at=NOW + 11,
    past=(service.Past(NOW, "Wake", "Starting", ("allocate",)),),
)
RUNNER = runner_state.RunnerState(
    pool="default",
    key="machine-1",
    version=2,
    slots=4,
    created_at=NOW,
    phase=runner_state.Away(NOW + 1),
    connection="c1",
    epoch=3,
    events=5,
    commands=6,
    unheard=(frames.Command(6, frames.StopActor("a1", 2, True)),),
    request="q1",
    gone_at=NOW + 2,
    why_gone="stopped",
    session="s1",
)
POOL = pool_state.PoolState(
    config=PoolConfig("https://runners", {"x-key": "k"}, (), 4, 1, 9, 2, 60_000),
    created_at=NOW,
    phase=pool_state.Surplus(NOW + 1, NOW + 2),
    requests=(pool_state.Held("q1", NOW + 3, 77, "n1", NOW + 4),),
    failures=1,
    failed_at=NOW + 5,
    successes=2,
    error="refused",
    not_before=NOW + 6,
)
SIGNAL = inbox.Signal(
    format=1,
    id="from:other:8.0",
    at=NOW,
    value=PAYLOAD,
    name="approval",
    node=2,
    visit=3,
    ordinal=1,
    sender="other",
    sequence=9,
)
RING = (SigningKey("2", b"\x02" * 32, NOW), SigningKey("1", b"\x01" * 32))
ADDRESS = WaitAddress(run_key("run", "acme"), 2, 3, 1, NOW // 1000)
