"""A deployed stack, seen from outside: its APIs, and the AWS services behind it."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.stack.ministack import REGION, Ministack
from tests.stack.tools import run

T = TypeVar("T")
ENDED = ("completed", "failed", "cancelled")
CREDENTIALS = Credentials("test", "test")


def eventually(seconds: float, look: Callable[[], T | None], what: str) -> T:
    """What `look` finds, as soon as it does: the functions run in processes of their own."""
    until = time.monotonic() + seconds
    while True:
        found = look()
        if found is not None:
            return found
        assert time.monotonic() < until, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.2)


class Deployment:
    """The stack called `name` on this stand-in."""

    def __init__(self, server: Ministack, name: str) -> None:
        self.server = server
        self.name = name

    def client(self, service: str) -> Any:
        options = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=self.server.url, region_name=REGION, **options)

    @cached_property
    def outputs(self) -> dict[str, str]:
        described = self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"][0]
        return {each["OutputKey"]: each["OutputValue"] for each in described["Outputs"]}

    @cached_property
    def resources(self) -> dict[str, str]:
        """Logical name -> physical one, of the stack and of all that it nests."""
        found: dict[str, str] = {}
        stacks = [self.name]
        while stacks:
            listed = self.client("cloudformation").list_stack_resources(StackName=stacks.pop())
            for each in listed["StackResourceSummaries"]:
                found[each["LogicalResourceId"]] = each["PhysicalResourceId"]
                if each["ResourceType"] == "AWS::CloudFormation::Stack":
                    stacks.append(each["PhysicalResourceId"])
        return found

    @property
    def worker_environment(self) -> dict[str, str]:
        """What a command with `--aws` must be told."""
        return {
            **self.server.environment,
            "TIDESTEP_TABLE": self.outputs["TableName"],
            "TIDESTEP_QUEUE_URL": self.outputs["QueueUrl"],
            "TIDESTEP_BUCKET": self.outputs["BucketName"],
        }

    def tidestep(self, *command: str) -> str:
        """What a command of `tidestep` prints, with `--aws`."""
        return run(
            sys.executable,
            "-m",
            "infra.local.cli",
            *command,
            "--aws",
            env={**os.environ, **self.worker_environment},
        )

    def sockets_url(self) -> str:
        """Where the stand-in serves the WebSocket API."""
        return f"{self.server.url.replace('http', 'ws')}{self._below(self.outputs['SocketsUrl'])}"

    def api(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """A signed request to the API of runs."""
        return self.request(self.outputs["ApiUrl"], method, path, body, signed=True)

    def request(
        self, api: str, method: str, path: str, body: Any = None, *, signed: bool = False
    ) -> tuple[int, Any]:
        """Status and JSON of the answer. An API is told by its host, which no name server knows."""
        identity = api.split("//")[1].split(".")[0]
        address = f"{self.server.url}{path}"
        host = f"{identity}.execute-api.localhost:{self.server.url.rsplit(':', 1)[1]}"
        headers = {"Host": host, "content-type": "application/json"}
        data = None if body is None else json.dumps(body)
        request = AWSRequest(method, address, data=data, headers=headers)
        if signed:
            SigV4Auth(CREDENTIALS, "execute-api", REGION).add_auth(request)
        encoded = None if data is None else data.encode()
        sent = urllib.request.Request(address, encoded, dict(request.headers), method=method)
        try:
            with urllib.request.urlopen(sent, timeout=40) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as refused:
            return refused.code, json.loads(refused.read() or b"null")

    def start(self, workflow: str, run: str, value: Any) -> None:
        status, answer = self.api(
            "POST", f"/workflows/{workflow}/runs", {"id": run, "input": value}
        )
        assert status in (200, 201), answer

    def view(self, run: str) -> dict[str, Any]:
        status, answer = self.api("GET", f"/runs/{run}")
        assert status == 200, answer
        view: dict[str, Any] = answer
        return view

    def end(self, run: str, seconds: float = 30) -> dict[str, Any]:
        """The run, once it has ended."""

        def look() -> Mapping[str, Any] | None:
            view = self.view(run)
            return view if view["status"] in ENDED else None

        return dict(eventually(seconds, look, f"the end of run '{run}'"))

    def _below(self, address: str) -> str:
        identity, stage = address.split("//")[1].split(".")[0], address.rsplit("/", 1)[1]
        return f"/_aws/execute-api/{identity}/{stage}"
