"""The loop on virtual time: jumps, order, hosts that die or stand still."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from engine.simulation.world.loop import Deadlock, Host, Standstill, VirtualLoop


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    yield loop
    loop.close()


def test_time_jumps_to_the_next_timer(loop: VirtualLoop) -> None:
    seen: list[float] = []

    async def wait() -> None:
        for days in (1, 30, 365):
            await asyncio.sleep(days * 86_400)
            seen.append(loop.time() / 86_400)

    loop.run_until_complete(wait())
    assert seen == [1, 31, 396]


def test_it_is_an_ordinary_loop_for_a_runner() -> None:
    async def race() -> str:
        async with asyncio.TaskGroup() as group:
            slow = group.create_task(asyncio.sleep(2, "slow"))
            fast = group.create_task(asyncio.sleep(1, "fast"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(9), 3)
        return f"{fast.result()} {slow.result()}"

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(race()) == "fast slow"


def test_timers_of_one_moment_run_in_the_order_they_were_set(loop: VirtualLoop) -> None:
    seen: list[int] = []
    for number in range(20):
        loop.call_later(5, seen.append, number)
    loop.call_later(4, seen.append, -1)
    assert loop.run_dry(until=10)
    assert seen == [-1, *range(20)]


def test_running_dry_stops_before_a_time_that_is_too_late(loop: VirtualLoop) -> None:
    seen: list[str] = []
    loop.call_later(1, seen.append, "soon")
    loop.call_later(100, seen.append, "late")
    assert not loop.run_dry(until=50)
    assert seen == ["soon"]
    assert loop.run_dry(until=200)
    assert seen == ["soon", "late"]


def test_waiting_for_what_can_never_happen_is_a_deadlock(loop: VirtualLoop) -> None:
    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock, match="nothing is left that could happen"):
        loop.run_until_complete(wait())


def test_code_that_lets_no_time_pass_is_stopped(
    loop: VirtualLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.simulation.world.loop.STANDSTILL", 1000)

    async def spin() -> None:
        for _ in range(10_000):
            await asyncio.sleep(0)

    with pytest.raises(Standstill):
        loop.run_until_complete(spin())


def test_what_would_run_in_a_thread_runs_at_once(loop: VirtualLoop) -> None:
    async def ask() -> int:
        return await asyncio.to_thread(lambda: 7)

    assert loop.run_until_complete(ask()) == 7


def test_another_thread_is_refused(loop: VirtualLoop) -> None:
    with pytest.raises(RuntimeError, match="one thread"):
        loop.call_soon_threadsafe(print)


def test_a_simulation_inside_a_running_loop_is_refused(loop: VirtualLoop) -> None:
    async def nest() -> None:
        loop.run_dry(until=1)

    with pytest.raises(RuntimeError, match="call it from plain code"):
        asyncio.run(nest())


def _on_host(
    loop: VirtualLoop, work: Callable[[], Coroutine[Any, Any, Any]], then: Callable[[Host], None]
) -> None:
    """Run `work` on a host to which `then` happens after 5 s; run until nothing is left."""
    host = Host("host")

    async def begin() -> None:
        host.spawn(work())

    loop.run_until_complete(begin())
    loop.call_later(5, then, host)
    assert loop.run_dry(until=1000)


def test_a_killed_host_runs_nothing_more_not_even_what_its_tasks_began(loop: VirtualLoop) -> None:
    seen: list[str] = []

    async def child() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            seen.append("child's finally")

    async def work() -> None:
        try:
            asyncio.get_running_loop().call_later(7, seen.append, "timer")
            async with asyncio.timeout(8):
                await asyncio.gather(child(), asyncio.create_task(child()))
        except BaseException as error:
            seen.append(repr(error))
        finally:
            seen.append("finally")

    _on_host(loop, work, Host.kill)
    assert seen == []


def test_a_frozen_host_goes_on_when_it_is_thawed(loop: VirtualLoop) -> None:
    seen: list[float] = []

    async def work() -> None:
        for _ in range(3):
            await asyncio.sleep(4)
            seen.append(loop.time())

    def freeze(host: Host) -> None:
        host.freeze()
        loop.call_later(60, loop.thaw, host)

    _on_host(loop, work, freeze)
    assert seen == [4, 65, 69]


def test_a_host_killed_while_frozen_never_thaws(loop: VirtualLoop) -> None:
    seen: list[float] = []

    async def work() -> None:
        await asyncio.sleep(6)
        seen.append(loop.time())

    def freeze_and_kill(host: Host) -> None:
        host.freeze()
        loop.call_later(10, host.kill)
        loop.call_later(20, loop.thaw, host)

    _on_host(loop, work, freeze_and_kill)
    assert seen == []


def test_what_escapes_from_a_callback_is_kept(loop: VirtualLoop) -> None:
    loop.call_soon(lambda: 1 // 0)
    loop.run_dry(until=1)
    assert [type(error) for error in loop.complaints] == [ZeroDivisionError]


def test_what_is_ready_on_a_host_killed_at_this_instant_does_not_run(loop: VirtualLoop) -> None:
    seen: list[str] = []

    async def work() -> None:
        seen.append("ran")

    async def begin() -> None:
        host = Host("host")
        host.spawn(work())
        host.kill()

    loop.run_until_complete(begin())
    assert loop.run_dry(until=10)
    assert seen == []


def test_no_time_passes_for_the_timers_of_the_dead(loop: VirtualLoop) -> None:
    async def work() -> None:
        await asyncio.sleep(100)

    _on_host(loop, work, Host.kill)
    assert loop.time() == 5
