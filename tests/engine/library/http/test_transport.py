"""Connections: to the address that was checked, with the name it was checked for; how they fail."""

from __future__ import annotations

import logging
import socket
import ssl
from typing import Any

import pytest

from engine.errors import Refused
from engine.library.http import HttpTransportError, transport
from tests.engine.library.http.world import PUBLIC, Handler, Network, Server, call, redirect, reply


def test_a_resolver_that_changes_its_mind_is_not_asked_twice(
    server: Server, network: Network
) -> None:
    network.names["rebind.test"] = [[PUBLIC], ["127.0.0.1"]]
    server.answers["/x"] = reply(b"ok")
    assert call(url="http://rebind.test/x")["body"] == "ok"
    assert network.connected == [PUBLIC]
    assert server.seen[0].headers["Host"] == "rebind.test"
    with pytest.raises(Refused):
        call(url="http://rebind.test/x")


def test_an_address_that_does_not_answer_leaves_the_next_one(
    server: Server, network: Network
) -> None:
    network.names["two.test"] = [["2606:2800:21f::1", PUBLIC]]
    network.unreachable.add("2606:2800:21f::1")
    server.answers["/x"] = reply(b"ok")
    assert call(url="http://two.test/x", method="POST", body="once")["body"] == "ok"
    assert network.connected == ["2606:2800:21f::1", PUBLIC]
    assert [seen.body for seen in server.seen] == [b"once"]


def test_proxies_of_the_environment_are_not_used(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    server.answers["/x"] = reply(b"ok")
    assert call(url=server.url("/x"))["body"] == "ok"


def test_tls_goes_by_the_name_and_not_by_the_address(
    server: Server, network: Network, certificate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str | None] = []
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    tls.sni_callback = lambda socket, name, context: names.append(name)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    client_tls = ssl.create_default_context(cafile=certificate)
    monkeypatch.setattr(transport, "client_tls", lambda: client_tls)
    network.names |= {"secure.test": [[PUBLIC]], "other.test": [[PUBLIC]]}
    server.answers["/x"] = reply(b"ok")
    server.answers["/away"] = redirect("https://other.test/x")

    assert call(url="https://secure.test/x")["body"] == "ok"
    for url in ("https://other.test/x", "https://secure.test/away"):
        with pytest.raises(HttpTransportError) as raised:
            call(url=url, follow_redirects=True)
        assert "https://other.test/x: the certificate is not valid: Host" in str(raised.value)
    assert names == ["secure.test", "other.test", "secure.test", "other.test"]
    assert set(network.connected) == {PUBLIC}


def test_transport_errors_name_the_host_and_the_reason(server: Server) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(HttpTransportError) as raised:
            call(url=f"http://127.0.0.1:{port}/x?token=hidden")
    assert str(raised.value) == f"http://127.0.0.1:{port}/x: Connection refused"
    assert raised.value.retryable


def test_a_connection_that_breaks_is_retryable(server: Server) -> None:
    def hang_up(handler: Handler) -> None:
        handler.close_connection = True

    server.answers["/x"] = hang_up
    with pytest.raises(HttpTransportError, match="/x: the server broke off its answer"):
        call(url=server.url("/x"))


def test_an_unknown_host_is_retryable(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: Any, **options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(HttpTransportError, match=r"nowhere\.test/: Name or service not known"):
        call(url="http://nowhere.test/?token=hidden")


def test_other_users_of_httpx_keep_their_log(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "httpx")
    server.answers["/x"] = reply()
    call(url=server.url("/x"))
    assert not caplog.records
    logging.getLogger("httpx").info("theirs")
    assert "theirs" in caplog.text
