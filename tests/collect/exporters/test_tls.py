"""TLS of the sending exporters: each setting shows in the handshake, or is refused by its name."""

import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from build_backend import a_sender, stopped
from build_collect import some_logs
from build_receivers import certificate
from waiting import until
from whence.collect.ciphers import openssl_ciphers
from whence.collect.exporters import otlp_http
from whence.errors import ConfigError

GCM = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"


class Shake(NamedTuple):
    """What a client showed."""

    version: str | None
    cipher: str
    name: str
    """The name in its certificate."""


class Door:
    """Takes TLS connections, remembers how each was made, and closes it."""

    def __init__(self, folder: Path) -> None:
        crt, _ = certificate(folder, "authority")
        self.authority = crt
        self.folder = folder
        shown = certificate(folder, "door", "authority")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=crt)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_cert_chain(*shown)
        context.set_alpn_protocols(["h2", "http/1.1"])
        self._context = context
        self.shakes: list[Shake] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            with suppress(OSError), self._context.wrap_socket(plain, server_side=True) as one:
                peer: Any = one.getpeercert() or {"subject": ((("", ""),),)}
                self.shakes.append(Shake(one.version(), (one.cipher() or ("",))[0], peer["subject"][0][0][1]))


@contextmanager
def shaken(door: Door, by: str, **tls: Any) -> Iterator[None]:
    """An exporter that tries to send there again and again."""
    target = f"https://localhost:{door.port}" if by == "http" else f"localhost:{door.port}"
    sender = a_sender(by, target, tls={"ca_file": str(door.authority), **tls}, timeout="5s")
    sender.consume(some_logs("a"))
    try:
        yield
    finally:
        stopped(sender, 0.1)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """One."""
    found = Door(tmp_path)
    yield found
    found.listener.shutdown(socket.SHUT_RDWR)
    found.listener.close()


@pytest.mark.parametrize(
    ("tls", "wanted"),
    [
        ({}, ("TLSv1.3", None)),
        ({"max_version": "1.2"}, ("TLSv1.2", None)),
        ({"min_version": "1.3"}, ("TLSv1.3", None)),
        ({"max_version": "1.2", "cipher_suites": [GCM]}, ("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256")),
        (
            {"max_version": "1.2", "cipher_suites": ["ECDHE-ECDSA-CHACHA20-POLY1305"]},
            ("TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305"),
        ),
    ],
)
def test_versions_and_suites_are_those_of_the_handshake(
    door: Door, tls: dict[str, Any], wanted: tuple[str, str | None]
) -> None:
    """Over HTTP; by the names of the Collector's configuration or OpenSSL's."""
    with shaken(door, "http", **tls):
        until(lambda: bool(door.shakes))
    assert door.shakes[0].version == wanted[0]
    assert wanted[1] in (None, door.shakes[0].cipher)


@pytest.mark.parametrize(
    ("iana", "openssl"),
    [
        (GCM, "ECDHE-ECDSA-AES128-GCM-SHA256"),
        ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"),
        ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", "ECDHE-ECDSA-AES128-SHA256"),
        ("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA"),
        ("TLS_RSA_WITH_AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
        ("TLS_RSA_WITH_AES_256_CBC_SHA", "AES256-SHA"),
    ],
)
def test_suites_have_their_names_in_the_collectors_configuration(iana: str, openssl: str) -> None:
    """The library knows them by others."""
    assert openssl_ciphers([iana]) == openssl


@pytest.mark.parametrize(
    ("by", "tls", "said"),
    [
        ("http", {"cipher_suites": [GCM, "TLS_MADE_UP_WITH_NOTHING"]}, "TLS_MADE_UP"),
        ("http", {"cipher_suites": ["TLS_AES_128_GCM_SHA256"]}, "TLS 1.3"),
        ("http", {"min_version": "1.3", "max_version": "1.2"}, "max_version"),
        ("grpc", {"min_version": "1.3"}, "min_version"),
        ("grpc", {"max_version": "1.2"}, "max_version"),
        ("grpc", {"cipher_suites": [GCM]}, "cipher_suites"),
        ("grpc", {"insecure_skip_verify": True}, "verification"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_name(by: str, tls: dict[str, Any], said: str) -> None:
    """Before anything is opened, not with the first request, and never silently."""
    with pytest.raises(ConfigError, match=said):
        a_sender(by, "https://localhost:1", tls=tls)


@pytest.mark.parametrize("by", ["http", "grpc"])
def test_a_renewed_certificate_is_shown_without_a_restart(
    tmp_path: Path, door: Door, by: str, caplog: pytest.LogCaptureFixture
) -> None:
    """After `reload_interval` at most; while half of it is written the old one goes on, which the log says."""
    crt, key = certificate(tmp_path, "before", "authority")
    ours = tmp_path / "ours.crt", tmp_path / "ours.key"
    ours[0].write_bytes(crt.read_bytes())
    ours[1].write_bytes(key.read_bytes())
    tls = {"cert_file": str(ours[0]), "key_file": str(ours[1]), "reload_interval": "10ms"}
    with caplog.at_level(logging.ERROR), shaken(door, by, **tls):
        until(lambda: bool(door.shakes))
        assert door.shakes[-1].name == "before"
        crt, key = certificate(tmp_path, "after", "authority")
        ours[0].write_bytes(crt.read_bytes())
        until(lambda: "goes on with the certificates it has" in caplog.text)
        assert door.shakes[-1].name == "before"
        ours[1].write_bytes(key.read_bytes())
        until(lambda: door.shakes[-1].name == "after")


def test_without_an_interval_certificates_stay(door: Door, tmp_path: Path) -> None:
    """As the Collector has it."""
    crt, key = certificate(tmp_path, "before", "authority")
    with shaken(door, "http", cert_file=str(crt), key_file=str(key)):
        until(lambda: len(door.shakes) > 2)
        crt.write_bytes(b"nothing")
        so_far = len(door.shakes)
        until(lambda: len(door.shakes) > so_far + 5)
    assert {shake.name for shake in door.shakes} == {"before"}


@pytest.mark.parametrize("by", ["http", "grpc"])
def test_the_systems_authorities_can_be_used_beside_ours(door: Door, by: str) -> None:
    """And ours is still one of them."""
    with shaken(door, by, include_system_ca_certs_pool=True):
        until(lambda: bool(door.shakes))


def test_a_server_of_another_name_is_refused_unless_it_is_given(tmp_path: Path, door: Door) -> None:
    """`server_name_override` is what the certificate must be for."""
    override = {"server_name_override": "elsewhere.test"}
    settings = otlp_http.OTLPHTTPSettings.model_validate({"endpoint": "https://x", "tls": override})
    assert settings.tls is not None
    sender = a_sender("http", f"https://localhost:{door.port}", tls={"ca_file": str(door.authority), **override})
    sender.consume(some_logs("a"))
    until(lambda: not sender.health().ok)
    assert "elsewhere.test" in str(sender.health().reason)
    stopped(sender, 0.1)
