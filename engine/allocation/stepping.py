"""One step of a service run: one message in, one signal consumed, one commit out.

It is the dispatcher's protocol (DESIGN §4), for runs whose step needs no actor:

    message -> load head -> take ONE signal -> decide (a table) -> commit -> pay -> acknowledge

What must stay true
- The signal leaves the inbox in the transaction that saves what it has led to, with the changes of
  the pool's index. Where any of these has changed meanwhile, everything is read and decided again
  (rule 2).
- What the step owes is in the head before anybody hears of it, and is paid before the message is
  acknowledged; a step that finds debts pays them first (rules 5 and 7).
- A message has no authority: it has somebody look. Every stored signal has one; and there is one
  for the timer, where that is within the queue's reach. Further away, a sweep sends it (8, 9).
- Steps of one run, and decisions about one pool's index, that meet in one process take turns; in
  several, they conflict and try again.
- A timer that was long due when a signal came is taken before it: no stream of signals hides it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import AbstractAsyncContextManager, nullcontext
from weakref import WeakValueDictionary

import msgspec
from msgspec.structs import replace

from engine.allocation import actor_table, pool_table, runner_table
from engine.allocation.actor_moves import OWNER_ITEM
from engine.allocation.actor_state import ActorState
from engine.allocation.actor_state import Pending as PendingPhase
from engine.allocation.board import Pending
from engine.allocation.board_reading import read_board
from engine.allocation.effects import Effects
from engine.allocation.head import (
    REMEMBERED_STEPS,
    Debt,
    PartyState,
    Past,
    ServiceHead,
    decode_service,
    service_record,
)
from engine.allocation.inbox import Taken, take
from engine.allocation.mailing import Mailer, again
from engine.allocation.pool_state import PoolState
from engine.allocation.ports import Stepped
from engine.allocation.rules import Effect, Reads, Scene, Step, Tell, reads
from engine.allocation.runner_state import STOPPED, RunnerState
from engine.allocation.signals import Happened, Reported, Signal, Timer
from engine.errors import Corrupt
from engine.layout import RunKey
from engine.messages import Message
from engine.ports import Commit, Delivery, ItemConflict, Platform, RevisionConflict, Send, Swap
from engine.timing import API_LOOK_MS, LOOK_AFTER_MS, QUEUE_REACH_MS, coarse_look

log = logging.getLogger("tidestep")

CONFLICTS = 12
"""Conflicts after which a step makes room for the others."""
CONTENDED_MS = 500
PATIENCE_MS = 1_000
"""A timer lets what comes within this pass: it may have been sent before."""
PAUSE_MS = 5
"""Between two tries, at most; it doubles."""
ALL = 100_000
"""Signals of one inbox: more than there ever are."""

_TABLES = {"actor": actor_table, "runner": runner_table, "pool": pool_table}


class _Coming(msgspec.Struct, frozen=True):
    """What a step takes, with the swaps by which it leaves the inbox."""

    signal: Signal
    swaps: tuple[Swap, ...] = ()
    left: bool = False
    """Whether others stay in the inbox."""
    passed_over: bool = False
    """Whether the message's own signal is among them, and needs another message."""


class Services:
    """Steps service runs on one platform; what it keeps in between only saves work."""

    def __init__(self, platform: Platform) -> None:
        """Raises Misconfigured where the process has no way to reach runners."""
        self._platform = platform
        self._journal = platform.journal
        self._allocation = platform.allocation_to("step actors")
        self._mailer = Mailer(platform.journal, platform.clock, platform.entropy)
        self._effects = Effects(platform.journal, self._mailer, self._allocation)
        self._turns: WeakValueDictionary[object, asyncio.Lock] = WeakValueDictionary()
        self._waiting: Counter[RunKey] = Counter()
        """Deliveries that wait for their run's turn in this process."""
        self._paid_up: dict[RunKey, int] = {}
        """Runs whose debts of this revision are paid and still in the head: whoever waits for the
        turn takes them off with his own save."""

    async def handle(self, message: Message, delivery: Delivery) -> str:
        """Take one signal, if there is one, or look at the timer; what was done, in a word.

        Raises PlatformError, and leaves the delivery unacknowledged.
        """
        key = message.key
        turn = self._turn(key)
        self._waiting[key] += 1
        try:
            await turn.acquire()
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key]
        try:
            return await self._handle(key, message, delivery)
        finally:
            turn.release()

    def _turn(self, what: object) -> asyncio.Lock:
        """Of this event loop: a function's process runs one after the other."""
        return self._turns.setdefault((asyncio.get_running_loop(), what), asyncio.Lock())

    async def _handle(self, key: RunKey, message: Message, delivery: Delivery) -> str:
        for conflicts in range(CONFLICTS):
            if conflicts > 1:
                most_s = min(CONTENDED_MS, PAUSE_MS * 2**conflicts) / 1000
                await asyncio.sleep(most_s * self._platform.entropy.chance())
            head = await self._load(key)
            if head is None:
                await self._journal.send((), delivery)
                return "unknown run"
            if self._paid_up.pop(key, 0) != head.rev:
                await self._effects.pay(key, head, head.owed)
            coming = self._coming(head, await self._take(key, head))
            try:
                if coming is None:
                    return await self._rest(key, head, message, delivery)
                await self._step(key, head, coming, message, delivery)
                return "stepped"
            except (RevisionConflict, ItemConflict):
                continue
        pause = round(CONTENDED_MS * (1 + self._platform.entropy.chance()))
        await self._journal.send([again(message, pause)], delivery)
        return "deferred"

    async def sweep(self, key: RunKey) -> int:
        """Look after the party, if its time has come; how many messages were sent for it."""
        head = await self._load(key)
        now = self._platform.clock.now()
        if head is None or not 0 < head.wake_at <= now:
            return 0
        due = head.state.due
        delay = min(max(0, due - now), QUEUE_REACH_MS) if head.timer_look_at else 0
        at_once = (head.owed and head.owed_look_at <= now) or 0 < head.look_at <= now
        after = replace(
            head,
            rev=head.rev + 1,
            owed_look_at=now + LOOK_AFTER_MS if head.owed else 0,
            look_at=now + LOOK_AFTER_MS if head.look_at else 0,
            timer_look_at=coarse_look(due, now) if head.timer_look_at else 0,
        )
        sends = [self._mailer.look(key)] if at_once else []
        if 0 < head.timer_look_at <= now:
            sends.append(self._mailer.look(key, head.timer, delay))
        try:
            await self._journal.commit(Commit(service_record(key, after), head.rev, sends=sends))
        except RevisionConflict:
            return 0  # somebody else has just looked at it
        return len(sends)

    async def _load(self, key: RunKey) -> ServiceHead | None:
        body = await self._journal.head(key)
        try:
            return None if body is None else decode_service(body)
        except Corrupt as error:
            raise Corrupt(f"{key.kind} '{key.run}': {error}") from error

    async def _take(self, key: RunKey, head: ServiceHead) -> Taken | None:
        taken = await take(self._journal, key)
        if taken is not None and _overtakes(head.state, taken.envelope.signal):
            return await take(self._journal, key, ALL)
        return taken

    def _coming(self, head: ServiceHead, taken: Taken | None) -> _Coming | None:
        """What the step takes: the timer where it was long due when the signal came, else that."""
        is_due = 0 < head.state.due <= self._platform.clock.now()
        if taken is None:
            return _Coming(Timer()) if is_due else None
        if is_due and head.state.due < taken.envelope.at - PATIENCE_MS:
            return _Coming(Timer(), (), left=True, passed_over=True)
        return _Coming(taken.envelope.signal, taken.swaps, taken.left)

    async def _rest(
        self, key: RunKey, head: ServiceHead, message: Message, delivery: Delivery
    ) -> str:
        """There is nothing to take. Raises RevisionConflict."""
        now, due = self._platform.clock.now(), head.state.due
        in_reach = now < due <= now + QUEUE_REACH_MS
        timer = message.token[3]
        sends: list[Send] = []
        if in_reach and (timer == head.timer or message.sid == head.timer_owner):
            sends = [self._mailer.look(key, head.timer, due - now)]
        if head.owed or head.look_at:
            after = replace(head, rev=head.rev + 1, owed=(), look_at=0)
            await self._journal.commit(
                Commit(service_record(key, after), head.rev, sends=sends, acknowledgement=delivery)
            )
        else:
            await self._journal.send(sends, delivery)
        return "deferred" if sends else "nothing to take"

    async def _step(
        self,
        key: RunKey,
        head: ServiceHead,
        coming: _Coming,
        message: Message,
        delivery: Delivery,
    ) -> None:
        """Decide, save and pay. Raises RevisionConflict or ItemConflict, with nothing changed."""
        column = _column(coming.signal)
        wanted = reads(_TABLES[key.kind].TABLE, type(head.state.phase), column)
        async with self._turn_at_board(key, head.state, wanted):
            after = await self._save(key, head, coming, wanted, message, delivery)
        if after.owed:
            await self._effects.pay(key, after, after.owed)
            await self._paid(key, after, delivery)

    def _turn_at_board(
        self, key: RunKey, state: PartyState, wanted: Reads
    ) -> AbstractAsyncContextManager[None]:
        """Who decides from a pool's index changes it, as a rule: one after the other."""
        if not wanted:
            return nullcontext()
        return self._turn((key.tenant, _pool(key, state)))

    async def _save(
        self,
        key: RunKey,
        head: ServiceHead,
        coming: _Coming,
        wanted: Reads,
        message: Message,
        delivery: Delivery,
    ) -> ServiceHead:
        signal = coming.signal
        scene = await self._scene(key, head.state, wanted)
        step: Step[PartyState] = _TABLES[key.kind].decide(head.state, signal, scene)
        after = self._after(head, signal, step, message.sid, coming.left)
        sends = [self._mailer.look(key)] if coming.passed_over else []
        due, now = after.state.due, scene.now
        is_new = after.timer != head.timer
        # the timer's own message, or a second delivery of the one that has set it (rule 6)
        was_ours = message.token[3] == head.timer or message.sid == head.timer_owner
        if (is_new or was_ours) and 0 < due <= now + QUEUE_REACH_MS:
            sends.append(self._mailer.look(key, after.timer, max(0, due - now)))
        acknowledged = None if after.owed else delivery
        await self._journal.commit(
            Commit(
                service_record(key, after),
                head.rev,
                swaps=(*step.swaps, *coming.swaps),
                sends=sends,
                acknowledgement=acknowledged,
            )
        )
        self._tell(key, head, signal, step, scene.now)
        return after

    async def _paid(self, key: RunKey, head: ServiceHead, delivery: Delivery) -> None:
        """Take off the head what was paid; where another step has come between, it did so."""
        if key in self._waiting:
            self._paid_up[key] = head.rev
            await self._journal.send((), delivery)
            return
        after = replace(head, rev=head.rev + 1, owed=())
        record = service_record(key, after)
        try:
            await self._journal.commit(Commit(record, head.rev, acknowledgement=delivery))
        except RevisionConflict:
            await self._journal.send((), delivery)

    def _after(
        self, head: ServiceHead, signal: Signal, step: Step[PartyState], sid: str, left: bool
    ) -> ServiceHead:
        now, number = self._platform.clock.now(), head.steps + 1
        owed = tuple(
            Debt(f"{number}.{place}", number << 16 | place, effect)
            for place, effect in enumerate(step.effects)
        )
        past = Past(now, signal_name(signal), type(step.state.phase).__name__, step.said)
        after = replace(
            head,
            rev=head.rev + 1,
            state=step.state,
            steps=number,
            owed=owed,
            owed_look_at=coarse_look(0, now) if owed else 0,
            look_at=now + API_LOOK_MS if left else 0,
            past=(*head.past, past)[-REMEMBERED_STEPS:],
        )
        due = step.state.due
        if due != head.state.due:
            look_at = coarse_look(due, now) if due else 0
            after = replace(after, timer=head.timer + 1, timer_owner=sid, timer_look_at=look_at)
        return after

    async def _scene(self, key: RunKey, state: PartyState, wanted: Reads) -> Scene:
        pool = _pool(key, state)
        waits = None
        if isinstance(state, ActorState) and isinstance(state.phase, PendingPhase):
            waits = Pending(key.run, state.generation + 1, state.phase.since)
        board = await read_board(self._journal, key.tenant, pool, wanted, key.run, waits)
        owner = None
        if isinstance(state, ActorState) and state.runner and wanted:
            owner = (await self._journal.items(key.partition, [OWNER_ITEM])).get(OWNER_ITEM)
        entropy = self._platform.entropy
        fresh: tuple[str, ...] = ()
        if isinstance(state, PoolState):
            fresh = tuple(f"q{entropy.new_id()}" for _ in range(pool_table.BEGUN))
        return Scene(
            me=key.run,
            partition=key.partition,
            now=self._platform.clock.now(),
            chance=entropy.chance(),
            board=board,
            settings=self._allocation.settings,
            owner=owner,
            fresh=fresh,
        )

    def _tell(
        self, key: RunKey, head: ServiceHead, signal: Signal, step: Step[PartyState], now: int
    ) -> None:
        self._allocation.news.changed(key)
        self._allocation.watch(
            Stepped(
                key,
                signal_name(signal),
                head.phase,
                type(step.state.phase).__name__,
                step.said,
                tuple(_told(effect) for effect in step.effects),
                now,
                _new_error(head.state, step.state),
            )
        )


def _overtakes(state: PartyState, signal: Signal) -> bool:
    """Whether an event of the runner's lies in its inbox that comes before this one: what was read
    of the inbox was not all of it, or came to be while it was read."""
    if isinstance(state, RunnerState) and isinstance(signal, Happened):
        return signal.index > state.events + 1
    return False


def _pool(key: RunKey, state: PartyState) -> str:
    return key.run if isinstance(state, PoolState) else state.pool


def _column(signal: Signal) -> type:
    """Where a table says what follows from the signal."""
    return type(signal.report) if isinstance(signal, Reported) else type(signal)


def signal_name(signal: Signal) -> str:
    """What a signal is called; of a report, what it reports."""
    return _column(signal).__name__


def _new_error(before: PartyState, after: PartyState) -> str:
    """What a party says has gone wrong, where it did not say so before; of a runner, why it is
    gone."""
    if isinstance(after, RunnerState):
        return (
            "" if after.why_gone in (getattr(before, "why_gone", ""), STOPPED) else after.why_gone
        )
    count = "crashes" if isinstance(after, ActorState) else "failures"
    counted = getattr(after, count) > getattr(before, count)
    return after.error if counted or after.error != getattr(before, "error", "") else ""


def _told(effect: Effect) -> str:
    if isinstance(effect, Tell):
        return f"{effect.to}: {signal_name(effect.signal)}"
    return type(effect).__name__
