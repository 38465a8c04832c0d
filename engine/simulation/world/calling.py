"""Callers from outside: what they may ask for, and that they ask again where nobody answers.

A call is an invocation of a function like any other: its process can die at any point of it. A
caller who gets no answer, or is told that the platform is in trouble, asks again; one who is told
that the request itself cannot be served does not. Some ask again although they were answered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from engine.definition import Definition
from engine.errors import PlatformError, TidestepError
from engine.forking import UNCHANGED, Forker
from engine.layout import DEFAULT_TENANT, RunKey, WaitAddress
from engine.operating import GRACE_S, Operator, Redriven
from engine.ports import Platform
from engine.reading import RunReader, RunView
from engine.signalling import Answered, Signaller
from engine.simulation.observing import Observer
from engine.simulation.world.faults import SUBJECT
from engine.simulation.world.functions import Function, ProcessDied, escaped
from engine.simulation.world.process import Process
from engine.simulation.world.stage import Stage
from engine.snapshot import Head
from engine.starting import Started, Starter

T = TypeVar("T")

FIRST_WAIT_MS = 1000
LONGEST_WAIT_MS = 60_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What a caller was told: `result` is what the call returned, or the error that it raised."""

    call: str
    key: RunKey
    asked: Any
    result: Any


class Api:
    """What one process of the API can do; it keeps what a process keeps."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.starter = Starter(platform)
        self.signaller = Signaller(platform)
        self.operator = Operator(platform)
        self.forker = Forker(platform)
        self.answers: list[Answer] = []
        """Of this invocation."""

    async def start(
        self,
        definition: Definition,
        input: Any = None,
        run: str | None = None,
        tenant: str = DEFAULT_TENANT,
    ) -> Started:
        started = self.starter.start(definition, input, run, tenant)
        key = RunKey(tenant, run or "")
        return await self.call("start", key, started, (definition, input))

    async def signal(
        self,
        run: str,
        name: str,
        payload: Any = None,
        id: str | None = None,
        tenant: str = DEFAULT_TENANT,
    ) -> Answered:
        """Give it an `id`: a caller who asks again must name the same signal."""
        key = RunKey(tenant, run)
        signalled = self.signaller.signal(key, name, payload, id)
        return await self.call("signal", key, signalled, (name, payload))

    async def answer(self, address: WaitAddress, payload: Any = None) -> Answered:
        """Answer one wait, as its callback address does."""
        answered = self.signaller.answer(address, payload)
        return await self.call("answer", address.key, answered, ("", payload))

    async def cancel(self, run: str, tenant: str = DEFAULT_TENANT) -> Head:
        key = RunKey(tenant, run)
        return await self.call("cancel", key, self.operator.cancel(key))

    async def close(self, run: str, grace_s: float = GRACE_S, tenant: str = DEFAULT_TENANT) -> Head:
        """The graceful cancel."""
        key = RunKey(tenant, run)
        return await self.call("close", key, self.operator.close(key, grace_s))

    async def retry(self, run: str, tenant: str = DEFAULT_TENANT) -> Head:
        key = RunKey(tenant, run)
        return await self.call("retry", key, self.operator.retry(key))

    async def fork(
        self,
        run: str,
        step: int | str,
        new_run: str,
        message: Any = UNCHANGED,
        input: Any = UNCHANGED,
        tenant: str = DEFAULT_TENANT,
    ) -> Started:
        forked = self.forker.fork(RunKey(tenant, run), step, new_run, message, input)
        key = RunKey(tenant, new_run)
        return await self.call("fork", key, forked, (run, step, message, input))

    async def redrive(self, tenant: str = DEFAULT_TENANT, **which: Any) -> Redriven:
        """The answer is told as one about no run."""
        return await self.call("redrive", RunKey(tenant, ""), self.operator.redrive(**which))

    async def view(self, run: str, tenant: str = DEFAULT_TENANT) -> RunView:
        key = RunKey(tenant, run)
        return await self.call("view", key, RunReader(self.platform).view(key))

    async def call(
        self, name: str, key: RunKey, work: Coroutine[Any, Any, T], asked: Any = None
    ) -> T:
        """Do `work`, which is a call of this name about this run, and asks for this."""
        try:
            result = await work
        except PlatformError:
            raise
        except TidestepError as error:
            self.answers.append(Answer(name, key, asked, error))
            raise
        self.answers.append(Answer(name, key, asked, result))
        return result


Act = Callable[[Api], Awaitable[Any]]


class Caller:
    """Somebody outside who asks for one thing until it is answered."""

    def __init__(self, stage: Stage, api: Function[Api], name: str, act: Act) -> None:
        self._stage = stage
        self._api = api
        self._name = name
        self._act = act
        self._wait_ms = FIRST_WAIT_MS
        self._once_more = True

    def ask(self) -> None:
        self._api.invoke(self._work, self._answered)

    async def _work(self, process: Process, api: Api) -> list[Answer]:
        SUBJECT.set(self._name)
        if self._stage.dice.fault("call", ("crashed",)):
            process.doom()
        self._stage.note(process.name, "called: {}", self._name)
        api.answers = []
        try:
            await self._act(api)
        except PlatformError:
            raise
        except TidestepError as error:
            self._stage.note(process.name, "{} refused: {}", self._name, error)
        if process.spare():
            await process.die("when all was done")
        return api.answers

    def _answered(self, answers: list[Answer] | None, error: Exception | None) -> None:
        stage = self._stage
        if error is not None:
            escaped(stage, error)
            why = "no answer" if isinstance(error, ProcessDied) else str(error)
            stage.note("caller", "{}: {}; asks again", self._name, why)
            self._again()
            return
        for each in answers or ():
            stage.note("caller", "{} {} answered: {}", each.call, each.key.run, each.result)
            stage.tell(partial(_told, each))
        if self._once_more and stage.dice.fault("answer", ("asked_again",), self._name):
            self._again()
        self._once_more = False

    def _again(self) -> None:
        self._stage.later(self._wait_ms, self.ask)
        self._wait_ms = min(2 * self._wait_ms, LONGEST_WAIT_MS)


def _told(answer: Answer, observer: Observer, at: int) -> None:
    observer.answered(answer.call, answer.key, answer.result, at)
    if not isinstance(answer.result, BaseException):
        observer.granted(answer.call, answer.key, answer.asked, answer.result, at)
