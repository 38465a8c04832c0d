"""Whatever is broken in an account, it is found, and nothing else is."""

from __future__ import annotations

import pytest

from infra.aws.doctor.findings import Level
from tests.infra.aws.doctor.account import Account
from tests.infra.aws.doctor.breaking import BROKEN, Change


def test_of_a_healthy_account_all_is_well() -> None:
    assert Account().broken() == []
    findings = Account().report().findings
    assert not any(each.mend or each.command for each in findings)
    assert {each.check for each in findings} == {
        *("clock", "stack", "resources", "function", "runtime", "recursion", "source", "quota"),
        *("visibility", "redrive", "backlog", "retention", "dead letters", "table", "indexes"),
        *("ttl", "recovery", "stream", "capacity", "public access", "lifecycle", "schedule"),
        *("last hour", "late runs", "role"),
    }


@pytest.mark.parametrize(
    ("answer", "change", "check", "level", "resource", "seen"),
    BROKEN,
    ids=[f"{check}: {seen}" for _, _, check, _, _, seen in BROKEN],
)
def test_what_is_broken_is_found_and_nothing_else(
    answer: str,
    change: Change,
    check: str,
    level: Level,
    resource: str,
    seen: str,
) -> None:
    account = Account()
    change(account.answers[answer])
    (finding,) = account.broken()
    assert (finding.check, finding.level, finding.resource.logical) == (check, level, resource)
    assert seen in finding.seen
    assert finding.mend.endswith(".")
