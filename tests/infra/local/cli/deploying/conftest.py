"""A project, a script that notes how it was called for a `sam`, and an HTTP server for an AWS."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from tests.infra.local.cli.conftest import Tidestep

ARN = "arn:aws:cloudformation:eu-west-1:000000000000:stack/{}/7"
OUTPUTS = {
    "ApiUrl": "https://a1.execute-api.eu-west-1.amazonaws.com",
    "TableName": "shop-Table-1",
    "QueueUrl": "https://sqs.eu-west-1.amazonaws.com/0/shop-StepQueue-1",
    "BucketName": "shop-blobs-1",
}
SAM = """#!/bin/sh
trap 'sleep 0.5; echo "sam ends by itself"; exit 130' INT
echo "$*" >> "{calls}"
echo "$PATH" > "{calls}.path"
echo "sam says: $1"
mkdir -p .aws-sam/build/BaseLayer/python
while [ -n "$LASTS" ]; do sleep 0.1; done
case " $FAILS " in *" $1 "*) echo "Error: no credentials" >&2; exit 3;; esac
"""


class CloudFormation(BaseHTTPRequestHandler):
    """Answers DescribeStacks: every stack is there, but for `none-dev`."""

    outputs = OUTPUTS
    status = "CREATE_COMPLETE"
    changes = True
    asked = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        stack = parse_qs(body)["StackName"][0]
        status, text = (400, _missing(stack)) if stack == "none-dev" else (200, self._stack(stack))
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def _second(self) -> int:
        """Another one each time, as if each look came after a deploy."""
        CloudFormation.asked += self.changes
        return CloudFormation.asked % 60

    def _stack(self, name: str) -> str:
        members = "".join(
            f"<member><OutputKey>{key}</OutputKey><OutputValue>{value}</OutputValue></member>"
            for key, value in self.outputs.items()
        )
        return (
            "<DescribeStacksResponse><DescribeStacksResult><Stacks><member>"
            f"<StackName>{name}</StackName><StackId>{ARN.format(name)}</StackId>"
            "<CreationTime>2030-01-01T00:00:00Z</CreationTime>"
            f"<LastUpdatedTime>2030-01-01T00:00:{self._second():02}Z</LastUpdatedTime>"
            f"<StackStatus>{self.status}</StackStatus>"
            f"<Outputs>{members}</Outputs></member></Stacks></DescribeStacksResult>"
            "</DescribeStacksResponse>"
        )

    def log_message(self, *given: object) -> None:
        pass


def _missing(stack: str) -> str:
    return (
        "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>"
        f"<Message>Stack with id {stack} does not exist</Message></Error></ErrorResponse>"
    )


@pytest.fixture
def outputs(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Those of every stack; the AWS clients ask the stand-in."""
    given = dict(OUTPUTS)
    monkeypatch.setattr(CloudFormation, "outputs", given)
    server = ThreadingHTTPServer(("127.0.0.1", 0), CloudFormation)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    yield given
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def project(
    tidestep: Tidestep, directory: Path, outputs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The current directory."""
    assert tidestep("init", "shop").code == 0
    monkeypatch.chdir(directory / "shop")
    return directory / "shop"


class Calls:
    """How `sam` has been called."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __call__(self) -> list[str]:
        return self.file.read_text().splitlines() if self.file.exists() else []

    @property
    def path(self) -> list[str]:
        return Path(f"{self.file}.path").read_text().strip().split(os.pathsep)


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls = Calls(tmp_path / "calls")
    add_sam(tmp_path / "bin", calls)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return calls


def add_sam(binaries: Path, calls: Calls) -> None:
    binaries.mkdir(exist_ok=True)
    (binaries / "sam").write_text(SAM.format(calls=calls.file))
    (binaries / "sam").chmod(0o755)
