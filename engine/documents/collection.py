"""The workflows of an application by name, and why some of them cannot run.

What must stay true: what is wrong with one document is no obstacle to the others; and of two
documents of one name neither runs, for nobody could say which.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.definition import Definition
from engine.documents.catalog import Catalog
from engine.documents.compile import compile_document
from engine.documents.problems import Problem, listed, shown
from engine.documents.source import Source, read_source
from engine.documents.validate import DEFAULT_LIMITS, checked_document, longest_lists
from engine.errors import InvalidDefinition, UnknownWorkflow
from engine.ports import Limits


@dataclass(frozen=True, slots=True)
class Broken:
    """A document that cannot run. `name` is empty where it does not say one."""

    file: str
    name: str
    problems: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Workflows:
    """The definitions by name, and the documents that give none, in the order of the files."""

    definitions: Mapping[str, Definition]
    broken: tuple[Broken, ...] = ()

    def named(self, name: str) -> Definition:
        """Raises UnknownWorkflow, or InvalidDefinition for one that is there and cannot run."""
        if name in self.definitions:
            return self.definitions[name]
        for each in self.broken:
            if each.name == name:
                raise InvalidDefinition(each.problems)
        known = ", ".join(sorted(self.definitions)) or "none"
        others = f"; these cannot run: {listed(self._unnamed())}" if self._unnamed() else ""
        raise UnknownWorkflow(f"there is no workflow {shown(name)}; there are: {known}{others}")

    def check(self) -> None:
        """Raises InvalidDefinition with all problems of all documents."""
        if self.broken:
            raise InvalidDefinition([each for one in self.broken for each in one.problems])

    def _unnamed(self) -> list[str]:
        return [Path(each.file).name for each in self.broken if not each.name]


def load_workflows(
    files: Iterable[str | Path], catalog: Catalog, limits: Limits = DEFAULT_LIMITS
) -> Workflows:
    """Load each file, and check it. Nothing is raised: what is wrong is in the answer."""
    read = [_read(str(file), limits) for file in files]
    sources = [each for each in read if isinstance(each, Source)]
    definitions: dict[str, Definition] = {}
    broken: list[Broken] = []
    for each in read:
        if isinstance(each, Broken):
            broken.append(each)
            continue
        try:
            _must_be_alone(each, sources)
            document = checked_document(each, catalog, limits)
            definitions[document.name] = compile_document(document, catalog)
        except InvalidDefinition as error:
            broken.append(Broken(each.name, _name(each), error.problems))
    return Workflows(definitions, tuple(broken))


def _read(file: str, limits: Limits) -> Source | Broken:
    try:
        return read_source(file, longest_lists(limits))
    except InvalidDefinition as error:
        return Broken(file, "", error.problems)
    except UnknownWorkflow as error:
        reason = str(error).removeprefix(f"{file}: ")
        return Broken(file, "", (Problem(file, None, "", reason),))


def _name(source: Source) -> str:
    name = source.value.get("name") if isinstance(source.value, dict) else None
    return name if isinstance(name, str) else ""


def _must_be_alone(source: Source, sources: Iterable[Source]) -> None:
    name = _name(source)
    others = [each.name for each in sources if name and _name(each) == name and each is not source]
    if others:
        message = f"{shown(name)} is the name of {listed(others)} too"
        fix = "give each workflow a name of its own"
        raise InvalidDefinition([source.problem(("name",), message, fix)])
