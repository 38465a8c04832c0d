"""The process's own clock, randomness, environment and logs, as the engine's ports."""

from __future__ import annotations

import gc
import os
import random
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping

SECRET_PREFIX = "TIDESTEP_SECRET_"


class SystemClock:
    """Implements `engine.ports.Clock`."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000


class SystemEntropy:
    """Implements `engine.ports.Entropy`, from the operating system's random numbers."""

    def new_id(self) -> str:
        return urlsafe_b64encode(os.urandom(8))[:11].decode()

    def chance(self) -> float:
        return random.random()

    def new_key(self) -> bytes:
        return os.urandom(32)


class EnvironmentSecrets:
    """Implements `engine.ports.Secrets`: `secrets.API_KEY` is `TIDESTEP_SECRET_API_KEY`."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def get(self, name: str) -> str | None:
        return self._environment.get(SECRET_PREFIX + name)


def exposed(environment: Mapping[str, str], names: str) -> dict[str, str]:
    """Those environment variables that the operator lists in `names` for expressions."""
    listed = names.replace(",", " ").split()
    return {name: environment[name] for name in listed if name in environment}


def collect_garbage_less_often() -> None:
    """For processes that do nothing but steps: a step leaves no reference cycles behind.

    The interpreter's default looks for them every 700 objects, a few times in each step; a tenth of
    a worker's time went there.
    """
    gc.set_threshold(20_000, 20, 100)
