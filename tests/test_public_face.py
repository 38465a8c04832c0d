"""What `import tidestep` offers, and what it does not bring along."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tidestep


@pytest.mark.parametrize("name", tidestep.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(tidestep, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Wrokflow'"):
        _ = tidestep.Wrokflow


@pytest.mark.parametrize("module", ["tidestep", "functions.application", "infra.aws.dynamodb"])
def test_what_runs_steps_is_imported_without_the_edges_libraries(module: str) -> None:
    code = (
        f"import sys, {module}; "
        "print([m for m in ('pydantic', 'jinja2', 'httpx', 'boto3', 'aiobotocore', 'typer') "
        "if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
