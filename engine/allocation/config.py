"""What an operator says of a pool, and a caller of an actor: plain values, checked here."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from engine.errors import CallerError


class InvalidPool(CallerError):
    """A pool's configuration makes no sense; the message names the setting."""


class CrashPolicy(StrEnum):
    """What becomes of an actor that has crashed, or whose runner was lost."""

    SLEEP = "sleep"
    """It sleeps until it is woken again, and shows the error."""
    RESTART = "restart"
    """It is given to a runner again, after a growing pause."""
    DESTROY = "destroy"
    """It ends, and its state is deleted."""


class PoolConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a pool's runners come into being, and how many. Times are milliseconds.

    With `url` a runner is a held request, `GET <url>/start`; with `command` a process of this
    machine; with neither, runners come by themselves, and nothing is started or stopped.
    """

    url: str = ""
    headers: dict[str, str] = {}
    """Sent with each request; values may be secrets, and are not shown."""
    command: tuple[str, ...] = ()
    slots_per_runner: int = 1
    min_runners: int = 0
    max_runners: int = 1000
    margin: int = 0
    """Runners beyond those that are needed."""
    lifespan_ms: int = 3_600_000
    """How long a runner may live before another takes its place: AWS Lambda ends it after 900 s."""

    @property
    def serverless(self) -> bool:
        """Whether the pool starts runners itself."""
        return bool(self.url or self.command)

    def desired(self, slots: int) -> int:
        """How many runners are wanted while `slots` actors are allocated or wait."""
        needed = -(-max(0, slots) // self.slots_per_runner)
        return min(self.max_runners, max(self.min_runners, needed) + self.margin)


def checked_pool(config: PoolConfig, drain_ms: int) -> PoolConfig:
    """Raises InvalidPool."""
    problems = []
    if config.url and config.command:
        problems.append("give either url or command: a runner is a held request or a process")
    if config.url and not config.url.startswith(("http://", "https://")):
        problems.append(f"url {config.url!r}: it must begin with http:// or https://")
    if config.slots_per_runner < 1:
        problems.append("slots_per_runner: at least 1")
    if not 0 <= config.min_runners <= config.max_runners:
        problems.append("min_runners: from 0 to max_runners")
    if config.max_runners < 1:
        problems.append("max_runners: at least 1")
    if config.margin < 0:
        problems.append("margin: at least 0")
    if config.lifespan_ms <= 2 * drain_ms:
        problems.append(f"lifespan: more than {2 * drain_ms / 1000:g} seconds, twice the drain")
    if problems:
        raise InvalidPool("; ".join(problems))
    return config
