"""Which addresses may be connected to, and what the operator can allow."""

from __future__ import annotations

import socket

import pytest

from engine.errors import Misconfigured, Refused
from engine.library.http import HttpTransportError
from tests.engine.library.http.world import PUBLIC, Network, Server, call, redirect, reply


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1.2.3",
        "localhost",
        "LOCALHOST",
        "2130706433",
        "0x7f.1",
        "127.1",
        "0",
        "0.0.0.0",
        "0.1.2.3",
        "169.254.169.254",
        "169.254.170.2",
        "168.63.129.16",
        "100.100.100.200",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::ffff:169.254.169.254]",
        "[::127.0.0.1]",
        "[2002:7f00:1::]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::7f00:1]",
        "[2001:0:1234::80ff:fffe]",
        "[fe80::1]",
        "[ff02::1]",
        "[fd00:ec2::254]",
    ],
)
def test_targets_that_are_refused(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDESTEP_HTTP_ALLOW", raising=False)
    with pytest.raises(Refused, match="TIDESTEP_HTTP_ALLOW") as raised:
        call(url=f"http://{host}/x?token=hidden")
    assert "hidden" not in str(raised.value)
    assert not raised.value.retryable


@pytest.mark.parametrize(
    "address",
    [
        PUBLIC,
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "fd12::1",
        "2606:2800:21f::1",
        "64:ff9b::5db8:d70e",
    ],
)
def test_public_and_private_targets_are_allowed(
    server: Server, network: Network, address: str
) -> None:
    network.names["service.test"] = [[address]]
    server.answers["/x"] = reply(b"ok")
    assert call(url="http://service.test/x")["body"] == "ok"
    assert network.connected == [address]


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "::1"])
def test_names_are_refused_for_any_of_their_addresses(network: Network, address: str) -> None:
    network.names["mixed.test"] = [[PUBLIC, address]]
    if address == "::ffff:10.0.0.1":  # private, in disguise: as allowed as without
        network.unreachable |= {PUBLIC, address}
        with pytest.raises(HttpTransportError):
            call(url="http://mixed.test/x")
        return
    with pytest.raises(Refused, match=r"//mixed\.test/x: 'mixed\.test' is a"):
        call(url="http://mixed.test/x")
    assert network.connected == []


@pytest.mark.parametrize(
    "allowed",
    [
        "127.0.0.1",
        "127.0.0.0/8",
        "127.0.0.1:{port}",
        "example.com, service.test",
        "Service.TEST.",
        "service.test:{port}",
        "10.0.0.1,[::1]:1,127.0.0.1",
    ],
)
def test_the_operator_can_allow_targets(
    server: Server, monkeypatch: pytest.MonkeyPatch, allowed: str
) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *a, **k: real("127.0.0.1", *a, **k))
    monkeypatch.setenv("TIDESTEP_HTTP_ALLOW", allowed.format(port=server.port))
    server.answers["/x"] = reply(b"ok")
    assert call(url=server.url("/x", host="service.test"))["body"] == "ok"


@pytest.mark.parametrize(
    "allowed", ["", "127.0.0.2", "127.0.0.1:1", "service.test:1", "other.test", "::1", "test"]
)
def test_what_is_not_on_the_list_stays_refused(
    monkeypatch: pytest.MonkeyPatch, network: Network, allowed: str
) -> None:
    network.names["service.test"] = [["127.0.0.1"]]
    monkeypatch.setenv("TIDESTEP_HTTP_ALLOW", allowed)
    with pytest.raises(Refused):
        call(url="http://service.test/x")


@pytest.mark.parametrize("entry", ["http://localhost", "10.0.0.0/99", "*.test", "lo*", "a b"])
def test_an_allow_list_that_is_not_understood_is_the_operators_error(
    monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    monkeypatch.setenv("TIDESTEP_HTTP_ALLOW", f"{entry}, 127.0.0.1")
    with pytest.raises(Misconfigured, match="TIDESTEP_HTTP_ALLOW"):
        call(url="http://127.0.0.1/")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "169.254.169.254", "inner.test"])
def test_a_redirect_to_a_refused_target_is_refused(
    server: Server, network: Network, host: str
) -> None:
    network.names |= {"outer.test": [[PUBLIC]], "inner.test": [["127.0.0.1"]]}
    server.answers["/x"] = redirect(f"http://{host}/meta?token=hidden")
    server.answers["/meta"] = reply(b"credentials")
    with pytest.raises(Refused, match=r"/meta: ") as raised:
        call(url="http://outer.test/x", follow_redirects=True)
    assert "hidden" not in str(raised.value)
    assert network.connected == [PUBLIC]
