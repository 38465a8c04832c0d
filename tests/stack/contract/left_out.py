"""What a stand-in cannot do, by the names of the tests that show it.

Each of them is run all the same, and must fail: what begins to work has to leave this list.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from engine.errors import StoreUnusable
from infra.aws.failures import Unsupported

DYNAMODB_LOCAL = "dynamodb-local"
MINISTACK = "ministack"


@dataclass(frozen=True)
class LeftOut:
    reason: str
    raises: type[Exception]
    cases: tuple[str, ...] = ()
    """The ids of the parameters with which the test fails; none: with all of them."""

    def only(self, *cases: str) -> Self:
        return replace(self, cases=cases)


NO_EMPTY_BINARY = LeftOut(
    "the build of January 2020 refuses an empty binary attribute; DynamoDB takes it since May 2020",
    StoreUnusable,
)
TEN_AT_MOST = LeftOut(
    "the build of 2020 takes 10 items in a transaction, DynamoDB 100", StoreUnusable
)
WINNER_UNTOLD = LeftOut(
    "the build of 2020 does not know ReturnValuesOnConditionCheckFailure outside transactions, so "
    "that the winner costs a second request",
    AssertionError,
)
NO_BACKUPS = LeftOut("it has no backups to recover from", Unsupported)
BILLS_ABSENT_TWICE = LeftOut(
    "the build of 2020 bills two units for what a batch deletes and is not there, one without a "
    "batch; DynamoDB always one",
    AssertionError,
)
BILLS_FOUR_TIMES = LeftOut(
    "the build of 2020 bills a transaction four times instead of twice, its items' sizes in one "
    "sum, and its index entries as often; DynamoDB writes those once",
    AssertionError,
)

LEFT_OUT: dict[str, dict[str, LeftOut]] = {
    DYNAMODB_LOCAL: {
        "test_a_swap_that_expects_something_else_names_the_winner_and_writes_nothing": (
            NO_EMPTY_BINARY.only("0-None-", "0--None", "1-None-", "1--None", "3-None-", "3--None")
        ),
        "test_a_commit_writes_replaces_and_deletes_with_its_head": NO_EMPTY_BINARY,
        "test_a_swap_that_expects_something_else_stops_the_whole_commit_and_names_what_stands": (
            NO_EMPTY_BINARY.only("0-wrong7", "1-wrong7", "2-wrong7")
        ),
        "test_a_swap_writes_other_items_with_its_own_and_over_theirs": TEN_AT_MOST,
        "test_a_swap_takes_twenty_others_written_and_deleted_together": TEN_AT_MOST,
        "test_a_commit_takes_ninety_swaps": TEN_AT_MOST,
        "test_a_conflict_brings_the_winner_without_a_second_request": WINNER_UNTOLD,
        "test_a_refused_swap_brings_the_winner_without_a_second_request": (
            WINNER_UNTOLD.only("also0")
        ),
        "test_the_table_is_on_demand_and_recoverable": NO_BACKUPS,
        "test_deleting_what_is_not_there_costs_a_unit_in_a_batch_too": BILLS_ABSENT_TWICE,
        "test_a_transaction_is_billed_twice_and_its_index_entries_once": BILLS_FOUR_TIMES,
    },
    MINISTACK: {},
}
"""By stand-in, by test."""


def left_out(stand_in: str, test: str, case: str) -> LeftOut | None:
    found = LEFT_OUT[stand_in].get(test)
    return found if found and (not found.cases or case in found.cases) else None
