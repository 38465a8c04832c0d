"""Where the bounds lie, and what follows from several values at once."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec
import pytest

from engine.ports import Limits
from infra.aws.doctor import clock, functions, queues, sources, statuses
from infra.aws.doctor.asking import Unseen
from infra.aws.doctor.clock import ClockReading
from infra.aws.doctor.findings import Level, Resource, many, span
from infra.aws.doctor.functions import Configuration, Function
from infra.aws.doctor.queues import Queue
from infra.aws.doctor.runtimes import DEPRECATED_ON, judge_runtime
from infra.aws.doctor.sources import AccountLimits, Source
from infra.aws.doctor.stacks import Stack, Status
from tests.functions.templates import load_stack

OK, UNKNOWN, WARNING, PROBLEM = Level.OK, Level.UNKNOWN, Level.WARNING, Level.PROBLEM
STEPS, DEAD = Resource("StepQueue", "steps"), Resource("StepDeadLetters", "dead")
DISPATCHER = Function(
    resource=Resource("DispatcherFunction", "dispatcher"),
    configuration=Configuration(timeout_s=60),
    reserved=None,
)
QUEUE = Queue(
    arn="steps", visibility_s=360, retention_s=1_209_600, dead_letter_arn="dead", max_receives=10
)
DEAD_LETTERS = Queue(arn="dead", visibility_s=360, retention_s=1_209_600)
HIDDEN = Unseen("no")


def change(queue: Queue, **changes: int) -> Queue:
    return msgspec.structs.replace(queue, **changes)


# -- the clock -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked_at", "answered_at", "ahead_ms", "level"),
    [
        (10_400, 10_600, 0, OK),
        (9_000, 12_000, 0, OK),
        (12_900, 13_500, 1_900, OK),
        (13_001, 13_500, 2_001, WARNING),
        (7_000, 8_100, -1_900, OK),
        (7_000, 7_999, -2_001, WARNING),
        (71_000, 71_100, 60_000, WARNING),
        (71_001, 71_100, 60_001, PROBLEM),
        (-60_100, -50_001, -60_001, PROBLEM),
    ],
)
def test_a_clock_is_off_by_what_no_delay_explains(
    asked_at: int, answered_at: int, ahead_ms: int, level: Level
) -> None:
    reading = ClockReading(asked_at, answered_at, date=10_000)
    assert reading.ahead_ms == ahead_ms
    (finding,) = clock.judge_clock(reading)
    assert finding.level is level


def test_without_a_date_nothing_is_said_of_the_clock() -> None:
    for headers in ({}, {"date": "yesterday"}):
        assert clock.reading(1, 2, {"ResponseMetadata": {"HTTPHeaders": headers}}) is None
    assert clock.judge_clock(None) == []


# -- runtimes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "level"), [(-181, OK), (-180, WARNING), (-1, WARNING), (0, PROBLEM)]
)
def test_a_runtime_is_warned_of_half_a_year_before(days: int, level: Level) -> None:
    today = DEPRECATED_ON["python3.13"] + timedelta(days=days)
    assert judge_runtime(STEPS, "python3.13", today).level is level


def test_of_an_image_and_of_what_is_too_new_nothing_is_known() -> None:
    for runtime in ("", "python3.99"):
        assert judge_runtime(STEPS, runtime, date(2099, 1, 1)).level is OK


def test_every_runtime_of_the_template_has_its_date() -> None:
    assert set(load_stack()["Parameters"]["Runtime"]["AllowedValues"]) <= set(DEPRECATED_ON)


# -- statuses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "level"),
    [
        ("CREATE_COMPLETE", OK),
        ("UPDATE_COMPLETE", OK),
        ("IMPORT_COMPLETE", OK),
        ("UPDATE_ROLLBACK_COMPLETE", WARNING),
        ("CREATE_IN_PROGRESS", WARNING),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", WARNING),
        ("ROLLBACK_COMPLETE", PROBLEM),
        ("UPDATE_FAILED", PROBLEM),
        ("UPDATE_ROLLBACK_FAILED", PROBLEM),
        ("DELETE_IN_PROGRESS", PROBLEM),
        ("DELETE_FAILED", PROBLEM),
    ],
)
def test_a_stacks_status_is_judged(status: str, level: Level) -> None:
    stack = Stack("shop", "arn:aws:cloudformation:x:y:stack/shop/0", Status(status, "because"), ())
    (finding,) = statuses.judge_stack(stack)
    assert finding.level is level
    assert finding.seen == f"{status}: because"


# -- queues --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("visibility_s", "level"), [(59, PROBLEM), (60, WARNING), (359, WARNING), (360, OK)]
)
def test_a_message_is_invisible_for_six_times_its_functions_time(
    visibility_s: int, level: Level
) -> None:
    queue = change(QUEUE, visibility_s=visibility_s)
    (finding,) = queues.judge_visibility(STEPS, queue, DISPATCHER)
    assert finding.level is level


def test_only_of_the_step_queue_redelivery_must_come_before_the_sweeper() -> None:
    for resource, level in ((STEPS, WARNING), (DEAD, OK)):
        (finding,) = queues.judge_visibility(resource, change(QUEUE, visibility_s=600), DISPATCHER)
        assert finding.level is level


def test_a_timeout_that_is_not_known_leaves_the_visibility_unknown() -> None:
    consumer = msgspec.structs.replace(DISPATCHER, configuration=HIDDEN)
    (finding,) = queues.judge_visibility(STEPS, QUEUE, consumer)
    assert finding.level is UNKNOWN


@pytest.mark.parametrize(("receives", "level"), [(4, PROBLEM), (5, WARNING), (7, WARNING), (8, OK)])
def test_a_message_is_given_up_long_after_its_attempt_has_failed(
    receives: int, level: Level
) -> None:
    assert 2 * (Limits().deaths + 2) == 8
    queue = change(QUEUE, max_receives=receives)
    (finding,) = queues.judge_redrive(STEPS, queue, DEAD_LETTERS)
    assert finding.level is level


def test_where_the_dead_letter_queue_cannot_be_seen_the_rest_is_judged() -> None:
    (finding,) = queues.judge_redrive(STEPS, change(QUEUE, max_receives=4), HIDDEN)
    assert finding.level is PROBLEM
    (finding,) = queues.judge_redrive(STEPS, QUEUE, HIDDEN)
    assert finding.level is OK


@pytest.mark.parametrize(
    ("steps_s", "dead_s", "level"),
    [
        (1_209_600, 1_209_600, OK),
        (345_600, 345_600, WARNING),
        (345_600, 1_209_599, WARNING),
        (345_600, 345_599, PROBLEM),
    ],
)
def test_dead_letters_are_kept_as_long_as_sqs_can_and_no_less_than_steps(
    steps_s: int, dead_s: int, level: Level
) -> None:
    steps, dead = change(QUEUE, retention_s=steps_s), change(DEAD_LETTERS, retention_s=dead_s)
    (finding,) = queues.judge_retention(DEAD, dead, steps)
    assert finding.level is level


@pytest.mark.parametrize(
    ("visible", "in_flight", "oldest_s", "level"),
    [
        (0, 0, None, OK),
        (0, 5, 9_000.0, OK),
        (9, 5, None, OK),
        (9, 5, 1_800.0, OK),
        (9, 5, 1_801.0, WARNING),
        (9, 0, None, WARNING),
        (9, 0, 60.0, WARNING),
        (9, 0, 1_801.0, PROBLEM),
    ],
)
def test_messages_that_nobody_reads_are_told_from_a_backlog(
    visible: int, in_flight: int, oldest_s: float | None, level: Level
) -> None:
    queue = change(QUEUE, visible=visible, in_flight=in_flight)
    assert queues.judge_backlog(STEPS, queue, oldest_s, "").level is level


# -- concurrency ---------------------------------------------------------------------------------

SOURCE = Source(id="u", queue_arn="steps", concurrency=100)


@pytest.mark.parametrize(
    ("unreserved", "reserved", "level"),
    [(100, None, OK), (99, None, PROBLEM), (0, 100, OK), (99, 0, PROBLEM), (99, HIDDEN, PROBLEM)],
)
def test_a_mapping_takes_from_what_all_share_unless_its_function_has_its_own(
    unreserved: int, reserved: int | Unseen | None, level: Level
) -> None:
    function = msgspec.structs.replace(DISPATCHER, reserved=reserved)
    (finding,) = sources.judge_quota(
        AccountLimits(1000, unreserved),
        {"DispatcherFunction": function},
        {"DispatcherFunction": [SOURCE]},
    )
    assert finding.level is level


def test_a_new_account_is_told_that_it_is_one() -> None:
    (finding,) = sources.judge_quota(AccountLimits(10, 10), {}, {"DispatcherFunction": [SOURCE]})
    assert finding.level is PROBLEM
    assert finding.mend.endswith("New accounts have 10.")
    assert "--quota-code L-B99A9384 --desired-value 1000" in finding.command


@pytest.mark.parametrize(
    ("reserved", "levels"),
    [(None, []), (0, []), (99, [PROBLEM]), (100, [OK]), (HIDDEN, [])],
)
def test_what_is_reserved_must_be_enough_for_the_mapping(
    reserved: int | Unseen | None, levels: list[Level]
) -> None:
    found = sources.judge_reserved(DISPATCHER.resource, reserved, [SOURCE])
    assert [finding.level for finding in found] == levels


@pytest.mark.parametrize("reserved", [None, 1])
def test_a_function_that_may_run_is_not_stopped(reserved: int | None) -> None:
    assert functions.judge_stopped(DISPATCHER.resource, reserved) == []


# -- words ---------------------------------------------------------------------------------------


def test_lengths_of_time_and_numbers_read_well() -> None:
    assert [span(seconds) for seconds in (0.4, 119, 120, 7199, 7260, 172_800, 1_209_600)] == [
        *("0 s", "119 s", "2 min", "119 min", "2 h 1 min", "2 d 0 h", "14 d 0 h")
    ]
    assert [many(number, "run") for number in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]
