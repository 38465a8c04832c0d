"""Both sides of the protocol have the same bounds: what a runner lets pass is not refused."""

from __future__ import annotations

from engine.allocation import keyvalue, tunnel
from engine.ports import MAX_ALSO
from engine.stateful import bodies, kv, memory


def test_what_a_runner_lets_pass_the_other_side_takes() -> None:
    assert memory.STATE_BYTES == keyvalue.STATE_BYTES
    assert kv.VALUE_BYTES == keyvalue.VALUE_BYTES
    assert kv.KEY_BYTES == keyvalue.KEY_BYTES
    assert kv.WRITE_BYTES == keyvalue.WRITE_BYTES
    assert kv.KEYS_AT_ONCE + 1 <= MAX_ALSO
    assert bodies.REQUEST_HEADER == tunnel.REQUEST_HEADER
