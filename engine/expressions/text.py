"""Operations on strings, shared by methods (`name.upper()`) and filters (`name | upper`).

The signature is the author's: evaluation, the string, then the arguments. Each charges its result
before building it. Left out on purpose: `format` and its relatives (they read attributes), and
searches from the right (CPython's take quadratic time on texts made for it).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from engine.errors import ExpressionError
from engine.expressions.evaluation import Evaluation
from engine.expressions.scope import Json
from engine.expressions.values import as_integer, as_text, elements_of, text_of

# CPython looks up each character to strip in the whole set, so the set must be small.
_MAX_STRIP_CHARACTERS = 256

# What Jinja2's `title` takes for the inside of a word: "it's" becomes "It's".
_WORD = re.compile(r"[^-\s({\[<]+")


def upper(evaluation: Evaluation, text: str) -> str:
    evaluation.spend(len(text))
    return text.upper()


def lower(evaluation: Evaluation, text: str) -> str:
    evaluation.spend(len(text))
    return text.lower()


def casefold(evaluation: Evaluation, text: str) -> str:
    evaluation.spend(len(text))
    return text.casefold()


def capitalize(evaluation: Evaluation, text: str) -> str:
    evaluation.spend(len(text))
    return text.capitalize()


def title(evaluation: Evaluation, text: str) -> str:
    # Charged as a list of one-letter words, which is what the replacement may hold meanwhile.
    evaluation.spend_elements(len(text))
    return _WORD.sub(lambda word: word[0][0].upper() + word[0][1:].lower(), text)


def strip(evaluation: Evaluation, text: str, chars: Json = None) -> str:
    return text.strip(_strip_set(evaluation, text, chars))


def lstrip(evaluation: Evaluation, text: str, chars: Json = None) -> str:
    return text.lstrip(_strip_set(evaluation, text, chars))


def rstrip(evaluation: Evaluation, text: str, chars: Json = None) -> str:
    return text.rstrip(_strip_set(evaluation, text, chars))


def _strip_set(evaluation: Evaluation, text: str, chars: Json) -> str | None:
    evaluation.spend(len(text))
    if chars is None:
        return None
    if len(as_text(chars, "what is stripped")) > _MAX_STRIP_CHARACTERS:
        raise ExpressionError(f"too large: at most {_MAX_STRIP_CHARACTERS} characters to strip")
    return str(chars)


def removeprefix(evaluation: Evaluation, text: str, prefix: Json) -> str:
    evaluation.spend(len(text))
    return text.removeprefix(as_text(prefix, "a prefix"))


def removesuffix(evaluation: Evaluation, text: str, suffix: Json) -> str:
    evaluation.spend(len(text))
    return text.removesuffix(as_text(suffix, "a suffix"))


def replace(evaluation: Evaluation, text: str, old: Json, new: Json, count: Json = None) -> str:
    as_text(old, "what is replaced")
    as_text(new, "the replacement")
    evaluation.spend_reading(len(text))
    times = text.count(old)
    if count is not None and as_integer(count, "the count") >= 0:
        times = min(times, count)
    evaluation.spend(len(text) + times * max(0, len(new) - len(old)))
    return text.replace(old, new, times)


def split(evaluation: Evaluation, text: str, sep: Json = None, maxsplit: Json = -1) -> list[str]:
    limit = as_integer(maxsplit, "maxsplit")
    if sep is None:
        pieces = len(text) // 2 + 1
    elif as_text(sep, "the separator"):
        evaluation.spend_reading(len(text))
        pieces = text.count(sep) + 1
    else:
        raise ExpressionError("the separator of split() is empty")
    evaluation.spend_elements(min(pieces, limit + 1) if limit >= 0 else pieces)
    evaluation.spend(len(text))
    # A maxsplit beyond the text's length is as good as none, and always fits into C's integers.
    return text.split(sep, min(limit, len(text)))


def splitlines(evaluation: Evaluation, text: str) -> list[str]:
    evaluation.spend_elements(len(text))
    return text.splitlines()


def join(evaluation: Evaluation, separator: str, items: Json) -> str:
    """`separator` between the items' texts."""
    texts = [text_of(evaluation, item) for item in elements_of(evaluation, items)]
    evaluation.spend(sum(map(len, texts)) + len(separator) * max(0, len(texts) - 1))
    return separator.join(texts)


def startswith(evaluation: Evaluation, text: str, prefix: Json) -> bool:
    evaluation.spend_reading(len(as_text(prefix, "a prefix")))
    return text.startswith(prefix)


def endswith(evaluation: Evaluation, text: str, suffix: Json) -> bool:
    evaluation.spend_reading(len(as_text(suffix, "a suffix")))
    return text.endswith(suffix)


def find(evaluation: Evaluation, text: str, sub: Json) -> int:
    """The position of the first occurrence, -1 if there is none."""
    evaluation.spend_reading(len(text))
    return text.find(as_text(sub, "what is sought in a string"))


def index(evaluation: Evaluation, text: str, sub: Json) -> int:
    position = find(evaluation, text, sub)
    if position < 0:
        raise ExpressionError("index() has not found what it was given")
    return position


def count(evaluation: Evaluation, text: str, sub: Json) -> int:
    evaluation.spend_reading(len(text))
    return text.count(as_text(sub, "what is sought in a string"))


def center(evaluation: Evaluation, text: str, width: Json = 80, fillchar: Json = " ") -> str:
    return text.center(*_padding(evaluation, text, width, fillchar))


def ljust(evaluation: Evaluation, text: str, width: Json, fillchar: Json = " ") -> str:
    return text.ljust(*_padding(evaluation, text, width, fillchar))


def rjust(evaluation: Evaluation, text: str, width: Json, fillchar: Json = " ") -> str:
    return text.rjust(*_padding(evaluation, text, width, fillchar))


def zfill(evaluation: Evaluation, text: str, width: Json) -> str:
    return text.zfill(_padding(evaluation, text, width, "0")[0])


def _padding(evaluation: Evaluation, text: str, width: Json, fillchar: Json) -> tuple[int, str]:
    if len(as_text(fillchar, "the fill character")) != 1:
        raise ExpressionError("the fill character must be one character")
    evaluation.spend(max(len(text), as_integer(width, "the width")))
    return width, fillchar


def _question(method: Callable[[str], bool]) -> Callable[[Evaluation, str], bool]:
    def question(evaluation: Evaluation, text: str) -> bool:
        evaluation.spend_reading(len(text))
        return method(text)

    return question


isalnum = _question(str.isalnum)
isalpha = _question(str.isalpha)
isdigit = _question(str.isdigit)
islower = _question(str.islower)
isspace = _question(str.isspace)
isupper = _question(str.isupper)
