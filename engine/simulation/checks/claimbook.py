"""Claims: who may run what again (DESIGN §4 rules 11 and 12).

- A claim whose deadline is not over is not taken by anybody else, unless it was given back.
- A delivery that is not the first runs its token under a claim of its own: under none, or under one
  that an earlier execution ran under, it would run beside another.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.claims import GIVEN_BACK, Claim, decode_claim
from engine.layout import CLAIM_PREFIX
from engine.ports import Item
from engine.simulation.observing import TokenId, Violation


class ClaimBook:
    """The claims of one run; `items` are the bytes of everything in its partition."""

    def __init__(self, run: str, items: Mapping[str, bytes], skew_ms: int) -> None:
        self._run = run
        self._items = items
        self._skew = skew_ms + 1
        self._used: set[str] = set()
        """Executions that have begun."""

    def written(self, item: Item, known: bytes | None, at: int) -> None:
        """Called before the new item takes the place of the known one. Raises Violation."""
        if known is None or known == item.body or not item.name.startswith(CLAIM_PREFIX):
            return
        before, after = decode_claim(known), decode_claim(item.body)
        own = after.execution in (GIVEN_BACK, before.execution)
        if before.execution != GIVEN_BACK and before.deadline > at + self._skew and not own:
            text = f"{before} of {item.name} was alive, and {after} took its place"
            raise Violation("live claim", f"run {self._run}: {text}")

    def began_again(self, token: TokenId) -> None:
        """Somebody runs the token who is not the first. Raises Violation."""
        self._is_claimed(token, ".".join(map(str, token)), "claim")

    def began_once(self, token: TokenId) -> None:
        """Somebody runs a token that must not run twice, in whatever epoch. Raises Violation."""
        self._is_claimed(token, f"once.{'.'.join(map(str, token[1:]))}", "claim for once")

    def _is_claimed(self, token: TokenId, name: str, rule: str) -> None:
        claim = self._claim(name)
        if claim is None or claim.execution == GIVEN_BACK:
            raise Violation(rule, f"run {self._run}: {token} runs, and nobody claimed it")
        if claim.execution in self._used:
            text = f"{token} runs under {claim}, which is not its own"
            raise Violation(rule, f"run {self._run}: {text}")
        self._used.add(claim.execution)

    def _claim(self, name: str) -> Claim | None:
        body = self._items.get(f"{CLAIM_PREFIX}{name}")
        return None if body is None else decode_claim(body)
