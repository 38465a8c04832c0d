"""Our stack on moto, nested in another, with nothing wrong: what SAM would make of the template.

What moto lacks stays unknown: Lambda's recursion settings, the account's limits, IAM's simulation.
"""

from __future__ import annotations

import json
from typing import Any

import boto3

from infra.aws.doctor.bucket import BLOCKS
from infra.aws.table import table_definition

STACK = "shop"
TEMPLATES = "templates"
FUNCTIONS = {"DispatcherFunction": 60, "DeadLetterFunction": 60, "SweeperFunction": 50}
SOURCES = (
    ("DispatcherFunction", "StepQueue", 100),
    ("DeadLetterFunction", "StepDeadLetters", 2),
)


def deploy() -> dict[str, str]:
    """Make the stack `shop`, in the account and region of the environment.

    Gives the physical names of what is ours, by their logical ones.
    """
    s3 = boto3.client("s3")
    s3.create_bucket(
        Bucket=TEMPLATES, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    s3.put_object(Bucket=TEMPLATES, Key="ours.json", Body=json.dumps({"Resources": _resources()}))
    ours = {"TemplateURL": f"https://{TEMPLATES}.s3.amazonaws.com/ours.json"}
    nested = {"Type": "AWS::CloudFormation::Stack", "Properties": ours}
    cloudformation = boto3.client("cloudformation")
    cloudformation.create_stack(
        StackName=STACK,
        TemplateBody=json.dumps(
            {"Description": "Tidestep, and a shop.", "Resources": {"Tidestep": nested}}
        ),
    )
    (root,) = cloudformation.list_stack_resources(StackName=STACK)["StackResourceSummaries"]
    listed = cloudformation.list_stack_resources(StackName=root["PhysicalResourceId"])
    names = {
        each["LogicalResourceId"]: each["PhysicalResourceId"]
        for each in listed["StackResourceSummaries"]
    }
    _set_what_moto_leaves_out(names["Table"], names["Blobs"])
    return names


def _set_what_moto_leaves_out(table: str, bucket: str) -> None:
    dynamodb, s3 = boto3.client("dynamodb"), boto3.client("s3")
    ttl = {"Enabled": True, "AttributeName": "x"}
    dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=ttl)
    recovery = {"PointInTimeRecoveryEnabled": True}
    dynamodb.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=recovery)
    s3.put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(BLOCKS, True)
    )
    uploads = {
        "ID": "uploads",
        "Status": "Enabled",
        "Filter": {},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }
    s3.put_bucket_lifecycle_configuration(
        Bucket=bucket, LifecycleConfiguration={"Rules": [uploads]}
    )


def _resources() -> dict[str, Any]:
    table = table_definition("any")
    del table["TableName"]
    dead = {"deadLetterTargetArn": {"Fn::GetAtt": ["StepDeadLetters", "Arn"]}}
    queue = {"VisibilityTimeout": 360, "MessageRetentionPeriod": 1_209_600}
    properties: dict[str, tuple[str, dict[str, Any]]] = {
        "Role": ("IAM::Role", {"AssumeRolePolicyDocument": {}}),
        "Logs": ("Logs::LogGroup", {"LogGroupName": "/tidestep/shop"}),
        "Table": (
            "DynamoDB::Table",
            {**table, "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"}},
        ),
        "Blobs": ("S3::Bucket", {}),
        "StepDeadLetters": ("SQS::Queue", queue),
        "StepQueue": ("SQS::Queue", {**queue, "RedrivePolicy": {**dead, "maxReceiveCount": 10}}),
        "SweeperFunctionEveryMinute": (
            "Events::Rule",
            {"ScheduleExpression": "rate(1 minute)", "State": "ENABLED"},
        ),
        **{name: ("Lambda::Function", _function(seconds)) for name, seconds in FUNCTIONS.items()},
        **{
            f"{function}Source": ("Lambda::EventSourceMapping", _source(function, queue_name, most))
            for function, queue_name, most in SOURCES
        },
    }
    return {
        name: {"Type": f"AWS::{kind}", "Properties": each}
        for name, (kind, each) in properties.items()
    }


def _function(timeout_s: int) -> dict[str, Any]:
    return {
        "Code": {"ZipFile": "def handler(event, context): pass"},
        "Handler": "index.handler",
        "Runtime": "python3.13",
        "Timeout": timeout_s,
        "Role": {"Fn::GetAtt": ["Role", "Arn"]},
    }


def _source(function: str, queue: str, most: int) -> dict[str, Any]:
    return {
        "FunctionName": {"Ref": function},
        "EventSourceArn": {"Fn::GetAtt": [queue, "Arn"]},
        "BatchSize": 10,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": most},
    }
