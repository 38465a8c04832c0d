"""The application in a deployed function: the environment that it is given, and its workflows.

Its code is a layer, which Lambda unpacks beside ours and puts on Python's path; so a workflow is
looked for where modules are.

    TIDESTEP_APP_ENVIRONMENT  a JSON object: environment variables for actors, and secrets
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from engine.errors import Misconfigured
from infra.system import SECRET_PREFIX

APP_ENVIRONMENT = "TIDESTEP_APP_ENVIRONMENT"
RESERVED = ("AWS_", "LAMBDA_", "POWERTOOLS_", "PYTHON", "TIDESTEP_", "_")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
WORKFLOW_FILES = (".yaml", ".yml", ".json")


def app_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What `TIDESTEP_APP_ENVIRONMENT` adds to the environment. Raises Misconfigured.

    Nothing that Lambda or Tidestep itself is told by: of our own names, only secrets.
    """
    text = environment.get(APP_ENVIRONMENT, "").strip() or "{}"
    try:
        given = msgspec.json.decode(text, type=dict[str, str])
    except msgspec.MsgspecError as error:
        raise Misconfigured(
            f'{APP_ENVIRONMENT} must be a JSON object of texts, like {{"SHOP": "7"}}: {error}'
        ) from error
    for name, value in given.items():
        if not _NAME.fullmatch(name) or "\0" in value:
            raise Misconfigured(f"{APP_ENVIRONMENT} cannot set {name!r}: it is no variable's name")
        if name.startswith(RESERVED) and not name.startswith(SECRET_PREFIX):
            raise Misconfigured(
                f"{APP_ENVIRONMENT} cannot set {name}: names that begin with "
                f"{', '.join(RESERVED)} are not yours, but for {SECRET_PREFIX}..."
            )
    return given


def workflow_files(listed: Sequence[str], roots: Iterable[str]) -> list[Path]:
    """The files that are listed, and those in the directories that are, in order, each once.

    Each is looked for below each root in turn; hidden ones are an editor's, not workflows. Raises
    Misconfigured for what is nowhere, and for a directory without a workflow.
    """
    places = [Path(root) for root in roots]
    found = {file.resolve(): file for path in listed for file in _files(path, places)}
    return list(found.values())


def _files(path: str, places: Sequence[Path]) -> list[Path]:
    found = next((place / path for place in places if (place / path).exists()), None)
    if found is None:
        raise Misconfigured(
            f"Workflows (TIDESTEP_WORKFLOWS) names '{path}', which is not in the application"
        )
    if found.is_file():
        return [found]
    files = sorted(file for file in found.iterdir() if _is_workflow(file))
    if not files:
        raise Misconfigured(f"Workflows (TIDESTEP_WORKFLOWS) names '{path}', where no workflow is")
    return files


def _is_workflow(file: Path) -> bool:
    return file.suffix in WORKFLOW_FILES and not file.name.startswith(".") and file.is_file()
