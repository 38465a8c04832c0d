"""How `tidestep serve` serves stateful actors: which, on which runners, and what it says of it."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engine.allocation.config import CrashPolicy, PoolConfig
from engine.allocation.directory import Directory
from engine.allocation.gateway import PREFIX, Served
from engine.allocation.ports import Stepped
from engine.allocation.viewing import error_words
from engine.ports import Clock, Platform
from engine.stateful.loading import load_stateful
from infra.allocation import settings_from
from infra.local.actors.hosting import Hosting
from infra.local.actors.starters import Reach
from infra.local.cli.options import TOKEN_VARIABLE
from infra.local.cli.output import say
from infra.local.cli.wording import count, moment, one_line


@dataclass(frozen=True, slots=True)
class Stateful:
    """What is asked for. With `url`, runners are requests to it; unless `managed`, they come by
    themselves; otherwise they are processes of this machine."""

    paths: tuple[str, ...]
    pool: str
    url: str
    managed: bool
    slots_per_runner: int
    max_runners: int
    crash: CrashPolicy

    def config(self, *, verbose: bool) -> PoolConfig:
        """`verbose` are the runners that are started by this process."""
        if not self.managed:
            return PoolConfig()
        words = [word for path in self.paths for word in ("--stateful", path)]
        words += ["--verbose"] if verbose else []
        command = (sys.executable, "-m", "infra.local.cli", "runner", *words)
        return PoolConfig(
            url=self.url,
            command=() if self.url else command,
            slots_per_runner=self.slots_per_runner,
            max_runners=self.max_runners,
        )


class Stage:
    """Stateful actors on one server. Raises Misconfigured or InvalidActor for what cannot be."""

    def __init__(self, how: Stateful, url: str, clock: Clock, *, verbose: bool) -> None:
        self._how = how
        self._verbose = verbose
        self._url = url
        self._own_token = not os.environ.get(TOKEN_VARIABLE)
        self.served: Mapping[str, Served] = {
            name: Served(how.pool, how.crash) for name in load_stateful(how.paths)
        }
        token = os.environ.get(TOKEN_VARIABLE, "").strip() or secrets.token_urlsafe(24)
        self.hosting = Hosting(
            Reach(url, token),
            os.environ,
            settings_from(os.environ),
            lambda line: say(f"runner: {line}"),
            StepLog(clock, say, verbose=verbose),
        )

    async def begin(self, platform: Platform) -> None:
        """Raises PlatformError, InvalidPool or InvalidName."""
        await self.hosting.begin(platform)
        await Directory(platform).configure(self._how.pool, self._how.config(verbose=self._verbose))

    def introduce(self) -> None:
        """Say what is served, and by whom."""
        names = ", ".join(f"'{name}'" for name in self.served)
        say(f"serving actors of {names} at {self._url}{PREFIX}NAME/KEY/...")
        how = self._how
        if how.url:
            say(f"pool '{how.pool}': {self._bounds()} by GET {how.url.rstrip('/')}/start")
        elif how.managed:
            say(f"pool '{how.pool}': {self._bounds()}, processes of this machine")
        else:
            say(f"pool '{how.pool}': its runners come by themselves: tidestep runner")
        if self._own_token:
            say(f"{TOKEN_VARIABLE} is not set: only runners that this server starts can connect")

    def _bounds(self) -> str:
        runners = count(self._how.max_runners, "runner")
        return f"up to {runners} of {count(self._how.slots_per_runner, 'slot')}, when needed"


class StepLog:
    """A log line for each step of actors, runners and pools; or only for what went wrong."""

    def __init__(self, clock: Clock, say: Callable[[str], None], *, verbose: bool) -> None:
        self._clock = clock
        self._say = say
        self._verbose = verbose

    def __call__(self, step: Stepped) -> None:
        if not (self._verbose or step.error):
            return
        at = moment(step.at, self._clock.now())
        who = f"{at} {step.key.kind} {step.key.run}"
        if self._verbose:
            sent = f" -> {', '.join(step.sent)}" if step.sent else ""
            moved = step.after if step.before == step.after else f"{step.before} => {step.after}"
            self._say(f"{who} [{step.signal}] {moved}: {', '.join(step.said)}{sent}")
        if step.error:
            self._say(f"{who}: {one_line(error_words(step.error))}")
