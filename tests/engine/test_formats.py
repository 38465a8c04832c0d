"""What older versions have stored is read, upgraded; what newer ones have stored is left alone."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from msgspec.structs import replace

from engine import claims, definition, formats, inbox, keys, remembering, snapshot
from engine.allocation import head as service
from engine.allocation import signals
from engine.errors import Corrupt, NewerFormat
from engine.formats import Fields, OtherFormats, as_it_is, read, reread
from engine.snapshot import Head, decode_head, encode_head
from tests.engine.formats.samples import COMPARED, SAMPLES, Sample

LATEST = {sample.kind: sample for sample in SAMPLES}
MODULES: dict[str, tuple[Any, str]] = {
    "head": (snapshot, "OTHER_FORMATS"),
    "page": (snapshot, "OTHER_PAGE_FORMATS"),
    "definition": (definition, "OTHER_FORMATS"),
    "signal": (inbox, "OTHER_FORMATS"),
    "remembered": (remembering, "OTHER_FORMATS"),
    "claim": (claims, "OTHER_FORMATS"),
    "keys": (keys, "OTHER_FORMATS"),
    "service": (service, "OTHER_FORMATS"),
    "envelope": (signals, "OTHER_FORMATS"),
}
"""Where the formats of each kind are; messages are no arrays, and have none but their two."""

NEW_BYTES = """
{0.file}: today's code writes a {0.kind} in other bytes than the versions that have written these.
- Other versions run beside yours while it is deployed, and again after a rollback. If those may not
  ignore and drop what is new, raise the format in two releases: see engine/formats.py.
- If they may (a field at the end, with a default), and in any case: leave the old file as it is,
  and put one with the new bytes after it in tests/engine/formats/samples.py.
The bytes are now:
{1}"""
OTHER_VALUE = """
{0.file}: what is stored like this in somebody's table is read as another value than before. Add an
entry to the OTHER_FORMATS of its module that makes the value of it: see engine/formats.py."""
COMPARED_BYTES = """
{0.file}: an item like this is expected in exactly these bytes by the commit that replaces it. Those
that are stored would conflict for ever: give the items of the new shape another name."""


def named(sample: Sample) -> str:
    return sample.file


@pytest.mark.parametrize("sample", [*SAMPLES, *COMPARED], ids=named)
def test_what_was_ever_written_is_read_as_the_same_value(sample: Sample) -> None:
    assert sample.decode(sample.body) == sample.value, OTHER_VALUE.format(sample)


@pytest.mark.parametrize("sample", LATEST.values(), ids=named)
def test_bytes_change_only_where_somebody_has_decided_so(sample: Sample) -> None:
    written = sample.encode(sample.value)
    assert written == sample.body, NEW_BYTES.format(sample, written.hex())


@pytest.mark.parametrize("sample", COMPARED, ids=named)
def test_what_is_compared_by_its_bytes_keeps_them(sample: Sample) -> None:
    assert sample.encode(sample.value) == sample.body, COMPARED_BYTES.format(sample)


def test_every_golden_file_is_looked_at() -> None:
    directory = Path(__file__).parent / "formats"
    files = {each.name for each in directory.iterdir() if each.suffix in (".hex", ".txt")}
    assert files == {sample.file for sample in (*SAMPLES, *COMPARED)}


@pytest.mark.parametrize("kind", MODULES)
def test_there_is_a_golden_file_of_the_format_that_is_written(kind: str) -> None:
    number = LATEST[kind].file.split(".")[1].rstrip("bcdefgh")
    assert int(number) == MODULES[kind][0].FORMAT


# -- the next version -----------------------------------------------------------------------------


def version(kind: str, current: int, others: Mapping[int, Any]) -> ExitStack:
    """The code of another version, as far as this kind of thing goes."""
    module, table = MODULES[kind]
    changes = ExitStack()
    changes.enter_context(patch.object(module, "FORMAT", current))
    changes.enter_context(patch.object(module, table, others))
    return changes


def counted_up(fields: Fields) -> Fields:
    return [fields[0] + 1, *fields[1:]]


@pytest.mark.parametrize("kind", MODULES)
def test_what_this_version_wrote_is_upgraded_by_the_next_and_refused_when_it_comes_back(
    kind: str,
) -> None:
    old = LATEST[kind]
    with version(kind, 2, {1: counted_up}):
        upgraded = old.decode(old.body)
        assert upgraded == replace(old.value, format=2)
        body = old.encode(upgraded)
        assert old.decode(body) == upgraded
    assert msgspec.msgpack.decode(body)[0] == 2
    with pytest.raises(NewerFormat, match=r"format 2; .* up to 1: a newer version .* use that one"):
        old.decode(body)


@pytest.mark.parametrize("kind", MODULES)
def test_a_version_that_reads_the_next_format_keeps_what_it_finds_and_makes_nothing_of_it(
    kind: str,
) -> None:
    old = LATEST[kind]
    newer = replace(old.value, format=2)
    with version(kind, 1, {2: as_it_is}):
        assert old.decode(old.encode(newer)) == newer
        assert old.decode(old.body) == old.value


@pytest.mark.parametrize("kind", MODULES)
@pytest.mark.parametrize("content", [[{"all": "new"}], [], [[1], None, 3.5, "x" * 50]])
def test_a_newer_format_is_refused_whatever_else_is_in_it(kind: str, content: list[Any]) -> None:
    with pytest.raises(NewerFormat, match="format 2; this version reads up to 1"):
        LATEST[kind].decode(msgspec.msgpack.encode([2, *content]))


def seconds(fields: Fields) -> Fields:
    """A change that the typed decoder would misread: format 2 counts `last_at` in seconds."""
    at = Head.__struct_fields__.index("last_at")
    return [2, *fields[1:at], fields[at] // 1000, *fields[at + 1 :]]


def without_held(fields: Fields) -> Fields:
    """A change of shape: format 3 has the 22nd field's place for a text."""
    at = Head.__struct_fields__.index("held")
    return [3, *fields[1:at], "held" if fields[at] else "", *fields[at + 1 :]]


class HeadOf3(msgspec.Struct, frozen=True, array_like=True):
    """The beginning of a head as two versions on, which the typed decoder of today cannot read."""

    format: int
    rev: int
    rest: tuple[Any, ...] = ()


def test_upgrades_are_applied_in_sequence_and_saved_as_the_newest_format() -> None:
    def decode(body: bytes) -> HeadOf3:
        fields = msgspec.msgpack.decode(body)
        if fields[0] == 3 and fields[Head.__struct_fields__.index("held")] not in ("", "held"):
            raise msgspec.ValidationError("not the shape of format 3")
        return HeadOf3(fields[0], fields[1], tuple(fields[2:]))

    steps = {1: seconds, 2: without_held}
    golden = LATEST["head"].body
    found = read("head", golden, decode, 3, steps)
    by_name = dict(
        zip(Head.__struct_fields__, (found.format, found.rev, *found.rest), strict=False)
    )
    assert (by_name["format"], by_name["last_at"], by_name["held"]) == (3, 54, "held")
    saved = msgspec.msgpack.encode([found.format, found.rev, *found.rest])
    assert read("head", saved, decode, 3, steps) == found
    for older in (1, 2):
        with pytest.raises(NewerFormat, match="head format 3"):
            read("head", saved, decode, older, dict(list(steps.items())[: older - 1]))


def test_an_item_of_the_current_format_is_not_looked_at_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("the hot path must not come here")

    monkeypatch.setattr(formats, "reread", never)
    monkeypatch.setattr(snapshot, "reread", never)
    for kind in MODULES:
        with version(kind, 1, {7: as_it_is}):
            assert LATEST[kind].decode(LATEST[kind].body) == LATEST[kind].value


# -- what cannot be read --------------------------------------------------------------------------


def test_a_format_that_is_not_read_any_more_is_corrupt() -> None:
    ancient = encode_head(replace(LATEST["head"].value, format=0))
    with pytest.raises(Corrupt, match="head cannot be decoded: format 0 is not read any more"):
        decode_head(ancient)


@pytest.mark.parametrize("upgrade", [lambda fields: fields[99], lambda fields: fields[1]["x"]])
def test_an_item_that_an_upgrade_cannot_read_is_corrupt(upgrade: Any) -> None:
    with version("head", 2, {1: upgrade}), pytest.raises(Corrupt, match="a stored head cannot"):
        decode_head(LATEST["head"].body)


TEXTS = {
    "head": b"orders",
    "page": b"out",
    "definition": b"orders",
    "signal": b"approval",
    "remembered": b"inbox/1",
    "service": b"counter",
    "envelope": b"gone",
}


@pytest.mark.parametrize("kind", TEXTS)
def test_a_text_that_is_none_is_corrupt_and_no_error_of_the_decoders(kind: str) -> None:
    damaged = LATEST[kind].body.replace(TEXTS[kind], b"\xff" * len(TEXTS[kind]))
    assert damaged != LATEST[kind].body
    with pytest.raises(Corrupt, match="a stored"):
        LATEST[kind].decode(damaged)


def test_an_upgrade_that_does_not_rise_is_damage_and_no_endless_loop() -> None:
    body = msgspec.msgpack.encode([1, "x"])
    stuck: OtherFormats = {1: lambda fields: fields}
    with pytest.raises(Corrupt, match="upgrades format 1"):
        reread("head", body, decode_head, 2, stuck)
