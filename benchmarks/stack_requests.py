"""What a step asks of AWS once it is deployed, beside what the engine counts for the same step.

The stack runs on a stand-in that notes each request of the dispatcher's role; the engine's count is
that of `infra.aws.metering`, over answering dictionaries. Both take a run through the same steps,
after one that has read the definition. Neither sees what Lambda's poller receives and deletes.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from rich.table import Table

from benchmarks.answering import AnsweringQueue, AnsweringTable
from benchmarks.report import Aim, ratio, table
from benchmarks.simulated import BEGUN_AT, PACE_MS, SimulatedClock, simulated_platform
from engine.actors import load_registry
from engine.dispatcher import Dispatcher
from engine.documents import load_definition
from engine.ordered import OrderedJournal
from engine.ports import Delivery
from engine.starting import Starter
from infra.aws.dynamodb import DynamoStore
from infra.aws.metering import MeteredClient
from infra.aws.sqs import SqsQueue
from tests.stack.deployment import Deployment
from tests.stack.ministack import serving
from tests.stack.sam import deploy
from tests.stack.tools import ROOT

STEPS = 20
RUNS = 5
SAME = 1.05
STEP_MS = 60_000
WORKFLOW = ROOT / "tests" / "stack" / "app" / "stackapp" / "workflows" / "count.yaml"
ACTORS = "tests.stack.app.stackapp.actors"


def requests_of_a_step(
    template: Path, parameters: Mapping[str, str], scratch: Path
) -> tuple[Table, list[Aim]]:
    deployed = _deployed(template, parameters, scratch)
    counted = asyncio.run(_counted())
    actions = sorted(deployed | counted)
    rows = [[action, *_row(deployed[action], counted[action])] for action in actions]
    rows += [[], ["all", *_row(deployed.total(), counted.total())]]
    columns = [f"a chain of {STEPS} steps", "ratio", "deployed, a step", "counted, a step"]
    aim = Aim(
        "Requests of a deployed step, to those that the engine counts",
        deployed.total() / counted.total(),
        SAME,
        "A process that reads the definition for the first time asks once more.",
    )
    return table("Requests of a step, deployed on a stand-in", columns, rows), [aim]


def _row(deployed: int, counted: int) -> list[str]:
    return [ratio(deployed, counted), f"{deployed / STEPS:.2f}", f"{counted / STEPS:.2f}"]


def _deployed(template: Path, parameters: Mapping[str, str], scratch: Path) -> Counter[str]:
    """By action, the median of several runs."""
    with serving(scratch) as server:
        deploy(template, "bench", parameters, server.environment)
        deployment = Deployment(server, "bench")
        role = deployment.resources["DispatcherFunctionRole"]
        runs: list[Counter[str]] = []
        seen = 0
        for number in range(RUNS + 1):
            deployment.start("count", f"count-{number}", {"left": STEPS})
            deployment.end(f"count-{number}", 60)
            notes = (scratch / "requests.jsonl").read_text().splitlines()
            new = map(json.loads, notes[seen:])
            seen = len(notes)
            runs.append(Counter(n["action"] for n in new if n["principal"].split("/")[1] == role))
        measured = runs[1:]
        actions = {action for each in measured for action in each}
        return Counter({name: round(median(run[name] for run in measured)) for name in actions})


async def _counted() -> Counter[str]:
    clock, queue = SimulatedClock(BEGUN_AT), AnsweringQueue()
    dynamodb, sqs = MeteredClient(AnsweringTable()), MeteredClient(queue)
    store, sending = DynamoStore(dynamodb, "steps"), SqsQueue(sqs, "https://queue.invalid")
    platform = simulated_platform(OrderedJournal(store, sending), clock)
    registry = load_registry([ACTORS])
    definition = load_definition(WORKFLOW, registry)
    dispatcher = Dispatcher(platform, registry)
    for run in ("first", "second"):
        await Starter(platform).start(definition, {"left": STEPS}, run)
        dynamodb.take(), sqs.take()
        while bodies := await queue.poll():
            for body in bodies:
                clock.ms += PACE_MS
                await dispatcher.handle(Delivery(body), clock.ms + STEP_MS)
    asked = dynamodb.take().requests + sqs.take().requests
    return sum((Counter({_action(name): n}) for name, n in asked.items()), Counter())


def _action(operation: str) -> str:
    """What permits an operation: a batch of messages is permitted as one message is."""
    if operation.startswith("send_message"):
        return "sqs:SendMessage"
    return f"dynamodb:{operation.title().replace('_', '')}"
