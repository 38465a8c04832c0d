"""The long version of a torture run: one round after the other, each with a seed of its own."""

from __future__ import annotations

import argparse
import time
import traceback
from collections import Counter
from collections.abc import Callable

Play = Callable[[int], Counter[str]]
"""Plays the round of this seed, prints what came of it, and returns what it counted.

Raises AssertionError with everything that was wrong.
"""


def main(module: str, play: Play) -> int:
    """Play rounds for as long as asked, or only the one of a seed."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}")
    parser.add_argument("--seconds", type=float, default=0, help="begin no round after this time")
    parser.add_argument("--seed", type=int, default=1, help="of the first round; the next adds one")
    asked = parser.parse_args()
    began = time.monotonic()
    seed, total = asked.seed, Counter[str]()
    while True:
        print(f"seed {seed}", flush=True)
        try:
            total += play(seed)
        except AssertionError as error:
            traceback.print_exception(error)
            return 1
        seed += 1
        passed = time.monotonic() - began
        counted = ", ".join(f"{name}: {count}" for name, count in sorted(total.items()))
        print(f"  {seed - asked.seed} rounds in {passed:.0f} s without a problem; {counted}\n")
        if passed >= asked.seconds:
            return 0
