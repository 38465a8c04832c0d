"""What the first answer of a deployed function takes: built packages in AWS's runtime emulator.

A function is started, asked once, and ended; all of them in turns. The yardstick is a function that
does nothing but import boto3. Nothing can be written where packages lie, as on Lambda: what has no
bytecode is compiled at every start. `as built` is what `sam build` makes; for `layers compiled`,
the packages in the layers were given bytecode as well.
"""

from __future__ import annotations

import os
import shutil
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table

from benchmarks.report import Report, table
from benchmarks.stack_requests import requests_of_a_step
from tests.stack.emulated_stack import EmulatedStack, emulating, event, request
from tests.stack.runtime_emulator import Package, emulated, packages, runtime_python
from tests.stack.sam import build
from tests.stack.tools import ROOT
from tests.stack.tools import run as run_command

ROUNDS = 5
APPLICATION = ROOT / "tests" / "stack" / "app"
PARAMETERS = {
    "App": os.path.relpath(APPLICATION, ROOT / "infra" / "stack"),
    "Actors": "stackapp.actors",
    "Workflows": "stackapp/workflows",
    "AppEnvironment": '{"SHOP": "Owl & Co.", "TIDESTEP_SECRET_SHOP_CODE": "7"}',
    "ExposeEnv": "SHOP",
}
AS_BUILT, COMPILED = "as built", "layers compiled"
BOTO3 = "boto3 alone"
YARDSTICKS = {
    BOTO3: "import boto3\ndef handler(event, context): return 1\n",
    "boto3, two clients, one read": (
        "import boto3, os\n"
        "dynamodb, sqs = boto3.client('dynamodb'), boto3.client('sqs')\n"
        "key = {'p': {'S': 'none'}, 's': {'S': 'none'}}\n"
        "def handler(event, context):\n"
        "    dynamodb.get_item(TableName=os.environ['TIDESTEP_TABLE'], Key=key)\n"
        "    return 1\n"
    ),
}
_EVENTS = {
    "DeadLetterFunction": "dead_letters",
    "SweeperFunction": "sweeper",
    "CallbackFunction": "callback",
    "RunnersFunction": "websocket_hello",
    "PoolFunction": "pool",
}
_MB = 1_000_000


@dataclass(frozen=True)
class Start:
    """Until the first answer."""

    seconds: float
    cpu_s: float


def run(scratch: Path) -> Report:
    scratch = scratch.resolve()  # functions run in directories of their own
    template = build(ROOT, scratch / "built", PARAMETERS)
    built = packages(template.parent / "Tidestep")
    compiled = _with_compiled_layers(built, scratch / "layers")
    yardsticks = dict(_yardsticks(scratch / "yardsticks"))
    found: dict[tuple[str, str], list[Start]] = {}
    with emulating(built, scratch) as stack:
        for turn in range(ROUNDS + 1):
            for name, package in yardsticks.items():
                start = _started(stack, package, {})
                if turn:  # the first fills the caches of the machine
                    found.setdefault((name, AS_BUILT), []).append(start)
            for name in sorted(built):
                asked = _event(stack, name, turn)
                for layers, functions in ((AS_BUILT, built), (COMPILED, compiled)):
                    start = _started(stack, functions[name], asked[layers])
                    if turn:
                        found.setdefault((name, layers), []).append(start)
    requests, aims = requests_of_a_step(template, PARAMETERS, scratch / "deployed")
    return Report([_starts(found, sorted(built)), _sizes(built), requests], aims)


def _starts(found: Mapping[tuple[str, str], Sequence[Start]], functions: Sequence[str]) -> Table:
    rows = [[name, *_row(found, name, AS_BUILT), "", "", ""] for name in YARDSTICKS]
    rows.append([])
    for name in functions:
        built, compiled = found[name, AS_BUILT], found[name, COMPILED]
        saved = 1 - median(b.cpu_s / a.cpu_s for a, b in zip(built, compiled, strict=True))
        row = [name, *_row(found, name, AS_BUILT), *_row(found, name, COMPILED)[:1]]
        rows.append(
            [*row, f"{median(each.seconds for each in compiled) * 1000:.0f}", f"{saved:.0%}"]
        )
    columns = ["", "time to boto3", "CPU to boto3", "ms", "CPU ms"]
    columns += ["layers compiled: time", "ms", "CPU saved"]
    title = f"From nothing to a function's first answer; medians of {ROUNDS} rounds in turns"
    return table(title, columns, rows)


def _row(found: Mapping[tuple[str, str], Sequence[Start]], name: str, layers: str) -> list[str]:
    """Ratios to the yardstick within each round, and then times."""
    starts = found[name, layers]
    pairs = list(zip(starts, found[BOTO3, AS_BUILT], strict=True))
    return [
        f"{median(mine.seconds / boto3.seconds for mine, boto3 in pairs):.2f}",
        f"{median(mine.cpu_s / boto3.cpu_s for mine, boto3 in pairs):.2f}",
        f"{median(each.seconds for each in starts) * 1000:.0f}",
        f"{median(each.cpu_s for each in starts) * 1000:.0f}",
    ]


def _sizes(built: Mapping[str, Package]) -> Table:
    """All functions have the same code; of the layers each once."""
    sizes = {place.name: place for each in built.values() for place in each.layers}
    sizes["the code of each function"] = next(iter(built.values())).directory
    rows = [[name, *_size(place)] for name, place in sorted(sizes.items())]
    return table("Packages, MB", ["", "zipped", "unzipped", "of it bytecode"], rows)


def _size(place: Path) -> list[str]:
    files = [path for path in place.rglob("*") if path.is_file()]
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in files:
            packed.write(path, path.relative_to(place))
    bytecode = sum(path.stat().st_size for path in files if path.suffix == ".pyc")
    whole = sum(path.stat().st_size for path in files)
    return [f"{size / _MB:.2f}" for size in (len(archive.getvalue()), whole, bytecode)]


def _with_compiled_layers(built: Mapping[str, Package], place: Path) -> dict[str, Package]:
    copies = {layer: place / str(number) for number, layer in enumerate(_layers(built))}
    for layer, copy in copies.items():
        shutil.copytree(layer, copy)
    options = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    run_command(str(runtime_python()), *options, str(place))
    return {
        name: replace(each, layers=tuple(copies[layer] for layer in each.layers))
        for name, each in built.items()
    }


def _layers(built: Mapping[str, Package]) -> list[Path]:
    return sorted({layer for each in built.values() for layer in each.layers})


def _yardsticks(place: Path) -> Iterator[tuple[str, Package]]:
    for number, (name, program) in enumerate(YARDSTICKS.items()):
        directory = place / str(number)
        directory.mkdir(parents=True)
        (directory / "yardstick.py").write_text(program)
        yield name, Package(f"yardstick-{number}", directory, "yardstick.handler", ())


def _started(stack: EmulatedStack, package: Package, asked: Any) -> Start:
    settings = {**stack.settings, "AWS_ENDPOINT_URL": stack.account.server.url}
    settings |= {"TIDESTEP_ACTORS": "stackapp.actors", "TIDESTEP_WORKFLOWS": "stackapp/workflows"}
    with emulated(package, settings, stack.directory / "log.txt") as emulator:
        began = time.perf_counter()
        emulator.answer(asked)
        return Start(time.perf_counter() - began, emulator.cpu_s)


def _event(stack: EmulatedStack, name: str, turn: int) -> dict[str, Any]:
    """For each kind of layers an event that is answered for the first time."""
    asked: dict[str, Any] = {}
    for layers in (AS_BUILT, COMPILED):
        run_id, value = f"{name}-{turn}-{layers[0]}", {"customer": "Ada"}
        if name == "DispatcherFunction":
            stack.start("greet", run_id, value)
            asked[layers] = stack.message(run_id)
        elif name == "StartFunction":
            body = {"id": run_id, "input": value}
            asked[layers] = request("start", "/workflows/greet/runs", body)
        elif name == "GatewayFunction":  # for one that is served it waits, until a runner is there
            asked[layers] = request("gateway", "/actors/nobody/main")
        else:
            asked[layers] = event(_EVENTS[name])
    return asked
