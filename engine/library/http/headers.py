"""Headers of the config: which can be sent, and which may be shown.

What must stay true: no value becomes a second header or a second request, and none is shown in an
error. A header counts as secret unless `PUBLIC_HEADERS` names it.
"""

from __future__ import annotations

import re

from engine.errors import PermanentFailure

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
_CLIENT_HEADERS = {"connection", "content-length", "host", "transfer-encoding", "upgrade"}
"""Said by the client alone: two opinions on where a request ends make two requests of one."""
PUBLIC_HEADERS = {"accept", "accept-language", "content-type", "user-agent"}
"""Of the config's headers, those that say nothing secret."""


def checked_headers(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise PermanentFailure("config.headers: a name holds characters that it must not")
        if name.lower() in _CLIENT_HEADERS:
            raise PermanentFailure(f"config.headers: '{name}' is set by the client itself")
        if not _HEADER_VALUE.fullmatch(value):
            raise PermanentFailure(
                f"config.headers: the value of '{name}' holds a line break or another character "
                "that is not printable ASCII"
            )
    return {name: value.strip(" \t") for name, value in headers.items()}
