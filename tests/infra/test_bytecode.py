"""Layers get bytecode that their place of building does not show in."""

from __future__ import annotations

import sys
from pathlib import Path

from infra.stack.bytecode import compile_layers

CACHED = f"__pycache__/said.{sys.implementation.cache_tag}.pyc"


def layer(built: Path, name: str) -> Path:
    directory = built / "Tidestep" / name / "python"
    directory.mkdir(parents=True)
    (directory / "said.py").write_text("def say():\n    raise RuntimeError('here')\n")
    return directory


def test_every_layer_is_compiled_and_nothing_else(tmp_path: Path) -> None:
    layers = [layer(tmp_path, name) for name in ("BaseLayer", "AppLayer")]
    function = layer(tmp_path, "StartFunction")
    assert compile_layers(tmp_path) == 2
    assert [(each / CACHED).exists() for each in (*layers, function)] == [True, True, False]


def test_the_same_sources_make_the_same_bytes_wherever_they_are_built(tmp_path: Path) -> None:
    one, other = layer(tmp_path / "one", "AppLayer"), layer(tmp_path / "other", "AppLayer")
    compile_layers(tmp_path)
    assert (one / CACHED).read_bytes() == (other / CACHED).read_bytes()
    assert b"/opt/python/said.py" in (one / CACHED).read_bytes()


def test_what_cannot_be_compiled_stops_nothing(tmp_path: Path) -> None:
    directory = layer(tmp_path, "AppLayer")
    (directory / "template.py").write_text("{{ not python }\n")
    assert compile_layers(tmp_path) == 1
    assert (directory / CACHED).exists()
