"""The bucket of blobs: who may read it, and what is deleted in it."""

from __future__ import annotations

import asyncio

import msgspec

from infra.aws.doctor.asking import Answer, Asker, Seen, Unseen, made
from infra.aws.doctor.findings import AS_THE_TEMPLATE, About, Finding, Resource

BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


class Bucket(msgspec.Struct, frozen=True):
    blocks: Seen[frozenset[str]]
    """Those of `BLOCKS` that are on."""
    rules: Seen[tuple[Answer, ...]]
    """Of its lifecycle, those that are on."""


async def read_bucket(asker: Asker, resource: Resource) -> Bucket:
    public, lifecycle = await asyncio.gather(
        asker.ask("s3", "get_public_access_block", Bucket=resource.physical),
        asker.ask("s3", "get_bucket_lifecycle_configuration", Bucket=resource.physical),
    )
    if isinstance(public, Unseen) and public.code == "NoSuchPublicAccessBlockConfiguration":
        public = {"PublicAccessBlockConfiguration": {}}
    if isinstance(lifecycle, Unseen) and lifecycle.code == "NoSuchLifecycleConfiguration":
        lifecycle = {}
    return Bucket(made(public, _blocks), made(lifecycle, _rules))


def _blocks(answer: Answer) -> frozenset[str]:
    settings = answer["PublicAccessBlockConfiguration"]
    return frozenset(name for name in BLOCKS if settings.get(name))


def _rules(answer: Answer) -> tuple[Answer, ...]:
    return tuple(rule for rule in answer.get("Rules", ()) if rule.get("Status") == "Enabled")


# -- judging --------------------------------------------------------------------------------------


def judge_bucket(resource: Resource, bucket: Bucket) -> list[Finding]:
    if isinstance(bucket.rules, Unseen) and bucket.rules.gone:
        return [About("bucket", resource).unseen(bucket.rules)]
    return [judge_public(resource, bucket.blocks), *judge_rules(resource, bucket.rules)]


def judge_public(resource: Resource, blocks: Seen[frozenset[str]]) -> Finding:
    about = About("public access", resource)
    if isinstance(blocks, Unseen):
        return about.unseen(blocks)
    off = [name for name in BLOCKS if name not in blocks]
    if not off:
        return about.ok("public access is blocked")
    settings = ",".join(f"{name}=true" for name in BLOCKS)
    return about.problem(
        f"off: {', '.join(off)}: the values of runs could be made public",
        "Set it, as the template does.",
        f"aws s3api put-public-access-block --bucket {resource.physical} "
        f"--public-access-block-configuration {settings}",
    )


def judge_rules(resource: Resource, rules: Seen[tuple[Answer, ...]]) -> list[Finding]:
    about = About("lifecycle", resource)
    if isinstance(rules, Unseen):
        return [about.unseen(rules)]
    found = []
    for rule in rules:
        if {"Days", "Date"} & set(rule.get("Expiration", ())):
            seen = f"rule '{rule.get('ID', '')}' deletes by age: a run that sleeps may need it yet"
            found.append(about.problem(seen, "Take the rule out of the bucket's lifecycle."))
    if any("AbortIncompleteMultipartUpload" in rule for rule in rules):
        return found or [about.ok("unfinished uploads are deleted, and nothing else")]
    seen = "unfinished uploads are kept, and paid for"
    return [*found, about.warning(seen, AS_THE_TEMPLATE)]
