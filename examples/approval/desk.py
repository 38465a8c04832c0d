"""What the approval's actors put into the world: letters and articles, each a file of its own.

The name of a file follows from the idempotency key, so whoever puts the same thing there again
changes nothing: this is what an actor needs that may run more than once.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

VARIABLE = "APPROVAL_DESK"
"""The directory; without one, things are printed and forgotten."""


def put(kind: str, key: str, content: dict[str, Any]) -> bool:
    """Put something there once; whether it was not there yet."""
    directory = os.environ.get(VARIABLE)
    if directory is None:
        print(f"{kind}: {json.dumps(content)}")
        return True
    file = Path(directory) / f"{kind}-{key.replace('/', '.')}.json"
    with NamedTemporaryFile("w", dir=directory) as new:
        json.dump(content, new)
        new.flush()
        try:
            os.link(new.name, file)  # all of it is there, or nothing; and never twice
        except FileExistsError:
            return False
    print(f"{kind}: {file}")
    return True


def lying_there(kind: str) -> list[dict[str, Any]]:
    """All of a kind that has been put into the directory."""
    files = sorted(Path(os.environ[VARIABLE]).glob(f"{kind}-*.json"))
    return [json.loads(file.read_text()) for file in files]
