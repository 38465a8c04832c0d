"""URLs that cannot be requested, in the config or as the target of a redirect."""

from __future__ import annotations

import pytest

from engine.errors import PermanentFailure
from tests.engine.library.http.world import PUBLIC, Network, Server, call, redirect


@pytest.mark.parametrize(
    "url",
    [
        "example.com/hidden",
        "ftp://example.com/hidden",
        "file:///hidden",
        "http://",
        "http:///hidden",
        "http://example.com/\r\nX: hidden",
        "http://user:hidden@example.com/",
        "http://hidden@example.com/",
        "http://example.com:99999/?hidden",
        "http://example.com:0/?hidden",
        "http://a..b/?hidden",
        "http://0177.0.0.1/?hidden",
        "http://[fe80::1%25lo]/?hidden",
        "http://%6c%6fcalhost/?hidden",
        "http://a b/?hidden",
        "http://" + "a" * 70 + ".com/?hidden",
    ],
)
def test_urls_that_cannot_be_requested_fail_for_good(url: str) -> None:
    with pytest.raises(PermanentFailure) as raised:
        call(url=url)
    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://a/", "http://u:p@outer.test/"])
def test_a_redirect_to_what_is_no_target_fails_for_good(
    server: Server, network: Network, location: str
) -> None:
    network.names["outer.test"] = [[PUBLIC]]
    server.answers["/x"] = redirect(location)
    with pytest.raises(PermanentFailure):
        call(url="http://outer.test/x", follow_redirects=True)
    assert len(network.connected) == 1
