"""`tidestep serve`: a worker and a server in one process, stopped together."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.infra.local.cli.conftest import ACTORS, Processes, Tidestep, eventually

ASKING = "tests.infra.local.http.actors"
WORKFLOW = """
name: asking
nodes: [{id: ask, actor: test.ask}]
output: "{{ nodes.ask.output }}"
"""


def served_at(process: subprocess.Popen[str]) -> str:
    """The address that a `tidestep serve --port 0` says it serves."""
    assert process.stderr is not None
    found = re.fullmatch(
        r"serving (http://\S+)/callbacks/\.\.\. and \1/health\n", process.stderr.readline()
    )
    assert found is not None
    return found[1]


def test_a_run_hands_out_an_address_is_answered_there_and_goes_on(
    processes: Processes, tidestep: Tidestep, directory: Path
) -> None:
    (directory / "asking.yaml").write_text(WORKFLOW)
    server = processes.start("serve", "--actors", ASKING, "--port", "0")
    base = served_at(server)
    processes.run("start", "asking.yaml", "--actors", ASKING, "--id", "a1")
    eventually((directory / "address").exists)
    address = (directory / "address").read_text()
    assert address.startswith(f"{base}/callbacks/")
    with httpx.Client(trust_env=False) as client:
        eventually(lambda: client.get(address).json()["open"])
        shown = client.get(address).json()
        assert (shown["run"], shown["node"]) == ("a1", "ask")
        first = client.post(address, json={"approved": True})
        assert first.status_code == 200
        assert client.post(address, json={"approved": True}).text == first.text
        assert client.post(address, json={"approved": False}).status_code == 409
        eventually(lambda: "completed" in tidestep("show", "a1").out)
        assert client.get(address).json()["open"] is False
        assert client.post(address, json={"approved": True}).text == first.text
        assert client.post(address, json={"approved": False}).status_code == 409
    assert json.loads(tidestep("show", "a1", "--json").out)["output"] == {"approved": True}
    server.send_signal(signal.SIGTERM)
    assert processes.end(server).code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_that_is_asked_to_stop_stops_and_says_so(
    processes: Processes, directory: Path, number: signal.Signals
) -> None:
    server = processes.start("serve", "--actors", ACTORS, "--port", "0")
    base = served_at(server)
    assert server.stderr is not None
    assert "working on tidestep.db with" in server.stderr.readline()
    with httpx.Client(trust_env=False) as client:
        assert client.get(f"{base}/health").json() == {"status": "ok"}
        assert client.get(base).status_code == 404
        server.send_signal(number)
        ran = processes.end(server)
    assert ran.code == 0
    assert ran.out == ""
    assert "stopping as soon as the running steps have ended" in ran.err
    assert ran.err.endswith("stopped; what is unfinished waits for the next worker\n")
    assert "Traceback" not in ran.err


def test_it_works_on_runs_as_work_does(processes: Processes, directory: Path) -> None:
    server = processes.start("serve", "--actors", ACTORS, "--port", "0", "--json")
    served_at(server)
    processes.run("start", "greet.yaml", "--actors", ACTORS, "--id", "g1")
    assert server.stdout is not None
    events: list[dict[str, object]] = []
    while not (events and events[-1]["type"] == "Completed"):
        events.append(json.loads(server.stdout.readline()))
    server.send_signal(signal.SIGTERM)
    assert processes.end(server).code == 0


def test_a_second_interrupt_stops_at_once(processes: Processes, directory: Path) -> None:
    processes.run("start", "gate.yaml", "--actors", ACTORS, "--id", "g1")
    server = processes.start("serve", "--actors", ACTORS, "--port", "0")
    eventually((directory / "reached").exists)
    assert server.stderr is not None
    server.send_signal(signal.SIGINT)
    while "Ctrl-C again stops at once" not in server.stderr.readline():
        assert server.poll() is None
    server.send_signal(signal.SIGINT)
    ran = processes.end(server)
    assert ran.code == 130
    assert "Traceback" not in ran.err


def test_a_port_in_use_is_an_error_before_the_database_is_touched(
    tidestep: Tidestep, directory: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ran = tidestep("serve", "--port", port)
    assert ran.code == 6
    assert f"error: cannot listen on 127.0.0.1, port {port}: " in ran.err
    assert "--port" in ran.err
    assert not (directory / "tidestep.db").exists()


def test_beside_another_worker_it_is_refused_as_any_worker(
    processes: Processes, tidestep: Tidestep, directory: Path
) -> None:
    worker = processes.start("work", "--actors", ACTORS)
    assert worker.stderr is not None
    assert "working on" in worker.stderr.readline()
    assert tidestep("serve", "--port", "0").code == 7


def test_an_address_from_outside_is_checked_and_shown(
    processes: Processes, tidestep: Tidestep, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tidestep("serve", "--port", "0", "--public-url", "flows.example.com")
    assert (ran.code, "TIDESTEP_CALLBACK_URL" in ran.err) == (6, True)

    monkeypatch.setenv("TIDESTEP_CALLBACK_URL", "https://flows.example.com")
    server = processes.start("serve", "--port", "0")
    served_at(server)
    assert server.stderr is not None
    said = server.stderr.readline()
    assert said == "callbacks are handed out as https://flows.example.com/callbacks/...\n"


def test_only_serve_loads_the_server(directory: Path) -> None:
    code = (
        "import sys\nfrom infra.local.cli import main\n"
        "assert main(('serve', '--help')) == 0 and main(('list',)) == 4\n"
        "print('IMPORTED', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(Path(__file__).parents[4])},
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(done.stdout[done.stdout.index("IMPORTED") :].split())
    assert not imported & {"starlette", "uvicorn", "h11", "anyio"}
