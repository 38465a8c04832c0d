"""What a cold start imports: whole processes, ours and boto3's in turns.

The yardstick is `import boto3` and making its two clients, DynamoDB's and SQS's: what any function
pays that talks to both. Ours is measured without opening its clients and, as in Lambda's init
phase, with it. All bytecode is compiled before the first measurement.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from benchmarks.report import Aim, Report, table

ROUNDS = 9
LIMIT = 1.2

_SETTINGS = {
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_EC2_METADATA_DISABLED": "true",
    "POWERTOOLS_SERVICE_NAME": "tidestep",
    "POWERTOOLS_METRICS_NAMESPACE": "tidestep",
    "TIDESTEP_TABLE": "steps",
    "TIDESTEP_QUEUE_URL": "https://queue.invalid/steps",
    "TIDESTEP_BUCKET": "blobs",
}
_IN_LAMBDA = {"AWS_LAMBDA_FUNCTION_NAME": "dispatcher"}
"""Makes the dispatcher's module open its clients while it is imported."""
_BOTO3 = "boto3 and its two clients"
_IMPORT = "import functions.dispatcher"
_OPENED = "the same, opening its two clients"
_PROGRAMS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    _BOTO3: ("import boto3; boto3.client('dynamodb'); boto3.client('sqs')", {}),
    _IMPORT: ("import functions.dispatcher", {}),
    _OPENED: ("import functions.dispatcher", _IN_LAMBDA),
    "an empty process": ("", {}),
}


def run(scratch: Path) -> Report:
    with_bytecode = scratch / "bytecode"
    wall: dict[str, list[float]] = {name: [] for name in _PROGRAMS}
    cpu: dict[str, list[float]] = {name: [] for name in _PROGRAMS}
    for turn in range(ROUNDS + 1):
        for name, (program, extra) in _PROGRAMS.items():
            seconds, used = _timed(program, _environment(extra, with_bytecode))
            if turn:  # the first compiles
                wall[name].append(seconds)
                cpu[name].append(used)
    rows = [
        [
            name,
            f"{_ratio(wall, name):.2f}",
            f"{_ratio(cpu, name):.2f}",
            f"{median(wall[name]) * 1000:.0f}",
            f"{median(cpu[name]) * 1000:.0f}",
        ]
        for name in _PROGRAMS
    ]
    title = f"Cold start, whole processes; medians of {ROUNDS} rounds in turns"
    columns = ["", "time to boto3", "CPU to boto3", "ms", "CPU ms"]
    reason = (
        "The time goes into botocore's clients, which boto3 pays too, the engine with msgspec, and "
        "Powertools' logger, metrics and batch: `python -X importtime` tells them apart."
    )
    aims = [
        Aim(f"Cold start, time to boto3: {name}", _ratio(wall, name), LIMIT, reason)
        for name in (_IMPORT, _OPENED)
    ]
    return Report([table(title, columns, rows)], aims)


def _ratio(seconds: Mapping[str, list[float]], name: str) -> float:
    """To boto3, within each round; the median of that."""
    return median(mine / boto3 for mine, boto3 in zip(seconds[name], seconds[_BOTO3], strict=True))


def _environment(extra: Mapping[str, str], bytecode: Path) -> dict[str, str]:
    """The caller's environment without what would keep bytecode from being written or found."""
    unwanted = ("AWS_", "TIDESTEP_", "POWERTOOLS_", "LOCALSTACK_", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return {**kept, **_SETTINGS, **extra, "PYTHONPYCACHEPREFIX": str(bytecode)}


def _timed(program: str, environment: Mapping[str, str]) -> tuple[float, float]:
    """Seconds that a process ran, and of CPU that it used."""
    used, began = _children(), time.perf_counter()
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    return time.perf_counter() - began, _children() - used


def _children() -> float:
    times = os.times()
    return times.children_user + times.children_system
