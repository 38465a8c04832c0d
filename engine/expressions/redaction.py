"""Takes secrets out of what is stored, shown or logged.

A secret may come back as it is, or inside JSON text, where its quotes, backslashes and non-ASCII
characters are escaped: both forms are replaced. Occurrences that overlap are replaced together, so
that no tail of a secret is left standing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection

from engine.expressions.scope import Json

REPLACEMENT = "***"

# Shorter secrets are left alone: they would blank out ordinary words and give nothing away.
MIN_SECRET_CHARACTERS = 4


def redact(value: Json, secrets: Collection[str]) -> Json:
    """A copy of a JSON value (or a plain string) with every secret replaced by `***`.

    Mapping keys are redacted too; keys that become equal are told apart by further asterisks.
    Secrets shorter than MIN_SECRET_CHARACTERS are ignored. The argument is never changed; it is
    returned itself when there is nothing to look for.
    """
    forms = _forms(secrets)
    if not forms:
        return value
    # The lookahead finds an occurrence at every position, also inside another one; of those that
    # start together the longest comes first.
    pattern = re.compile(f"(?=({'|'.join(map(re.escape, forms))}))")

    def clean(text: str) -> str:
        if not any(form in text for form in forms):
            return text
        return _replace(text, [match.span(1) for match in pattern.finditer(text)])

    # Iterative: a value too deep for recursion must still come out redacted.
    root = [value]
    pending: list[Json] = [root]
    while pending:
        container = pending.pop()
        places = container.items() if isinstance(container, dict) else enumerate(container)
        for place, item in list(places):
            if isinstance(item, str):
                container[place] = clean(item)
            elif isinstance(item, list | tuple):
                pending.append(copied := list(item))
                container[place] = copied
            elif isinstance(item, dict):
                pending.append(renamed := _with_clean_keys(item, clean))
                container[place] = renamed
    return root[0]


def _forms(secrets: Collection[str]) -> list[str]:
    """Each secret as it is and as JSON text has it, longest first."""
    forms: set[str] = set()
    for secret in secrets:
        if len(secret) >= MIN_SECRET_CHARACTERS:
            forms.add(secret)
            forms.add(json.dumps(secret)[1:-1])
            forms.add(json.dumps(secret, ensure_ascii=False)[1:-1])
    return sorted(forms, key=len, reverse=True)


def _with_clean_keys(mapping: dict[str, Json], clean: Callable[[str], str]) -> dict[str, Json]:
    renamed: dict[str, Json] = {}
    for key, item in mapping.items():
        name = clean(key)
        while name in renamed:
            name += "*"
        renamed[name] = item
    return renamed


def _replace(text: str, spans: list[tuple[int, int]]) -> str:
    """`spans` are in order of their starts, and may overlap."""
    pieces: list[str] = []
    end_of_last = 0
    for start, end in spans:
        if not pieces or start >= end_of_last:
            pieces += [text[end_of_last:start], REPLACEMENT]
        end_of_last = max(end, end_of_last)
    return "".join([*pieces, text[end_of_last:]])
