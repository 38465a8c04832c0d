"""Text in, a value with lines out, or a problem that names the line; never another exception."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.documents import Problem, parse_source, read_source
from engine.documents.source import MAX_BYTES, MAX_YAML_CHARACTERS
from engine.documents.tree import MAX_ALIASED_VALUES
from engine.errors import InvalidDefinition, UnknownWorkflow
from engine.json_values import MAX_DEPTH

YAML = """\
# an order
name: order
nodes:
  - id: charge
    config:
      amount: 12
      items: [a, {b: c}]
  - id: ship
"""

LINES: list[tuple[tuple[str | int, ...], int]] = [
    (("name",), 2),
    (("nodes",), 3),
    (("nodes", 0), 4),
    (("nodes", 0, "config"), 5),
    (("nodes", 0, "config", "amount"), 6),
    (("nodes", 0, "config", "items", 1, "b"), 7),
    (("nodes", 1, "id"), 8),
]


def only_problem(text: str, name: str = "f.yaml") -> Problem:
    """The one problem of a text, whether or not reading could go on after it."""
    try:
        (problem,) = parse_source(text, name).problems
    except InvalidDefinition as error:
        (problem,) = error.problems  # type: ignore[assignment]
    return problem


@pytest.mark.parametrize(("path", "line"), LINES)
def test_every_part_of_a_yaml_file_has_its_line(path: tuple[str | int, ...], line: int) -> None:
    assert parse_source(YAML, "f.yaml").line(path) == line


def test_json_indented_with_tabs_has_the_same_lines_and_values() -> None:
    value = parse_source(YAML, "f.yaml").value
    text = json.dumps(value, indent="\t")

    source = parse_source(text, "f.yaml")

    assert source.value == value
    assert source.line(("nodes", 0, "config", "amount")) == 7
    assert source.line(("nodes", 1, "id")) == 1 + text[: text.index('"ship"')].count("\n")


def test_a_path_that_does_not_exist_has_the_line_of_what_does() -> None:
    source = parse_source(YAML, "f.yaml")

    assert source.line(("nodes", 0, "config", "amount", "deeper")) == 6
    assert source.line(("nodes", 1, "actor")) == 8
    assert source.line(("nodes", 99)) == 3
    assert source.line(()) == 2


def test_plain_yaml_words_mean_what_yaml_1_2_says() -> None:
    text = "[yes, on, true, ~, null, '', 010, 0x1F, 0o17, 1_000, 12:30:00, 1e3, -.5, 1., +7, '1']"
    expected = ["yes", "on", True, None, None, "", 10, 31, 15, "1_000", "12:30:00", 1000.0, -0.5]

    assert parse_source(text, "f.yaml").value == [*expected, 1.0, 7, "1"]


def test_an_alias_stands_for_the_whole_value_of_its_anchor() -> None:
    source = parse_source("a: &x {k: [1]}\nb: *x\nc: &y text\n*y : 1\n", "f.yaml")

    assert source.value == {"a": {"k": [1]}, "b": {"k": [1]}, "c": "text", "text": 1}
    assert source.line(("b", "k")) == 1
    assert source.line(("b",)) == 2


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "the key 'a' is given twice; the first is on line 1"),
        ("a: 1\n---\nb: 2\n", 2, "a second document begins here"),
        ("a: 1\n2: b\n", 2, "a key must be text, and '2' is a number"),
        ("a:\n  ? [x]\n  : 1\n", 2, "a key must be text, not a list or mapping"),
        ("a: 1\nb: !!binary aGk=\n", 2, "the tag '!!binary' is not read"),
        ("a: !python/object:os.system {}\n", 1, "the tag '!python/object:os.system' is not read"),
        ("a: 1\nb: 2024-05-01\n", 2, "'2024-05-01' is a date to YAML"),
        ("a: 2024-05-01T10:00:00Z\n", 1, "is a date to YAML"),
        ("a: .nan\n", 1, ".nan is not a finite number"),
        ("a: -.inf\n", 1, "-.inf is not a finite number"),
        ("a: 1e999\n", 1, "1e999 is not a finite number"),
        ("a: 18446744073709551616\n", 1, "does not fit into 64 bits"),
        ('a: "\\ud800"\n', 1, "half a character"),
        ("a: 1\n<<: {b: 2}\n", 2, "merge keys ('<<') are not read"),
        ("a: 1\nb: *c\n", 2, "no anchor of that name"),
        ("a: &x [1, *x]\n", 1, "it holds itself"),
        ("", 1, "the file is empty"),
        ("# nothing\n", 1, "the file is empty"),
        ("a: 1\n\tb: 2\n", 2, "YAML"),
        ("a:\n\tb: 2\n", 2, "indented with a tab"),
        ("a: b: c\n", 1, "a second ':'"),
        ("a: 'x\n", 1, "a quote is opened and never closed"),
        ("a: [1,\n", 1, "the end of the file"),
        ("a: 1\nb: \x01\n", 2, "the character U+0001 is not allowed"),
        ('a: 1\nb: "\\UFFFFFFFF"\n', 2, "an escape that stands for no character"),
        ("a: 1\nb: {{ input.x }}\n", 2, "'{{' without quotes begins a mapping"),
        ("a: 1\nb: {{ input.x }} EUR\n", 2, "'{{' without quotes begins a mapping"),
        ("- {{ f(1, 2) }}\n", 1, "'{{' without quotes begins a mapping"),
    ],
)
def test_what_yaml_cannot_say_in_json_is_one_problem_with_its_line(
    text: str, line: int, says: str
) -> None:
    problem = only_problem(text)

    assert (problem.file, problem.line) == ("f.yaml", line)
    assert says in problem.message
    assert problem.fix


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ('{\n"a": 1,\n}', 2, "there is a comma before '}'"),
        ('{\n"a": 1 // one\n}', 2, "JSON has no comments"),
        ('{"a": 1\n"b": 2}', 2, "this is not JSON: expecting ',' delimiter"),
        ('{"a": NaN}', 1, "NaN is not a finite number"),
        ('{"a": 1,\n"b": -Infinity}', 2, "-Infinity is not a finite number"),
        ('{"a": 1,\n"b": 1e999}', 2, "1e999 is not a finite number"),
        ('{"a": ' + "9" * 5000 + "}", 1, "does not fit into 64 bits"),
        ('{"a": 1,\n"a": {"b": 2}}', 2, "the key 'a' is given twice"),
        ('{"a": "\\ud800"}', 1, "half a character"),
        ("[" * 100_000, 1, "nested deeper"),
        ("[" * 500 + "]" * 500, 1, "nested deeper"),
        ("", 1, "the file is empty"),
        ("{} {}", 1, "this is not JSON"),
    ],
)
def test_what_is_not_json_is_one_problem_with_its_line(text: str, line: int, says: str) -> None:
    problem = only_problem(text, "f.json")

    assert (problem.file, problem.line) == ("f.json", line)
    assert says in problem.message
    assert problem.fix


def test_problems_that_spoil_only_a_part_are_all_kept_and_the_rest_is_read() -> None:
    source = parse_source("a: 1\na: 2\nb: !x 3\nc:\n  d: 2024-01-01\ne: 5\n", "f.yaml")

    assert source.value == {"a": 1, "b": "3", "c": {"d": None}, "e": 5}
    assert [problem.line for problem in source.problems] == [2, 3, 5]
    assert source.problems[2].place == "c.d"


def test_aliases_of_aliases_are_refused_before_they_are_expanded() -> None:
    levels = [f"k{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 40)]

    problem = only_problem("\n".join(["k0: &a0 [x]", *levels]))

    assert f"{MAX_ALIASED_VALUES:,} values" in problem.message
    assert problem.line is not None
    assert problem.line < 10


@pytest.mark.parametrize("anchored", ["x" * 50_000, '{? "' + "x" * 50_000 + '" : 1}'])
def test_aliases_of_long_texts_are_refused_before_they_fill_the_memory(anchored: str) -> None:
    text = f"a: &a {anchored if anchored[0] == '{' else repr(anchored)}\nb: ["

    problem = only_problem(text + ", ".join(["*a"] * 10_000) + "]\n")

    assert f"{MAX_ALIASED_VALUES:,} values" in problem.message
    assert parse_source(text + "*a, *a]\n", "f.yaml").problems == ()


@pytest.mark.parametrize("name", ["f.yaml", "f.json"])
def test_reading_stops_where_a_limited_list_passes_its_limit(name: str) -> None:
    lines = [
        '{"name": "x",',
        '"edges": [1, 2, 3, 4],',
        '"more": {"nodes": [1, 2, 3]},',
        '"nodes": [',
    ]
    text = "\n".join(lines)
    longest = {"nodes": 2, "edges": 4}

    assert parse_source(text + "{},\n[]]}", name, longest).problems == ()
    with pytest.raises(InvalidDefinition) as raised:
        parse_source(text + "{},\n[],\n3]}", name, longest)

    (problem,) = raised.value.problems
    assert isinstance(problem, Problem)
    assert (problem.line, problem.place) == (6, "nodes")
    assert problem.message == "there are more than 2 nodes, which is the limit"


def test_more_yaml_than_is_read_in_a_moment_is_refused_and_json_is_not(tmp_path: Path) -> None:
    filler = " " * (MAX_YAML_CHARACTERS + 1)

    assert "too much YAML" in only_problem("a: 1" + filler).message
    assert "too much YAML" in only_problem("{" + filler + "a: 1}").message
    assert parse_source('{"a":' + filler + "1}", "f.yaml").value == {"a": 1}


def test_aliases_cannot_nest_deeper_than_lists_can() -> None:
    deep = "[" * (MAX_DEPTH - 2) + "]" * (MAX_DEPTH - 2)

    assert "nested deeper" in only_problem(f"a: &x {deep}\nb: [[*x]]\n").message
    assert parse_source(f"a: &x {deep}\nb: [*x]\n", "f.yaml").problems == ()


@pytest.mark.parametrize("name", ["f.yaml", "f.json"])
def test_nesting_stops_at_the_depth_that_runs_can_store(name: str) -> None:
    allowed = "[" * MAX_DEPTH + "]" * MAX_DEPTH

    assert parse_source(allowed, name).problems == ()
    assert "nested deeper" in only_problem(f"[{allowed}]", name).message


def test_a_missing_file_and_a_directory_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownWorkflow, match=r"order\.yaml: there is no such file"):
        read_source(tmp_path / "order.yaml")
    with pytest.raises(UnknownWorkflow, match="this is a directory"):
        read_source(tmp_path)
    with pytest.raises(UnknownWorkflow, match="cannot be read"):
        read_source("nul\0byte.yaml")


def test_a_file_that_is_not_utf_8_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes("a: 1\nb: Grüße\n".encode("latin-1"))

    with pytest.raises(InvalidDefinition, match=r"f\.yaml:2: the file is not UTF-8 text"):
        read_source(path)


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')

    assert read_source(path).value == {"a": 1}
    assert parse_source('\ufeff{"a": 1}', "f.json").value == {"a": 1}


def test_a_file_beyond_the_limit_is_not_parsed(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(b"#" * (MAX_BYTES + 1))

    with pytest.raises(InvalidDefinition, match="larger than 5 MiB"):
        read_source(path)
    with pytest.raises(InvalidDefinition, match="larger than 5 MiB"):
        parse_source("ü" * (MAX_BYTES // 2 + 1), "f.yaml")


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(deadline=None)
@given(json_values, st.sampled_from([None, "\t", 2]))
def test_any_json_is_read_as_json_reads_it(value: Any, indent: str | int | None) -> None:
    for ascii_only in (True, False):
        text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
        assert parse_source(text, "f.json").value == value


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=60)
    | st.text(st.sampled_from("{}[]:,-?&*!|>%@`'\"# \n\t\\abx01u.~<"), max_size=60),
    st.sampled_from(["f.yaml", "f.json", "text"]),
)
def test_no_text_gets_anything_out_but_a_source_or_problems(text: str, name: str) -> None:
    try:
        problems = parse_source(text, name).problems
    except InvalidDefinition as error:
        problems = error.problems  # type: ignore[assignment]
        assert problems
    for problem in problems:
        assert isinstance(problem, Problem)
        assert problem.line is not None
        assert problem.line >= 1
        assert "\n" not in str(problem)
