"""Fixtures for the tests of `http.request`: whom it can call."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.engine.library.http.world import Network, Server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server on loopback, which the operator allows."""
    monkeypatch.setenv("TIDESTEP_HTTP_ALLOW", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.released.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def network(server: Server, monkeypatch: pytest.MonkeyPatch) -> Network:
    """Nothing is allowed here but what the default allows."""
    made = Network(server.port)
    monkeypatch.delenv("TIDESTEP_HTTP_ALLOW")
    monkeypatch.setattr(socket, "getaddrinfo", made.getaddrinfo)

    async def connect_tcp(self: Any, host: str, port: int, **options: Any) -> Any:
        return await made.connect(self, host, port, **options)

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect_tcp)
    return made


@pytest.fixture
def certificate(tmp_path: Path) -> str:
    """A file with a key and a certificate for secure.test, which vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "secure.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("secure.test")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = tmp_path / "secure.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return str(path)
