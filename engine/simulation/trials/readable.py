"""A history's lines with the names of nodes in the place of their numbers.

A token stands there as `run/0.2.1.3`: epoch, number of the node, visit, attempt. Here it is
`run/charge.1.3`, and the epoch is said where it is not the first. A fault's line begins with its
name, which is how it is muted and must stay as it is; what it is about is added.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

_TOKEN = re.compile(
    r"(?P<run>[\w.-]+)(?:/(?P<a>\d+)\.(?P<b>\d+)\.(?P<c>\d+)\.(?P<d>\d+)\b"
    r"| \((?P<e>\d+), (?P<f>\d+), (?P<g>\d+), (?P<h>\d+)\))"
)
FAULT = re.compile(r"\S+  !  ")
"""How the line of a fault begins, after its time."""


def readable(lines: Iterable[str], nodes: Sequence[str]) -> Iterator[str]:
    """`nodes` are the ids in the order of the definition."""

    def name(found: re.Match[str]) -> str:
        numbers = [int(each) for each in found.groups()[1:] if each is not None]
        epoch, node, visit, attempt = numbers
        if node >= len(nodes):
            return found[0]
        again = f" (epoch {epoch})" if epoch else ""
        return f"{found['run']}/{nodes[node]}.{visit}.{attempt}{again}"

    for line in lines:
        if FAULT.search(line):
            about = _TOKEN.search(line)
            yield f"{line}  ({name(about)})" if about and name(about) != about[0] else line
        else:
            yield _TOKEN.sub(name, line)
