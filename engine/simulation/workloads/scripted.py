"""Actors whose every act is known beforehand: what they return, how long they take, when they fail.

An act is a pure function of (seed, run, node, visit, attempt), and what it returns carries its
provenance: the tags of the messages that it was given, and a tag made of those; and when it was
made, so that two executions of one attempt can be told apart. So whoever reads a
history can say what each result must be, and an input that was lost, doubled or mixed up shows in
the first result that was made of it. Times are virtual: an actor takes its time with
`asyncio.sleep`.

The script of a node lies in its config. A random workflow is thereby an ordinary document: it can
be printed, kept and run again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from random import Random
from typing import Any, Literal

import msgspec

from engine.actors.actor import Actor
from engine.actors.context import Context
from engine.actors.outcomes import Emit, Sleep, Wait
from engine.actors.registry import AnyActor, Registry
from engine.errors import PermanentFailure

MOST_INPORTS = 4
INPORTS = ("a", "b", "c", "d")
NEWS = "news"
"""The name of the signals that scripted runs send each other."""
AGAIN = "again"
"""The port by which a node that ends a loop begins another round."""


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How one node behaves. Chances are in [0, 1], times in seconds, sizes in bytes."""

    seed: int
    ports: tuple[str, ...] = ("out",)
    attempts: int = 1
    """The `max_attempts` of the node's policy: how often a visit may fail and still succeed."""
    lasts: float = 0.0
    """The longest that an attempt takes of itself."""
    fails: float = 0.0
    """How likely a visit fails before it succeeds."""
    breaks: float = 0.0
    """How likely a visit never succeeds."""
    limit: float = 0.0
    """The node's timeout, where it has one: some failures then are overruns."""
    sleeps: tuple[float, ...] = ()
    """One of these is slept through by a visit, where there are any."""
    rounds: int = 0
    """Of each loop that this node ends; all rounds but the last go out of AGAIN."""
    waits: str = ""
    """The name of the signal that a visit waits for, where it waits."""
    patience: float = 0.0
    """How long it waits; 0 for as long as it takes."""
    tells: str = ""
    """The run that is sent a signal named NEWS with each result."""
    pad: int = 0
    """How much larger than its provenance a result is."""


class Returns(msgspec.Struct, frozen=True):
    """The attempt succeeds, and its value goes out of `port`."""

    port: str


class Raises(msgspec.Struct, frozen=True):
    permanent: bool = False


class Overruns(msgspec.Struct, frozen=True):
    """The attempt takes longer than the node's timeout."""


class Sleeps(msgspec.Struct, frozen=True):
    seconds: float


class Waits(msgspec.Struct, frozen=True):
    """The attempt asks for a signal; so stands, in a script, what is recorded when it has come."""

    name: str
    patience: float


Act = Returns | Raises | Overruns | Sleeps | Waits


class ScriptedError(Exception):
    """What an actor raises where its script says so."""


def chance(*parts: object) -> float:
    """A number in [0, 1) that these parts alone decide."""
    digest = blake2b(repr(parts).encode(), digest_size=7).digest()
    return int.from_bytes(digest) / (1 << 56)


def act_of(script: Script, run: str, node: str, visit: int, attempt: int) -> Act:
    """What this attempt does. Attempts beyond the script's repeat its last act."""
    acts = _acts(script, run, node, visit)
    return acts[min(attempt, len(acts)) - 1]


@lru_cache(maxsize=4096)
def _acts(script: Script, run: str, node: str, visit: int) -> tuple[Act, ...]:
    """The acts of one visit, attempt by attempt."""
    random = Random(f"{script.seed}/{run}/{node}/{visit}")
    fate, length = random.random(), random.random()
    failing: Act = Raises()
    if script.limit and random.random() < 0.5:
        failing = Overruns()
    if fate < script.breaks:
        if length < 0.3:
            return (Raises(permanent=True),)
        return (failing,) * max(1, script.attempts)
    acts: list[Act] = []
    if fate < script.breaks + script.fails and script.attempts > 1:
        acts += [failing] * (1 + int(length * (script.attempts - 1)))
    if script.waits:
        # to begin, and to be over
        acts[:0] = [Waits(script.waits, script.patience)] * 2 * random.choice((1, 1, 2))
    if script.sleeps:
        places = [n for n in range(len(acts) + 1) if not n % 2 or not script.waits]
        acts.insert(random.choice(places), Sleeps(random.choice(script.sleeps)))
    port = random.choice(script.ports)
    if script.rounds:
        port = script.ports[0] if visit % script.rounds == 0 else AGAIN
    return (*acts, Returns(port))


def lasts(script: Script, run: str, node: str, visit: int, attempt: int) -> float:
    """How long this attempt takes, in seconds."""
    if isinstance(act_of(script, run, node, visit, attempt), Overruns):
        return script.limit * 3
    drawn = chance(script.seed, "lasts", run, node, visit, attempt)
    return 0.0 if drawn < 0.3 else script.lasts * drawn


def returned(
    script: Script,
    run: str,
    node: str,
    visit: int,
    attempt: int,
    tags: Mapping[str, str],
    key: str,
    at: str = "0" * 13,
) -> dict[str, Any]:
    """The value that this attempt makes of messages with these tags, by port.

    `key` says what its idempotency key was. `at` is when it began, in 13 digits: the one thing that
    two executions of it differ in.
    """
    parts = (script.seed, run, node, visit, sorted(tags.items()))
    tag = blake2b(repr(parts).encode(), digest_size=5).hexdigest()
    value = {"tag": tag, "got": dict(tags), "try": attempt, "key": key, "at": at}
    return {**value, "pad": _pad(script.pad)} if script.pad else value


def key_of(idempotency_key: str) -> str:
    """A short name for an idempotency key: results are many."""
    return blake2b(idempotency_key.encode(), digest_size=2).hexdigest()


def tag_of(message: Any) -> str:
    """What a message is known by: its tag; for a failure's the node that failed."""
    if message is None:
        return ""
    if "error" in message:
        return f"!{message['error']['node']}"
    tag: str = message.get("tag", "untold")
    return tag


@lru_cache(maxsize=16)
def _pad(size: int) -> str:
    """Text that does not compress to nothing."""
    return Random(size).randbytes(size // 2).hex()


def news(run: str, node: str, visit: int) -> dict[str, Any]:
    """The payload of the signal that a visit sends."""
    return {"tag": f"{NEWS}:{run}/{node}/{visit}"}


Manner = Literal["plain", "counting", "once"]
"""What an actor asks of the engine: nothing, a state of its own, or to run at most once."""
MANNERS: tuple[Manner, ...] = ("plain", "counting", "once")


def scripted_name(inports: int, manner: Manner = "plain") -> str:
    """The name of the actor with so many inports."""
    return f"scripted.{manner}{inports}"


async def _play(
    messages: Mapping[str, Any], context: Context, script: Script, count: bool
) -> Emit | Sleep | Wait:
    where = (script, context.run_id, context.node, context.visit, context.attempt)
    seconds = lasts(*where)
    if seconds:
        await asyncio.sleep(seconds)
    act = act_of(*where)
    if isinstance(act, Raises):
        error = PermanentFailure if act.permanent else ScriptedError
        raise error("as its script says")
    if isinstance(act, Sleeps):
        return Sleep(act.seconds)
    if isinstance(act, Waits):
        return Wait(act.name, act.patience or None)
    if isinstance(act, Overruns):
        raise AssertionError(f"{context.node} was not cut off at its timeout")
    if count:
        context.state = {"visits": context.state.get("visits", 0) + 1}
    tags = {port: tag_of(message) for port, message in messages.items()}
    if script.waits:
        tags["signal"] = tag_of(context.signal)
    if script.tells:
        context.send(script.tells, NEWS, news(context.run_id, context.node, context.visit))
    at = f"{context.now.timestamp() * 1000:013.0f}"
    return Emit(act.port, returned(*where, tags, key_of(context.idempotency_key), at))


def _actors() -> list[AnyActor]:
    made: list[AnyActor] = []
    for manner in MANNERS:
        for inports, function in enumerate(_functions(manner == "counting"), 1):
            made.append(
                Actor(
                    function,
                    scripted_name(inports, manner),
                    inports=INPORTS[:inports],
                    outports=lambda config: config["script"]["ports"],
                    state=dict if manner == "counting" else None,
                    at_most_once=manner == "once",
                )
            )
    return made


def _functions(count: bool) -> list[Any]:
    """One function for each number of inports: a signature is what an actor's ports follow from."""

    async def one(a: Any, context: Context, *, script: Script) -> Any:
        return await _play({"a": a}, context, script, count)

    async def two(a: Any, b: Any, context: Context, *, script: Script) -> Any:
        return await _play({"a": a, "b": b}, context, script, count)

    async def three(a: Any, b: Any, c: Any, context: Context, *, script: Script) -> Any:
        return await _play({"a": a, "b": b, "c": c}, context, script, count)

    async def four(a: Any, b: Any, c: Any, d: Any, context: Context, *, script: Script) -> Any:
        return await _play({"a": a, "b": b, "c": c, "d": d}, context, script, count)

    return [one, two, three, four]


SCRIPTED = Registry(_actors())
