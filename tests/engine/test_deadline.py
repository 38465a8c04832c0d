"""Cutting a coroutine off at its deadline."""

from __future__ import annotations

import asyncio

import pytest

from engine.deadline import run_within


async def at_once() -> str:
    return "done"


async def after_waiting() -> str:
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return "done"


async def fail_after_waiting() -> None:
    await asyncio.sleep(0)
    raise ValueError("boom")


async def nested() -> int:
    async def inner(number: int) -> int:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, number)
        return await future

    return sum(await asyncio.gather(*(inner(n) for n in range(5))))


async def for_ever(log: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        log.append("cleaned up")


def test_a_coroutine_that_never_waits_sets_no_timer() -> None:
    async def scenario() -> None:
        scope = asyncio.timeout(0)
        assert await run_within(at_once(), scope) == "done"
        assert scope.when() is not None
        assert not scope.expired()

    asyncio.run(scenario())


@pytest.mark.parametrize(("work", "result"), [(after_waiting, "done"), (nested, 10)])
def test_a_coroutine_that_waits_goes_on_as_it_would_have(work, result) -> None:  # type: ignore[no-untyped-def]
    async def scenario() -> None:
        assert await run_within(work(), asyncio.timeout(60)) == result

    asyncio.run(scenario())


def test_its_exceptions_come_through() -> None:
    async def scenario() -> None:
        with pytest.raises(ValueError, match="boom"):
            await run_within(fail_after_waiting(), asyncio.timeout(60))

    asyncio.run(scenario())


def test_a_coroutine_that_waits_too_long_is_cut_off_and_may_clean_up() -> None:
    log: list[str] = []

    async def scenario() -> None:
        scope = asyncio.timeout(0.001)
        with pytest.raises(TimeoutError):
            await run_within(for_ever(log), scope)
        assert scope.expired()

    asyncio.run(scenario())
    assert log == ["cleaned up"]


def test_a_cancellation_from_outside_reaches_the_coroutine() -> None:
    log: list[str] = []

    async def scenario() -> None:
        task = asyncio.create_task(run_within(for_ever(log), asyncio.timeout(60)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert log == ["cleaned up"]


def test_its_own_time_out_can_be_told_apart() -> None:
    async def own() -> None:
        async with asyncio.timeout(0.001):
            await asyncio.Event().wait()

    async def scenario() -> None:
        scope = asyncio.timeout(60)
        with pytest.raises(TimeoutError):
            await run_within(own(), scope)
        assert not scope.expired()

    asyncio.run(scenario())
