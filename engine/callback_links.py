"""Callback addresses: where the world answers a wait, as actors hand it out.

`Callbacks` is what a process knows about them: its keys, and the address it is reached at. A
process without an address works as long as no actor asks for one; the error comes where it is
asked for, and says what to set.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from engine.callbacks import sign
from engine.errors import Misconfigured
from engine.keys import KeyRing
from engine.layout import WaitAddress

URL_VARIABLE = "TIDESTEP_CALLBACK_URL"
"""Where an operator says how callbacks reach this system from outside."""
PATH = "/callbacks"
"""Below the base address, on every server."""


class Callbacks:
    """Makes callback addresses below `base_url`, signed with the keys of `keys`."""

    def __init__(self, keys: KeyRing, base_url: str | None = None) -> None:
        """Raises Misconfigured where `base_url` is not the beginning of a web address."""
        self.keys = keys
        self._base_url = None if base_url is None else _checked(base_url)

    async def urls(self) -> Callable[[WaitAddress], str]:
        """What turns a wait into its absolute address, without waiting for anything.

        It raises Misconfigured where this process has no base address.
        """
        if self._base_url is None:
            return _refuse
        base, key = self._base_url, await self.keys.signing()
        return lambda address: f"{base}{PATH}/{sign(address, key)}"


def _refuse(address: WaitAddress) -> str:
    raise Misconfigured(
        f"a callback needs an address: set {URL_VARIABLE} to where this system is reached from "
        "outside, such as https://flows.example.com; `tidestep serve` sets it by itself"
    )


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url.strip())
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or parts.username is not None:
        raise Misconfigured(
            f"{URL_VARIABLE} is {url!r}: it must be the beginning of a web address, "
            "such as https://flows.example.com or http://127.0.0.1:8080"
        )
    return url.strip().rstrip("/")
