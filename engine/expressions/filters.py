"""The filters: `value | name(...)`. What is not in these tables does not exist.

Missing from Jinja2's list on purpose: `attr`, `format`, `random`, `pprint`, everything for HTML,
and what has no meaning for JSON.
"""

from __future__ import annotations

from engine.errors import ExpressionError
from engine.expressions import scalars, sequences
from engine.expressions.evaluation import Evaluation
from engine.expressions.functions import UNSET, Function, find, functions
from engine.expressions.missing import Missing
from engine.expressions.predicates import TESTS
from engine.expressions.scope import Json
from engine.expressions.values import elements_of, spend_number


def map_elements(
    evaluation: Evaluation,
    value: Json,
    *name_and_arguments: Json,
    attribute: Json = None,
    default: Json = UNSET,
) -> list[Json]:
    """`map('upper')` applies a filter to each element, `map(attribute='a.b')` looks into each."""
    elements = elements_of(evaluation, value)
    evaluation.spend_elements(len(elements))
    if attribute is not None and not name_and_arguments:
        results = sequences.attributes(evaluation, elements, attribute)
        if default is not UNSET:
            return [default if type(result) is Missing else result for result in results]
    elif attribute is None and default is UNSET and name_and_arguments:
        function = find(PLAIN_FILTERS, "filter for map", name_and_arguments[0])
        arguments = name_and_arguments[1:]
        function.check_arguments(len(arguments), ())
        results = []
        for element in elements:
            results.append(result := function(evaluation, element, *arguments))
            spend_number(evaluation, result)
    else:
        raise ExpressionError("map takes a filter's name and its arguments, or attribute=...")
    for result in results:
        if type(result) is Missing:
            result.fail()
    return results


def select(evaluation: Evaluation, value: Json, *test_and_arguments: Json) -> list[Json]:
    elements = elements_of(evaluation, value)
    return _kept(evaluation, elements, elements, test_and_arguments, True)


def reject(evaluation: Evaluation, value: Json, *test_and_arguments: Json) -> list[Json]:
    elements = elements_of(evaluation, value)
    return _kept(evaluation, elements, elements, test_and_arguments, False)


def select_by_attribute(
    evaluation: Evaluation, value: Json, attribute: Json, *test_and_arguments: Json
) -> list[Json]:
    elements = elements_of(evaluation, value)
    found = sequences.attributes(evaluation, elements, attribute)
    return _kept(evaluation, elements, found, test_and_arguments, True)


def reject_by_attribute(
    evaluation: Evaluation, value: Json, attribute: Json, *test_and_arguments: Json
) -> list[Json]:
    elements = elements_of(evaluation, value)
    found = sequences.attributes(evaluation, elements, attribute)
    return _kept(evaluation, elements, found, test_and_arguments, False)


def _kept(
    evaluation: Evaluation,
    elements: list[Json],
    tested: list[Json],
    test_and_arguments: tuple[Json, ...],
    wanted: bool,
) -> list[Json]:
    """The elements whose counterpart in `tested` passes the test; without a test, is true."""
    evaluation.spend_elements(len(elements))
    if not test_and_arguments:
        # A missing value raises here: it is neither true nor false.
        passed = [bool(value) for value in tested]
    else:
        test = find(TESTS, "test", test_and_arguments[0])
        arguments = test_and_arguments[1:]
        test.check_arguments(len(arguments), ())
        passed = [test(evaluation, value, *arguments) for value in tested]
    return [element for element, ok in zip(elements, passed, strict=True) if ok is wanted]


# What `map` may apply. Filters that apply others are not among them: applying them through each
# other would multiply work without any one of them seeing how much.
PLAIN_FILTERS: dict[str, Function] = functions(
    "filter",
    {
        "abs": scalars.absolute,
        "batch": sequences.batch,
        "capitalize": scalars.capitalize,
        "center": scalars.center,
        "count": sequences.length,
        "d": scalars.default,
        "default": scalars.default,
        "dictsort": sequences.sorted_items,
        "first": sequences.first,
        "float": scalars.floating,
        "int": scalars.integer,
        "items": sequences.items,
        "join": sequences.join,
        "last": sequences.last,
        "length": sequences.length,
        "list": sequences.to_list,
        "lower": scalars.lower,
        "max": sequences.largest,
        "min": sequences.smallest,
        "replace": scalars.replace,
        "reverse": sequences.reverse,
        "round": scalars.rounded,
        "slice": sequences.slices,
        "sort": sequences.sort,
        "string": scalars.string,
        "sum": sequences.total,
        "title": scalars.title,
        "tojson": scalars.to_json,
        "trim": scalars.trim,
        "unique": sequences.unique,
        "upper": scalars.upper,
    },
    takes_missing=("d", "default"),
)

FILTERS: dict[str, Function] = PLAIN_FILTERS | functions(
    "filter",
    {
        "map": map_elements,
        "select": select,
        "reject": reject,
        "selectattr": select_by_attribute,
        "rejectattr": reject_by_attribute,
    },
)
