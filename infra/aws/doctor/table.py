"""The table: whether it is the one that the store uses, and what keeps it safe and small."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from infra.aws.doctor.asking import Answer, Asker, Seen, Unseen, made
from infra.aws.doctor.findings import AS_THE_TEMPLATE, About, Finding, Resource
from infra.aws.table import RUNS_INDEX, TTL_ATTRIBUTE, WAKE_INDEX, table_definition


class Index(msgspec.Struct, frozen=True):
    """A secondary index. `keys` are "h:N d:N": names and types, the hash key first."""

    keys: str
    status: str = "ACTIVE"
    backfilling: bool = False
    projects: tuple[str, ...] = ()
    """KEYS_ONLY, ALL or INCLUDE, then the attributes of the last."""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    arn: str = ""
    status: str = "ACTIVE"
    keys: str
    """As an index's."""
    indexes: Mapping[str, Index]
    on_demand: bool = True
    most_units: bool = False
    """Whether what it may use on demand is bounded."""
    stream: bool = True


class TableSeen(msgspec.Struct, frozen=True):
    table: Seen[Table]
    ttl: Seen[tuple[str, str]]
    """Status and attribute."""
    recovery: Seen[str]
    """ENABLED or DISABLED: point-in-time recovery."""


async def read_table(asker: Asker, resource: Resource) -> TableSeen:
    described, ttl, backups = await asyncio.gather(
        *(
            asker.ask("dynamodb", operation, TableName=resource.physical)
            for operation in (
                "describe_table",
                "describe_time_to_live",
                "describe_continuous_backups",
            )
        )
    )
    return TableSeen(
        made(described, lambda told: table_of(told["Table"])),
        made(ttl, lambda told: _ttl(told["TimeToLiveDescription"])),
        made(backups, _recovery),
    )


def table_of(described: Mapping[str, Any]) -> Table:
    """Of what DescribeTable says, or of the parameters of CreateTable, which look the same."""
    types = {
        each["AttributeName"]: each["AttributeType"] for each in described["AttributeDefinitions"]
    }

    def keys(schema: list[dict[str, str]]) -> str:
        in_order = sorted(schema, key=lambda each: each["KeyType"])  # HASH, RANGE
        names = [each["AttributeName"] for each in in_order]
        return " ".join(f"{name}:{types[name]}" for name in names)

    def index(one: Mapping[str, Any]) -> Index:
        projection = one.get("Projection", {})
        attributes = sorted(projection.get("NonKeyAttributes", ()))
        return Index(
            keys(one["KeySchema"]),
            one.get("IndexStatus", "ACTIVE"),
            one.get("Backfilling", False),
            (projection.get("ProjectionType", ""), *attributes),
        )

    billing = described.get("BillingModeSummary", described).get("BillingMode")
    return Table(
        arn=described.get("TableArn", ""),
        status=described.get("TableStatus", "ACTIVE"),
        keys=keys(described["KeySchema"]),
        indexes={
            each["IndexName"]: index(each) for each in described.get("GlobalSecondaryIndexes", ())
        },
        on_demand=billing == "PAY_PER_REQUEST",
        most_units=any(units > 0 for units in described.get("OnDemandThroughput", {}).values()),
        stream=bool(described.get("StreamSpecification", {}).get("StreamEnabled")),
    )


def _ttl(described: Answer) -> tuple[str, str]:
    return described.get("TimeToLiveStatus", ""), described.get("AttributeName", "")


def _recovery(answer: Answer) -> str:
    backups = answer["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {})
    return str(recovery.get("PointInTimeRecoveryStatus", "DISABLED"))


# -- judging --------------------------------------------------------------------------------------

_WANTED = table_of(table_definition("any"))


def judge_table(resource: Resource, seen: TableSeen) -> list[Finding]:
    """All that the table shows by itself."""
    found = [judge_ttl(resource, seen.ttl), judge_recovery(resource, seen.recovery)]
    if isinstance(seen.table, Unseen):
        return [About("table", resource).unseen(seen.table), *found]
    return [
        judge_status(resource, seen.table),
        judge_indexes(resource, seen.table),
        judge_stream(resource, seen.table),
        judge_capacity(resource, seen.table),
        *found,
    ]


def judge_status(resource: Resource, table: Table) -> Finding:
    about = About("table", resource)
    if table.keys != _WANTED.keys:
        seen = f"its key is {table.keys}, and the store's is {_WANTED.keys}"
        return about.problem(seen, "This is another table: see which one the stack names.")
    if table.status == "ACTIVE":
        return about.ok("ACTIVE, with the key that the store uses")
    if table.status in ("UPDATING", "CREATING"):
        return about.warning(f"its status is {table.status}", "Ask again when that has ended.")
    seen = f"its status is {table.status}: nothing can be read or written"
    return about.problem(seen, "See the table in the console, and the key that encrypts it.")


def judge_indexes(resource: Resource, table: Table) -> Finding:
    about = About("indexes", resource)
    for name, wanted in _WANTED.indexes.items():
        index = table.indexes.get(name)
        if index is None:
            what = {WAKE_INDEX: "the sweeper finds nothing", RUNS_INDEX: "runs cannot be listed"}
            return about.problem(f"there is no index '{name}': {what[name]}", AS_THE_TEMPLATE)
        if (index.keys, index.projects) != (wanted.keys, wanted.projects):
            seen = f"index '{name}' has {index.keys} {' '.join(index.projects)}"
            wants = f"{wanted.keys} {' '.join(wanted.projects)}"
            return about.problem(f"{seen}; the store's has {wants}", AS_THE_TEMPLATE)
        if index.backfilling or index.status != "ACTIVE":
            seen = f"index '{name}' is {index.status}" + ", filling" * index.backfilling
            mend = "Ask again when that has ended; until then it lacks runs."
            return about.warning(seen, mend)
    return about.ok(f"{' and '.join(_WANTED.indexes)} are ACTIVE")


def judge_ttl(resource: Resource, ttl: Seen[tuple[str, str]]) -> Finding:
    about = About("ttl", resource)
    if isinstance(ttl, Unseen):
        return about.unseen(ttl)
    status, attribute = ttl
    if status in ("ENABLED", "ENABLING") and attribute == TTL_ATTRIBUTE:
        return about.ok(f"{status} on '{attribute}'")
    seen = f"time to live is {status or 'off'}" + f" on '{attribute}'" * bool(attribute)
    return about.problem(
        f"{seen}, and not on '{TTL_ATTRIBUTE}': what has expired stays, and is paid for",
        "Set it, as the template does.",
        f"aws dynamodb update-time-to-live --table-name {resource.physical} "
        f"--time-to-live-specification Enabled=true,AttributeName={TTL_ATTRIBUTE}",
    )


def judge_recovery(resource: Resource, recovery: Seen[str]) -> Finding:
    about = About("recovery", resource)
    if isinstance(recovery, Unseen):
        return about.unseen(recovery)
    if recovery == "ENABLED":
        return about.ok("point-in-time recovery is on")
    return about.warning(
        f"point-in-time recovery is {recovery}: what is deleted by mistake is lost",
        "Set it, as the template does.",
        f"aws dynamodb update-continuous-backups --table-name {resource.physical} "
        "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true",
    )


def judge_stream(resource: Resource, table: Table) -> Finding:
    about = About("stream", resource)
    if table.stream:
        return about.ok("its stream is on")
    return about.warning("its stream is off: what you hang behind it gets nothing", AS_THE_TEMPLATE)


def judge_capacity(resource: Resource, table: Table) -> Finding:
    about = About("capacity", resource)
    if not table.on_demand:
        mend = "Set BillingMode to PAY_PER_REQUEST, as the template does, or watch its throttles."
        return about.warning("its capacity is provisioned: steps are throttled beyond it", mend)
    if table.most_units:
        mend = "Take OnDemandThroughput away, or watch its throttles."
        return about.warning("what it may use on demand is bounded", mend)
    return about.ok("on demand")
