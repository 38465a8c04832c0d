"""The CPU time of a step by the steps behind it: pure parts and whole step, in five processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.report import Aim, Report, table
from benchmarks.shapes import LENGTHS

PROCESSES = 5
LIMIT = 1.3
_PURE = ("decode", "plan", "settle", "encode")
_WHOLE = "whole step"
_REASON = (
    "CPU times are noisy on a busy machine: look at the neighbouring lengths, and run it again."
)

Found = Sequence[dict[str, dict[str, dict[str, float]]]]
"""For each process: shape -> length -> part -> CPU seconds per step."""


def run(scratch: Path) -> Report:
    found = [_measured() for _ in range(PROCESSES)]
    rows: list[Sequence[str]] = []
    for shape in found[0]:
        for length in LENGTHS:
            microseconds = [_cost(found, shape, length, (part,)) for part in _PURE]
            rows.append(
                [
                    shape if length == min(LENGTHS) else "",
                    f"{length:,}",
                    f"{_ratio(found, shape, length, _PURE):.2f}",
                    f"{_ratio(found, shape, length, (_WHOLE,)):.2f}",
                    *(f"{part:.0f}" for part in microseconds),
                    f"{_cost(found, shape, length, _PURE):.0f}",
                    f"{_cost(found, shape, length, (_WHOLE,)):.0f}",
                ]
            )
        rows.append(())
    columns = ["shape", "steps", "engine, ratio", "whole, ratio"]
    columns += [f"{part} µs" for part in _PURE] + ["engine µs", "whole µs"]
    title = (
        "CPU of a step, by the steps behind it; ratios to 10 first. Engine is decode + plan + "
        f"settle + encode, whole adds dispatcher and actor, in memory; medians of {PROCESSES}"
    )
    aims = [_worst(found, "engine", _PURE), _worst(found, "whole step", (_WHOLE,))]
    return Report([table(title, columns, rows)], aims)


def _worst(found: Found, name: str, parts: Sequence[str]) -> Aim:
    last = max(LENGTHS)
    ratios = {shape: _ratio(found, shape, last, parts) for shape in found[0]}
    worst = max(ratios, key=lambda shape: ratios[shape])
    title = f"CPU of the last 100 steps, {last:,} to {min(LENGTHS)}: {name} (worst: {worst})"
    return Aim(title, ratios[worst], LIMIT, _REASON)


def _measured() -> dict[str, dict[str, dict[str, float]]]:
    command = [sys.executable, "-m", "benchmarks.engine_process"]
    answer = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found: dict[str, dict[str, dict[str, float]]] = json.loads(answer.stdout)
    return found


def _cost(found: Found, shape: str, length: int, parts: Sequence[str]) -> float:
    """Microseconds per step, the median over the processes."""
    return median(
        sum(process[shape][str(length)][part] for part in parts) * 1e6 for process in found
    )


def _ratio(found: Found, shape: str, length: int, parts: Sequence[str]) -> float:
    """To length 10, within each process; the median of that."""
    return median(
        sum(process[shape][str(length)][part] for part in parts)
        / sum(process[shape][str(min(LENGTHS))][part] for part in parts)
        for process in found
    )
