"""What is deployed: valid templates, and packages that are small, of the right processor, and hold
nothing that no function needs.

Sizes are those of one build; `pytest -s` prints them.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path

import pytest

from tests.stack.conftest import Built
from tests.stack.runtime_emulator import Package, packages
from tests.stack.sam import ARCHITECTURE, PARAMETERS, overrides, sam
from tests.stack.tools import ROOT

STACK = ROOT / "infra" / "stack"
TEMPLATES = ("template.yaml", *(f"infra/stack/{path.name}" for path in STACK.glob("*.yaml")))
LAYERS = {"base": "BaseLayer", "steps": "StepsLayer", "web": "WebLayer"}
"""Directory of its requirements -> name in the templates."""
WITH_WHEELS_OF_A_PROCESSOR = ("BaseLayer", "StepsLayer")

MB = 1_000_000
CODE_BYTES = 2 * MB
"""Of a function, without bytecode."""
BYTECODE_BYTES = 3 * MB
"""Of a function, for each Python that the build writes some for."""
LAYER_BYTES = {"BaseLayer": 8 * MB, "StepsLayer": 20 * MB, "WebLayer": 5 * MB}
FUNCTION_BYTES = 35 * MB
"""Of a function with its layers. Lambda takes 250 MB; what is larger starts later."""

MACHINES = {"x86_64": 0x3E, "arm64": 0xB7}
"""As the header of a program or library says it."""
OURS = ("engine", "functions", "infra", "tidestep")
UNCHECKED_HASH = 0b01
"""What bytecode says that is read without a look at its source."""


@dataclass(frozen=True)
class Size:
    """Of one directory that becomes a package, in bytes."""

    place: Path

    @cached_property
    def files(self) -> dict[Path, int]:
        return {path: path.stat().st_size for path in self.place.rglob("*") if path.is_file()}

    @property
    def total(self) -> int:
        return sum(self.files.values())

    @property
    def bytecode(self) -> int:
        return sum(size for path, size in self.files.items() if path.suffix == ".pyc")

    @cached_property
    def zipped(self) -> int:
        archive = BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for path in self.files:
                packed.write(path, path.relative_to(self.place))
        return len(archive.getvalue())


@pytest.fixture(scope="module")
def functions(built: Built) -> dict[str, Package]:
    return packages(built.stack)


@pytest.fixture(scope="module")
def sizes(functions: dict[str, Package]) -> dict[Path, Size]:
    places = [place for each in functions.values() for place in (each.directory, *each.layers)]
    return {place: Size(place) for place in places}


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_is_valid(template: str) -> None:
    said = sam("validate", "--lint", "--template-file", str(ROOT / template))
    assert "is a valid SAM Template" in said


def test_packages_are_no_larger_than_they_should_be(
    functions: dict[str, Package], sizes: dict[Path, Size]
) -> None:
    print(f"\n{'':20} {'unzipped':>9} {'bytecode':>9} {'zipped':>7} {'with layers':>12}   MB")
    too_large: list[str] = []
    for name, function in sorted(functions.items()):
        own = sizes[function.directory]
        whole = own.total + sum(sizes[layer].total for layer in function.layers)
        print(_row(name, own), f"{whole / MB:12.2f}")
        if own.total - own.bytecode > CODE_BYTES or whole > FUNCTION_BYTES:
            too_large.append(name)
        if own.bytecode > BYTECODE_BYTES * len(_pythons(own)):
            too_large.append(f"{name}'s bytecode")
    for layer in sorted({layer for each in functions.values() for layer in each.layers}):
        print(_row(layer.name, sizes[layer]))
        if sizes[layer].total > LAYER_BYTES.get(layer.name, MB):
            too_large.append(layer.name)
    assert too_large == []


def _row(name: str, size: Size) -> str:
    return f"{name:20} {size.total / MB:9.2f} {size.bytecode / MB:9.2f} {size.zipped / MB:7.2f}"


def _pythons(size: Size) -> set[str]:
    return {path.suffixes[-2] for path in size.files if path.suffix == ".pyc"}


def test_a_function_holds_only_modules_that_some_function_or_an_application_imports(
    functions: dict[str, Package],
) -> None:
    """An application imports `tidestep`; what the engine loads by name, it imports somewhere."""
    entries = {each.handler.rpartition(".")[0] for each in functions.values()}
    for function in functions.values():
        modules = dict(_modules(function.directory))
        assert set(modules) - _reached(modules, {*entries, "tidestep"}) == set()


def test_a_function_holds_code_of_ours_and_its_bytecode_and_nothing_else(
    functions: dict[str, Package], sizes: dict[Path, Size]
) -> None:
    for function in functions.values():
        files = {path.relative_to(function.directory) for path in sizes[function.directory].files}
        foreign = {path for path in files if path.parts[0].partition(".")[0] not in OURS}
        foreign -= {path for path in foreign if path.suffix == ".pyc"}
        foreign |= {path for path in files if path.suffix not in (".py", ".pyc", ".typed")}
        assert foreign == set()


def test_bytecode_is_that_of_a_file_beside_it_and_is_read_without_comparing_the_two(
    functions: dict[str, Package], sizes: dict[Path, Size]
) -> None:
    compiled = False
    for path in (path for size in sizes.values() for path in size.files if path.suffix == ".pyc"):
        assert path.parent.name == "__pycache__", path
        assert (path.parents[1] / f"{path.name.partition('.')[0]}.py").exists(), path
        assert path.read_bytes()[4] == UNCHECKED_HASH, path
        compiled |= path.read_bytes()[:4] == importlib.util.MAGIC_NUMBER
    assert compiled, "there is no bytecode of the Python that the stack was built for"


def test_libraries_are_of_the_processor_that_was_asked_for(
    functions: dict[str, Package],
) -> None:
    for layer in {layer for each in functions.values() for layer in each.layers}:
        machines = _machines(layer)
        assert machines in ({MACHINES[ARCHITECTURE]}, set()), layer
        assert machines or layer.name not in WITH_WHEELS_OF_A_PROCESSOR


@pytest.mark.parametrize("layer", WITH_WHEELS_OF_A_PROCESSOR)
def test_a_layer_can_be_built_for_the_processor_that_this_machine_has_not(
    layer: str, tmp_path: Path
) -> None:
    other = next(name for name in MACHINES if name != ARCHITECTURE)
    given = overrides({**PARAMETERS, "Architecture": other})
    sam("build", layer, "--build-dir", str(tmp_path / "other"), *given, cwd=STACK)
    assert _machines(tmp_path / "other" / layer) == {MACHINES[other]}


@pytest.mark.parametrize("directory", LAYERS)
def test_a_layer_holds_what_is_pinned_for_it_and_all_of_it_is_pinned(
    functions: dict[str, Package], directory: str
) -> None:
    pinned = dict(_pins(STACK / "layers" / directory / "requirements.txt"))
    places = {layer for each in functions.values() for layer in each.layers}
    copies = [place for place in places if place.name == LAYERS[directory]]
    assert copies
    for place in copies:
        installed = [path.stem.rpartition("-") for path in place.glob("python/*.dist-info")]
        assert {_normal(name): version for name, _, version in installed} == pinned


@pytest.mark.parametrize("directory", LAYERS)
def test_a_layer_pins_the_versions_that_the_tests_run_with(directory: str) -> None:
    tested = dict(_pins(ROOT / "constraints.txt"))
    for name, version in _pins(STACK / "layers" / directory / "requirements.txt"):
        assert tested.get(name) == version, name


def _pins(requirements: Path) -> Iterator[tuple[str, str]]:
    """Name and version of each line, all of which must name one version."""
    for line in requirements.read_text().splitlines():
        wanted = line.partition("#")[0].partition(";")[0].strip()
        if wanted:
            pin = re.fullmatch(r"([A-Za-z0-9._-]+)==([^\s,*]+)", wanted)
            assert pin, f"{requirements}: '{line}' is not one version of one package"
            yield _normal(pin[1]), pin[2]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _machines(layer: Path) -> set[int]:
    """The processors that its libraries are for."""
    found = set()
    for library in layer.rglob("*.so*"):
        header = library.read_bytes()[:20]
        assert header[:4] == b"\x7fELF", library
        found.add(int.from_bytes(header[18:20], "little"))
    return found


def _modules(package: Path) -> Iterator[tuple[str, Path]]:
    for path in package.rglob("*.py"):
        parts = path.relative_to(package).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def _reached(modules: dict[str, Path], entries: set[str]) -> set[str]:
    """What is imported, by whatever statement, from the entries on; packages hold their modules."""
    reached: set[str] = set()
    ahead = list(entries)
    while ahead:
        name = ahead.pop()
        if name and name in modules and name not in reached:
            reached.add(name)
            ahead += [name.rpartition(".")[0], *_imported(modules[name])]
        elif name not in modules:
            ahead += [name.rpartition(".")[0]] if "." in name else []
    return reached


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
