"""An actor's keys and values: stored when a call returns, bounded, read across frames."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from engine.allocation.frames import Fetch, Refused, ResponseStart, Save, Stopped
from engine.errors import InvalidValue, NotJson, TooLarge
from engine.stateful import KeyValues, Request, Runner, StatefulActor, stateful_actor
from engine.stateful.kv import KEY_BYTES, KEYS_AT_ONCE, VALUE_BYTES
from tests.engine.stateful.peer import Peer, play


@stateful_actor(idle=None)
class Cupboard(StatefulActor[None]):
    async def on_request(self, request: Request) -> Any:
        kv = self.kv
        match request.path:
            case "/put":
                await kv.put("apple", {"sort": "Boskoop"})
                await kv.put_many({"pear": 1, "plum": None})
            case "/get":
                fig = await kv.get("fig", 7)
                many = await kv.get_many(["pear", "fig", "apple", "pear"])
                return [await kv.get("apple"), fig, await kv.get("plum", 7), many]
            case "/list":
                rest = await kv.list("p", after="pear")
                return [await kv.list(), await kv.list("p"), rest, await kv.list(limit=2)]
            case "/delete":
                await kv.delete("pear", "fig")
                await kv.delete()
        return list(await kv.list(limit=1000))


def test_what_was_put_is_found_listed_in_order_and_deleted() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="cupboard")
        apple = {"sort": "Boskoop"}
        assert await peer.answered("/put") == ["apple", "pear", "plum"]
        assert await peer.answered("/get") == [apple, 7, None, {"pear": 1, "apple": apple}]
        every, p, rest, two = await peer.answered("/list")
        assert every == {"apple": apple, "pear": 1, "plum": None}
        assert (p, rest) == ({"pear": 1, "plum": None}, {"plum": None})
        assert list(two) == ["apple", "pear"]
        assert await peer.answered("/delete") == ["apple", "plum"]

    play(scenario, Cupboard)


def test_reads_go_on_where_not_everything_fits_into_one_frame() -> None:
    @stateful_actor
    class Large(StatefulActor[None]):
        async def on_request(self, request: Request) -> Any:
            wanted = [f"k{number:03}" for number in range(130)]
            listed = await self.kv.list(limit=125)
            return [await self.kv.get_many(["none", *wanted]), listed]

    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.fetch_most = 7
        stored = {f"k{number:03}": number for number in range(200)}
        peer.values["a"] = {key: msgspec.Raw(b"%d" % value) for key, value in stored.items()}
        peer.start(name="large")
        many, listed = await peer.answered()
        assert many == {key: stored[key] for key in sorted(stored)[:130]}
        assert list(listed.items()) == sorted(stored.items())[:125]

    play(scenario, Large)


def test_a_put_returns_when_it_is_stored() -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.silent.add(Save)
        peer.start(name="cupboard")
        peer.ask("/put")
        save = await peer.sent(Save)
        await asyncio.sleep(5)
        assert len(peer.of(Save)) == 1
        assert save.puts == {"apple": msgspec.Raw(b'{"sort":"Boskoop"}')}
        assert save.state is msgspec.UNSET
        peer.answer(save)
        await peer.sent(Save, 2)

    play(scenario, Cupboard)


@pytest.mark.parametrize("path", ["/put", "/get"])
def test_a_refusal_drops_the_actor(path: str) -> None:
    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="cupboard")
        await peer.answered("/list")
        peer.refusal = "moved"
        reply = await peer.reply(peer.ask(path))
        assert isinstance(reply, Refused)
        assert reply.code == "not_here"
        await peer.reported(Stopped("refused: moved"))

    play(scenario, Cupboard)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda kv: kv.put("x" * (KEY_BYTES + 1), 1), TooLarge),
        (lambda kv: kv.put("é" * KEY_BYTES, 1), TooLarge),
        (lambda kv: kv.put("", 1), InvalidValue),
        (lambda kv: kv.get(7), InvalidValue),
        (lambda kv: kv.put("\ud800", 1), InvalidValue),
        (lambda kv: kv.put("a", "x" * VALUE_BYTES), TooLarge),
        (lambda kv: kv.put("a", float("nan")), NotJson),
        (lambda kv: kv.put("a", object()), NotJson),
        (lambda kv: kv.put_many(dict.fromkeys(map(str, range(KEYS_AT_ONCE + 1)))), TooLarge),
        (lambda kv: kv.put_many({"a": "x" * 62_000, "b": "x" * 62_000}), TooLarge),
    ],
)
def test_what_cannot_be_stored_is_the_callers_error(call: Any, error: type[Exception]) -> None:
    raised: list[Exception] = []

    @stateful_actor
    class Wrong(StatefulActor[None]):
        async def on_request(self, request: Request) -> None:
            kv: KeyValues = self.kv
            try:
                await call(kv)
            except InvalidValue as wrong:
                raised.append(wrong)

    async def scenario(peer: Peer, runner: Runner) -> None:
        peer.start(name="wrong")
        assert isinstance(await peer.reply(peer.ask()), ResponseStart)
        assert [type(each) for each in raised] == [error]
        assert not peer.of(Save)
        assert not peer.of(Fetch)

    play(scenario, Wrong)
