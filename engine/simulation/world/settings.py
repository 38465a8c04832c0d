"""How the simulated deployment is set up: what the template and the consoles say on AWS."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.ports import Limits


@dataclass(frozen=True, slots=True)
class Settings:
    """The defaults are the template's. Times are seconds."""

    step_timeout: float = 60.0
    """Of one invocation of the dispatcher, its actors included."""
    api_timeout: float = 15.0
    visibility: float = 360.0
    """Before an unacknowledged message comes again."""
    max_receives: int = 10
    """Before a message goes to the dead letters."""
    retention: float = 14 * 86_400.0
    concurrency: int = 10
    """Dispatchers at a time, each with batches of its own."""
    recursive: bool = True
    """Whether the dispatcher says `RecursiveLoop: Allow`."""
    sweep_every: float = 60.0
    limits: Limits = field(default_factory=Limits)
    secrets: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)


DEFAULTS = Settings()
