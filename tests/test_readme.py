"""The README's workflow and actors are run as they stand there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

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
