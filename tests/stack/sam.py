"""The SAM CLI: build the templates, deploy what was built, and delete it again."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.stack.tools import ROOT, SAM, environment, run

RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
"""Of this interpreter, which is the one that the stand-ins run functions with."""
ARCHITECTURE = {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]
PARAMETERS = {"Runtime": RUNTIME, "Architecture": ARCHITECTURE}


def sam(*arguments: str, cwd: Path = ROOT, **variables: str) -> str:
    """What the SAM CLI prints. Raises AssertionError with all of it where it fails."""
    binaries = environment(*SAM)
    unwanted = ("AWS_", "SAM_", "TIDESTEP_", "VIRTUAL_ENV", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    told = {
        "PATH": f"{binaries}{os.pathsep}{kept['PATH']}",
        "SAM_CLI_TELEMETRY": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        **variables,
    }
    return run("sam", *arguments, cwd=cwd, env={**kept, **told})


def build(directory: Path, target: Path, parameters: Mapping[str, str]) -> Path:
    """Build the template in `directory` into `target`; where the built template lies."""
    given = overrides({**PARAMETERS, **parameters})
    sam("build", "--build-dir", str(target), *given, cwd=directory)
    return target / "template.yaml"


def deploy(
    template: Path, name: str, parameters: Mapping[str, str], account: Mapping[str, str]
) -> str:
    """Deploy a built template; `account` is the environment that names the stand-in."""
    return sam(
        "deploy",
        "--template-file",
        str(template),
        "--stack-name",
        name,
        "--resolve-s3",
        "--capabilities",
        "CAPABILITY_IAM",
        "CAPABILITY_AUTO_EXPAND",
        "--no-confirm-changeset",
        "--no-progressbar",
        *overrides({**PARAMETERS, **parameters}),
        cwd=template.parent,
        **account,
    )


def overrides(parameters: Mapping[str, str]) -> list[str]:
    """Each value in quotes, which is what the SAM CLI takes any text in."""
    escaped = {name: re.sub(r'([\\"])', r"\\\1", value) for name, value in parameters.items()}
    return ["--parameter-overrides", *(f'{name}="{value}"' for name, value in escaped.items())]
