"""A wheel of this repository, built from a copy: building leaves files beside what it builds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGED = ("pyproject.toml", "README.md", "LICENSE", "tidestep.py", "engine", "functions", "infra")


def built_wheel(directory: Path) -> Path:
    """Build it below `directory`, with uv. Raises AssertionError with what the build has said."""
    source = directory / "source"
    source.mkdir(parents=True)
    for name in PACKAGED:
        if (ROOT / name).is_dir():
            unwanted = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, source / name, ignore=unwanted)
        else:
            shutil.copy(ROOT / name, source / name)
    command = [uv(), "build", "--quiet", "--wheel", "--out-dir", str(directory), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    (wheel,) = directory.glob("*.whl")
    return wheel


def uv() -> str:
    """The one beside this Python, or else on PATH."""
    beside = str(Path(sys.executable).parent)
    found = shutil.which("uv", path=os.pathsep.join((beside, os.environ.get("PATH", ""))))
    assert found, "uv is missing: `make test` installs it"
    return found
