"""URLs: which can be requested, where they lead, and how errors show them.

What must stay true:

- A URL of the config and the target of a redirect pass the same check, `check_url`.
- Errors show a place as `scheme://host/path`: the query may hold secrets, and so may a URL that is
  not valid, which is not shown at all. The path is shown.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from engine.errors import PermanentFailure

if TYPE_CHECKING:
    import httpx

HOST_NAME = re.compile(r"[a-z0-9_][a-z0-9._-]*", re.IGNORECASE)


def checked_url(text: str) -> httpx.URL:
    """Raises PermanentFailure, which does not show the text: a secret may be anywhere in it."""
    import httpx

    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        raise PermanentFailure("config.url is not a valid URL") from None
    check_url(url)
    return url


def check_url(url: httpx.URL) -> None:
    if url.scheme not in ("http", "https"):
        raise PermanentFailure("the URL must begin with http:// or https://")
    if url.userinfo:
        raise PermanentFailure(
            f"{place_of(url)}: a URL must not hold a user or password; use the Authorization header"
        )
    host = host_of(url)
    if not HOST_NAME.fullmatch(host) and (":" not in host or "%" in host):
        raise PermanentFailure("the URL holds no valid host name")
    if url.port is not None and not 0 < url.port < 65_536:
        raise PermanentFailure(f"{place_of(url)}: the port must be from 1 to 65535")


def keeps_origin(before: httpx.URL, after: httpx.URL) -> bool:
    """An upgrade from http to https on the standard ports counts as staying."""
    if (before.scheme, before.host, port_of(before)) == (after.scheme, after.host, port_of(after)):
        return True
    upgraded = after.scheme == "https" and (port_of(before), port_of(after)) == (80, 443)
    return upgraded and before.host == after.host


def place_of(url: httpx.URL) -> str:
    """A URL as errors may show it."""
    shown = str(url.copy_with(userinfo=b"", query=None, fragment=None))
    return shown if len(shown) <= 200 else shown[:199] + "…"


def host_of(url: httpx.URL) -> str:
    return url.raw_host.decode("ascii")


def port_of(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)
