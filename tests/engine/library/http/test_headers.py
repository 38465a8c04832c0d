"""Headers that cannot be sent, and headers that must not go to just anybody."""

from __future__ import annotations

import pytest

from engine.errors import PermanentFailure
from tests.engine.library.http.world import PUBLIC, Network, Server, call, redirect, reply


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "hidden\r\nX-B: 1"},
        {"X-A": "hidden\n"},
        {"X-A": "hidden\x00"},
        {"X-A": "hidden é"},
        {"X-A\r\nX-B": "hidden"},
        {"": "hidden"},
        {"Host": "hidden"},
        {"transfer-encoding": "hidden"},
    ],
)
def test_headers_that_cannot_be_sent_fail_for_good(headers: dict[str, str]) -> None:
    with pytest.raises(PermanentFailure, match=r"config\.headers") as raised:
        call(url="http://example.com/", headers=headers)
    assert "hidden" not in str(raised.value)


def test_secret_headers_stay_with_their_origin(server: Server, network: Network) -> None:
    network.names |= {"one.test": [[PUBLIC]], "two.test": [[PUBLIC]]}
    server.answers["/same"] = redirect("/away", status=307)
    server.answers["/away"] = redirect("http://two.test/end", status=307)
    server.answers["/end"] = reply(b"ok")
    headers = {"X-Api-Key": "key", "Authorization": "Bearer x", "Cookie": "c=1", "Accept": "a/b"}
    call(
        url="http://one.test/same",
        method="POST",
        json=[1],
        headers=headers,
        follow_redirects=True,
    )
    first, same, away = server.seen
    assert first.headers["Cookie"] == "c=1"
    assert same.headers["X-Api-Key"] == "key"
    assert same.headers["Authorization"] == "Bearer x"
    assert [away.headers[name] for name in headers] == [None, None, None, "a/b"]
    assert away.headers["Host"] == "two.test"
    assert (away.command, away.body) == ("POST", b"[1]")
    assert away.headers["Idempotency-Key"] == "run-1/call/0"
