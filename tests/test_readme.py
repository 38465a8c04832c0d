"""The README's workflow and actors are run as they stand there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

README = Path("README.md").read_text()


def block(language: str, name: str) -> str:
    (found,) = re.findall(rf"```{language}\n# {re.escape(name)}\n(.*?)```", README, re.DOTALL)
    return str(found)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "order.yaml").write_text(block("yaml", "order.yaml"))
    (tmp_path / "shop.py").write_text(block("python", "shop.py"))
    return tmp_path


def tidestep(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infra.local.cli", *arguments]
    environment = {"PYTHONPATH": str(Path.cwd()), "PATH": ""}
    return subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=60
    )


def test_the_workflow_is_valid(shop: Path) -> None:
    checked = tidestep(shop, "validate", "order.yaml", "--actors", "shop")
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize(
    ("customer", "quantity", "output"),
    [
        ("Ada", 3, {"ship": {"sent": "a parcel", "service": "standard"}}),
        ("Ada", 30, {"ship": {"sent": "a parcel", "service": "insured"}}),
        ("Ada", 300, {"apologise": {"text": "Sorry, Ada: sold out."}}),
        ("Mallory", 3, {"apologise": {"text": "Sorry, Mallory: the card was declined."}}),
    ],
)
def test_the_workflow_does_what_the_readme_says(
    shop: Path, customer: str, quantity: int, output: object
) -> None:
    order = json.dumps({"sku": "teapot", "quantity": quantity, "customer": customer})
    ran = tidestep(shop, "run", "order.yaml", "--actors", "shop", "--input", order)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == output


def test_the_printed_output_is_the_one_that_the_readme_shows(shop: Path) -> None:
    order = '{"sku": "teapot", "quantity": 3, "customer": "Ada"}'
    ran = tidestep(shop, "run", "order.yaml", "--actors", "shop", "--input", order)
    assert ran.stdout in README


# -- the actor that sleeps ------------------------------------------------------------------------


@contextmanager
def serving(directory: Path) -> Iterator[str]:
    """The server of the README, on a free port; the address of its actors."""
    command = [
        sys.executable,
        "-m",
        "infra.local.cli",
        "serve",
        "--stateful",
        "game",
        "--port",
        "0",
    ]
    environment = {"PYTHONPATH": str(Path.cwd()), "PATH": ""}
    with subprocess.Popen(
        command, cwd=directory, env=environment, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        try:
            for line in server.stderr:
                if found := re.search(r"serving actors of 'counter' at (http\S+)/NAME/KEY", line):
                    yield found[1]
                    break
        finally:
            server.kill()


def test_the_counter_counts_and_survives_that_its_server_is_killed(tmp_path: Path) -> None:
    (tmp_path / "game.py").write_text(block("python", "game.py"))
    with serving(tmp_path) as url:
        answer = httpx.get(f"{url}/counter/main", trust_env=False, timeout=30)
    assert answer.text == '{"count":1}'
    with serving(tmp_path) as url:
        answer = httpx.get(f"{url}/counter/main", trust_env=False, timeout=30)
    assert answer.text == '{"count":2}'


def test_the_page_on_actors_shows_the_same_counter() -> None:
    assert block("python", "game.py") in Path("docs/actors.md").read_text()
