"""What `sam local invoke` needs: a Docker engine that has AWS's image of a Python runtime.

Where Docker runs and the image can be pulled, that is all. Elsewhere an engine of one's own is
started, from Debian's packages and with its files below `build/`, and given a stand-in of the
image: this machine's Python, and what AWS's image has beside it. It is not Amazon Linux: it shows
that templates, handlers, packages and layers fit together, not that a library of another processor
or C library loads.

What must stay true
- The engine ends with the session, and leaves neither rules of a firewall nor a network behind.
- What containers publish is published on loopback. They reach this machine, and nothing else, by
  the address of the engine's own network.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

from tests.stack.sam import ARCHITECTURE, RUNTIME
from tests.stack.tools import ROOT, environment, install_debian, run
from tests.stack.tools import RUNTIME as RUNTIME_PACKAGES

PLACE = ROOT / "build" / "docker"
VERSION = RUNTIME.removeprefix("python")
IMAGE = f"public.ecr.aws/lambda/python:{VERSION}-{ARCHITECTURE}"
"""As the SAM CLI names it."""
NETWORK = "192.168.213.1/24"
"""Of an engine of one's own, whose address is the first."""
BRIDGE = "docker0"
STARTS_WITHIN_S = 60

PROGRAMS = ("sh", "cp", "mv", "rm", "chmod")
"""The SAM CLI builds an image of the layers with them."""
FOR_LAYERS = ("librt.so.1", "libdl.so.2", "libpthread.so.0", "libutil.so.1", "libgcc_s.so.1")
"""Parts of the C library and the compiler that wheels may be linked to, whatever Python is."""
LEFT_OUT = {"test", "site-packages", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3"}
"""Of the standard library; and what is compiled into the interpreter."""
DIRECTORIES = ("opt", "proc", "sys", "dev", "etc", "tmp", "var/task", "var/rapid", "var/runtime")
BOOTSTRAP = f"""#!/bin/sh
export PYTHONPATH=/opt/python/lib/python{VERSION}/site-packages:/opt/python
cd /var/task
exec /var/lang/bin/python{VERSION} -m awslambdaric "$_HANDLER"
"""
"""What the emulator in a container starts."""


@dataclass(frozen=True)
class Engine:
    """`address` is where containers reach this machine."""

    address: str
    environment: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def engine() -> Iterator[Engine]:
    """One that has the image. Raises AssertionError, with what the engine says, where none runs."""
    if _succeeds("docker", "version") and _succeeds("docker", "pull", "--quiet", IMAGE):
        wanted = "{{(index .IPAM.Config 0).Gateway}}"
        yield Engine(run("docker", "network", "inspect", "bridge", "--format", wanted).strip())
        return
    PLACE.parent.mkdir(exist_ok=True)
    with FileLock(f"{PLACE}.lock"), _own() as own:
        _import_stand_in(own)
        yield own


def _succeeds(*command: str) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def _own() -> Iterator[Engine]:
    assert os.geteuid() == 0, "no Docker engine is running, and starting one takes root"
    if shutil.which("dockerd") is None:
        install_debian("docker.io")
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir()
    socket = f"unix://{PLACE}/docker.sock"
    command = ["dockerd", "--host", socket, "--pidfile", str(PLACE / "docker.pid")]
    command += ["--data-root", str(PLACE / "data"), "--exec-root", str(PLACE / "exec")]
    command += ["--bip", NETWORK, "--iptables=false", "--ip6tables=false", "--ip-forward=false"]
    bridge = Path("/sys/class/net", BRIDGE)
    was_there = bridge.exists()
    with (PLACE / "log.txt").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            told = {"DOCKER_HOST": socket}
            _await_start(process, told)
            yield Engine(NETWORK.partition("/")[0], told)
        finally:
            process.terminate()
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if bridge.exists() and not was_there:
                run("ip", "link", "delete", BRIDGE)
            shutil.rmtree(PLACE, ignore_errors=True)


def _await_start(process: subprocess.Popen[bytes], told: Mapping[str, str]) -> None:
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until and process.poll() is None:
        asked = ["docker", "version"]
        done = subprocess.run(asked, env={**os.environ, **told}, capture_output=True, check=False)
        if done.returncode == 0:
            return
        time.sleep(0.2)
    said = (PLACE / "log.txt").read_text()[-4000:]
    raise AssertionError(f"the Docker engine does not run on this machine:\n{said}")


def _import_stand_in(engine: Engine) -> None:
    archive = PLACE / "image.tar"
    with tarfile.open(archive, "w") as image:
        _fill(image)
    command = ["docker", "import", "--change", "WORKDIR /var/task", str(archive), IMAGE]
    run(*command, env={**os.environ, **engine.environment})
    archive.unlink()


def _fill(image: tarfile.TarFile) -> None:
    for name in DIRECTORIES:
        directory = tarfile.TarInfo(name)
        directory.type, directory.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
        image.addfile(directory)
    _add_text(image, "var/runtime/bootstrap", BOOTSTRAP, 0o755)
    _add_text(image, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", 0o644)

    interpreter = Path(sys.executable).resolve()
    image.add(interpreter, f"var/lang/bin/python{VERSION}")
    library = Path(sysconfig.get_path("stdlib")).resolve()
    installed = f"var/lang/lib/python{VERSION}"
    image.add(library, installed, filter=_without(installed))
    packages = environment(*RUNTIME_PACKAGES).parent / "lib" / f"python{VERSION}" / "site-packages"
    image.add(packages, f"{installed}/site-packages")

    programs = [Path(shutil.which(name) or name) for name in PROGRAMS]
    for program in programs:
        image.add(program.resolve(), f"bin/{program.name}")
    binaries = [interpreter, *programs, *library.glob("lib-dynload/*.so"), *packages.rglob("*.so")]
    libraries = _libraries(binaries)
    (beside,) = {library.parent for library in libraries if library.name == "libc.so.6"}
    libraries |= {path for name in FOR_LAYERS if (path := beside / name).exists()}
    for needed in sorted(libraries):
        image.add(needed.resolve(), str(needed).lstrip("/"))


def _without(installed: str) -> Callable[[tarfile.TarInfo], tarfile.TarInfo | None]:
    """A filter for the standard library."""

    def kept(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        parts = Path(member.name).relative_to(installed).parts
        if parts and (parts[0] in LEFT_OUT or parts[0].startswith("config-")):
            return None
        return member

    return kept


def _libraries(binaries: list[Path]) -> set[Path]:
    """What the dynamic linker loads for them, as it names it."""
    asked = subprocess.run(
        ["ldd", *map(str, binaries)], text=True, capture_output=True, check=False
    )
    named = re.findall(r"(?:=> |^\s+)(/\S+) \(0x", asked.stdout, re.MULTILINE)
    assert named, asked.stderr
    return {Path(name) for name in named}


def _add_text(image: tarfile.TarFile, name: str, text: str, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(text), mode
    image.addfile(member, io.BytesIO(text.encode()))
