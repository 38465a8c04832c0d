"""Our code and templates, laid out in a directory that the SAM CLI can build from.

The templates reach the code by paths relative to themselves, so both are copied as they lie here:
`infra/stack/template.yaml` beside `engine`, `functions` and the rest of `infra`, wherever Tidestep
is installed.

What must stay true: the directory holds exactly what is installed, whatever it held before; and a
file that is as it should be is not written again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from engine.errors import Misconfigured

ROOT = Path(__file__).resolve().parents[2]
"""Site-packages, or a checkout."""
PARTS = ("tidestep.py", "engine", "functions", "infra")
TEMPLATE = Path("infra", "stack", "template.yaml")
BYTECODE = "__pycache__"


def lay_out(directory: Path, root: Path = ROOT) -> int:
    """Make `directory` hold what is installed at `root`; how many files were written or removed.

    Raises Misconfigured where it cannot be read or written.
    """
    try:
        wanted = _wanted(root)
        return _remove_others(directory, wanted) + _write_changed(directory, wanted)
    except OSError as error:
        raise Misconfigured(
            f"'{directory}' cannot be laid out: {error.filename or root}: {error.strerror or error}"
        ) from error


def _wanted(root: Path) -> dict[Path, bytes]:
    wanted = {path: (root / path).read_bytes() for path in _sources(root)}
    if TEMPLATE not in wanted:
        raise Misconfigured(f"Tidestep's installation at '{root}' has no {TEMPLATE}")
    return wanted


def _sources(root: Path) -> Iterator[Path]:
    for part in PARTS:
        place = root / part
        for file in place.rglob("*") if place.is_dir() else (place,):
            if BYTECODE not in file.parts and file.is_file():
                yield file.relative_to(root)


def _remove_others(directory: Path, wanted: Mapping[Path, bytes]) -> int:
    removed = 0
    # The deepest first: a directory is empty once what is in it is gone.
    for place in sorted(directory.rglob("*"), reverse=True):
        if place.is_dir() and not place.is_symlink():
            if not any(place.iterdir()):
                place.rmdir()
        elif place.relative_to(directory) not in wanted or place.is_symlink():
            place.unlink()
            removed += 1
    return removed


def _write_changed(directory: Path, wanted: Mapping[Path, bytes]) -> int:
    written = 0
    for path, body in wanted.items():
        file = directory / path
        if file.is_file() and file.read_bytes() == body:
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
        written += 1
    return written
