"""The workflows of an application by name, and why some of them cannot run.

What must stay true: what is wrong with one document is no obstacle to the others; and of two
documents of one name neither runs, for nobody could say which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.definition import Definition
from engine.documents.catalog import Catalog
from engine.documents.compile import compile_document
from engine.documents.problems import listed, shown
from engine.documents.source import Source, read_source
from engine.documents.validate import DEFAULT_LIMITS, checked_document, longest_lists
from engine.errors import InvalidDefinition, UnknownWorkflow
from engine.ports import Limits


@dataclass(frozen=True, slots=True)
class Broken:
    """A document that cannot run. `name` is empty where it does not say one."""

    file: str
    name: str
    error: InvalidDefinition


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
                raise each.error
        known = ", ".join(sorted(self.definitions)) or "none"
        others = f"; these cannot run: {listed(self._unnamed())}" if self._unnamed() else ""
        raise UnknownWorkflow(f"there is no workflow {shown(name)}; there are: {known}{others}")

    def check(self) -> None:
        """Raises InvalidDefinition with all problems of all documents."""
        if self.broken:
            raise InvalidDefinition([each for one in self.broken for each in one.error.problems])

    def _unnamed(self) -> list[str]:
        return [Path(each.file).name for each in self.broken if not each.name]


def load_workflows(
    files: Iterable[str | Path], catalog: Catalog, limits: Limits = DEFAULT_LIMITS
) -> Workflows:
    """Load each file, and check it. Raises UnknownWorkflow for one that cannot be read."""
    sources: list[Source] = []
    broken: dict[str, Broken] = {}
    for file in map(str, files):
        try:
            sources.append(read_source(file, longest_lists(limits)))
        except InvalidDefinition as error:
            broken[file] = Broken(file, "", error)
    taken = Counter(_name(source) for source in sources)
    definitions: dict[str, Definition] = {}
    for source in sources:
        try:
            if name := _name(source):
                _must_be_alone(source, name, sources, taken)
            document = checked_document(source, catalog, limits)
            definitions[document.name] = compile_document(document, catalog)
        except InvalidDefinition as error:
            broken[source.name] = Broken(source.name, _name(source), error)
    return Workflows(definitions, tuple(broken.values()))


def _name(source: Source) -> str:
    name = source.value.get("name") if isinstance(source.value, dict) else None
    return name if isinstance(name, str) else ""


def _must_be_alone(
    source: Source, name: str, sources: Iterable[Source], taken: Mapping[str, int]
) -> None:
    if taken[name] > 1:
        others = [each.name for each in sources if _name(each) == name and each is not source]
        raise InvalidDefinition(
            [
                source.problem(
                    ("name",),
                    f"{shown(name)} is the name of {listed(others)} too",
                    "give each workflow a name of its own",
                )
            ]
        )
