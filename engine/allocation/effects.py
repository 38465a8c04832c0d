"""Do what a step has asked for: tell other parties, reach runners, begin requests, clear away.

What must stay true (DESIGN §4 rule 7)
- Each of it may be done twice: signals are known by their ids, commands by their numbers, requests
  by theirs. So a debt is paid by whoever finds it, and taken off the head after that.
- What one receiver is owed is paid in order: none sees a later signal of this party before an
  earlier one. Different receivers are paid side by side.
- A connection that is closed is told to its runner; the command stays with the runner's run.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from engine.allocation import frames
from engine.allocation.directory import forget_runner
from engine.allocation.head import Debt, ServiceHead
from engine.allocation.holding import report_gone
from engine.allocation.keyvalue import clear
from engine.allocation.mailing import Mailer
from engine.allocation.parties import party_of
from engine.allocation.pool_state import PoolState
from engine.allocation.ports import Allocation, ConnectionGone
from engine.allocation.rules import Clear, Evict, HangUp, Post, Request, Tell
from engine.allocation.runner_state import RunnerState
from engine.allocation.runner_table import posted
from engine.layout import RunKey
from engine.ports import Journal

log = logging.getLogger("tidestep")


class Effects:
    """Pays the debts of service runs."""

    def __init__(self, journal: Journal, mailer: Mailer, allocation: Allocation) -> None:
        self._journal = journal
        self._mailer = mailer
        self._allocation = allocation

    async def pay(self, key: RunKey, head: ServiceHead, debts: Sequence[Debt]) -> None:
        """Pay these debts of the head, in order. Raises PlatformError: then some may be paid."""
        queues: dict[object, list[Debt]] = {}
        for debt in debts:
            queues.setdefault(_receiver(debt), []).append(debt)
        if len(queues) > 1:
            paying = (self._pay_one(key, head, queue) for queue in queues.values())
            for paid in await asyncio.gather(*paying, return_exceptions=True):
                if paid is not None:
                    raise paid
        elif queues:
            await self._pay_one(key, head, debts)

    async def _pay_one(self, key: RunKey, head: ServiceHead, debts: Sequence[Debt]) -> None:
        """What one receiver is owed, in order."""
        for debt in debts:
            await self._pay(key, head, debt)

    async def _pay(self, key: RunKey, head: ServiceHead, debt: Debt) -> None:
        effect, allocation = debt.effect, self._allocation
        if isinstance(effect, Tell):
            sender = f"{key.kind}:{key.run}"
            id = f"{sender}:{debt.id}"
            to = effect.to.key(key.tenant)
            await self._mailer.signal(to, effect.signal, id, sender, debt.sequence)
        elif isinstance(effect, Post):
            if isinstance(head.state, RunnerState):
                await self._post(key, effect, posted(head.state, effect))
        elif isinstance(effect, Evict):
            try:
                evicted = frames.encode(frames.Evicted(effect.reason))
                await allocation.sockets.post(effect.connection, evicted)
            except ConnectionGone:
                return
            await allocation.sockets.close(effect.connection)
        elif isinstance(effect, HangUp):
            await allocation.sockets.close(effect.connection)
        elif isinstance(effect, Request):
            state = head.state
            if isinstance(state, PoolState) and state.held(effect.request) is not None:
                await allocation.starters.begin(key.tenant, key.run, effect.request, state.config)
        elif isinstance(effect, Clear):
            if isinstance(head.state, RunnerState):
                await forget_runner(self._journal, key, head.state)
            else:
                await clear(self._journal, key)

    async def _post(self, key: RunKey, effect: Post, texts: Sequence[str]) -> None:
        try:
            for text in texts:
                await self._allocation.sockets.post(effect.connection, text)
        except ConnectionGone:
            log.info("%s: its connection is closed", party_of(key))
            await report_gone(self._mailer, key, effect.connection)


def _receiver(debt: Debt) -> object:
    """Who must be paid in order: a party, or the one connection that a step has to do with."""
    return debt.effect.to if isinstance(debt.effect, Tell) else None
