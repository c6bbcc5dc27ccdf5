"""Proxies by environment variables as Go's programs read them, and a real one that both exporters go through."""

import base64
import socket
import threading
from contextlib import suppress

import pytest

from build_backend import Backend, a_sender, stopped
from build_collect import some_logs
from whence.collect.exporters.proxies import checked, proxy_of
from whence.errors import ConfigError

HTTP, HTTPS = "http://p:3128", "http://q:3129"
BOTH = {"HTTP_PROXY": HTTP, "HTTPS_PROXY": HTTPS}


@pytest.mark.parametrize(
    ("url", "environ", "wanted"),
    [
        ("http://a.test/v1", BOTH, HTTP),
        ("https://a.test/v1", BOTH, HTTPS),
        ("https://a.test", {"https_proxy": HTTPS}, HTTPS),
        ("https://a.test", {"HTTPS_PROXY": HTTPS, "https_proxy": HTTP}, HTTPS),
        ("https://a.test", {"HTTP_PROXY": HTTP}, None),
        ("http://a.test", {"HTTP_PROXY": "p:3128"}, HTTP),
        ("http://localhost:4318", BOTH, None),
        ("http://127.0.0.9:4318", BOTH, None),
        ("http://[::1]:4318", BOTH, None),
        ("http://10.1.2.3:4318", BOTH, HTTP),
        ("http://a.test", {}, None),
    ],
)
def test_the_scheme_says_which_variable_counts(url: str, environ: dict[str, str], wanted: str | None) -> None:
    """Upper case first; what is on this machine is never proxied."""
    assert proxy_of(url, environ) == wanted


@pytest.mark.parametrize(
    ("rule", "url", "direct"),
    [
        ("*", "http://a.test", True),
        ("a.test", "http://a.test", True),
        ("a.test", "http://b.a.test", True),
        ("a.test", "http://ba.test", False),
        (".a.test", "http://a.test", False),
        (".a.test", "http://b.a.test", True),
        ("*.a.test", "http://b.a.test", True),
        ("A.Test", "http://a.test", True),
        ("a.test:4318", "http://a.test:4318", True),
        ("a.test:4318", "http://a.test:80", False),
        ("a.test:80", "http://a.test", True),
        ("x.test, a.test ,", "http://a.test", True),
        ("10.0.0.0/8", "http://10.1.2.3", True),
        ("10.0.0.0/8", "http://11.1.2.3", False),
        ("10.1.2.3", "http://10.1.2.3", True),
        ("10.1.2.3:80", "http://10.1.2.3:81", False),
        ("10.1.2.3:81", "http://10.1.2.3:81", True),
        ("fd00::/8", "http://[fd00::1]", True),
        ("10.0.0.0/8", "http://a.test", False),
    ],
)
def test_what_no_proxy_names_goes_directly(rule: str, url: str, direct: bool) -> None:
    """Names with what is below them, addresses, networks, ports."""
    for name in ("NO_PROXY", "no_proxy"):
        assert proxy_of(url, {**BOTH, name: rule}) == (None if direct else HTTP)


@pytest.mark.parametrize("proxy", ["socks5://p:1080", "http://", "ftp://p", "http://p:x"])
def test_a_proxy_of_another_kind_is_refused(proxy: str) -> None:
    """By name, at the start."""
    with pytest.raises(ConfigError, match="HTTP_PROXY"):
        proxy_of("http://a.test", {"HTTP_PROXY": proxy})
    with pytest.raises(ConfigError, match="proxy_url"):
        checked(proxy, "proxy_url")


class Relay:
    """An HTTP proxy that takes every name for the backend; remembers what it was asked for."""

    def __init__(self, target: str) -> None:
        host, _, port = target.removeprefix("http://").rpartition(":")
        self._target = host, int(port)
        self.heads: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(near,), daemon=True).start()

    def _relay(self, near: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += near.recv(65536)
        head, _, rest = data.partition(b"\r\n\r\n")
        self.heads.append(head.decode())
        far = socket.create_connection(self._target)
        if head.startswith(b"CONNECT"):
            near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            far.sendall(rest)
        else:
            line, _, headers = head.partition(b"\r\n")
            method, url, version = line.split()
            path = b"/" + url.split(b"/", 3)[3]
            far.sendall(b" ".join((method, path, version)) + b"\r\n" + headers + b"\r\n\r\n" + rest)
        threading.Thread(target=_pump, args=(far, near), daemon=True).start()
        _pump(near, far)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("by", ["http", "grpc"])
def test_exporters_go_through_the_proxy_of_the_environment(
    backend: Backend, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the name and password in its URL; the backend's name is the proxy's to find."""
    relay = Relay(getattr(backend, by))
    for name in ("NO_PROXY", "no_proxy", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY" if by == "http" else "HTTPS_PROXY", f"http://me:se%3Acret@127.0.0.1:{relay.port}")
    sender = a_sender(by, "http://backend.test:4318" if by == "http" else "backend.test:4317")
    sender.consume(some_logs("a"))
    backend.wait(lambda: backend.bodies() == ["a"])
    stopped(sender)
    [head] = relay.heads
    assert head.startswith("POST http://backend.test:4318/v1/logs" if by == "http" else "CONNECT backend.test:4317")
    [said] = [line for line in head.splitlines() if line.lower().startswith("proxy-authorization: basic ")]
    assert base64.b64decode(said.split()[2]) == b"me:se:cret"
    relay.close()


@pytest.mark.parametrize("by", ["http", "grpc"])
def test_this_machine_is_reached_directly(backend: Backend, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment says; libraries of their own would ask the proxy."""
    for name in ("http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    sender = a_sender(by, backend)
    sender.consume(some_logs("a"))
    backend.wait(lambda: backend.bodies() == ["a"])
    stopped(sender)


def test_proxy_url_is_before_the_environment(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is used for this machine too: it was asked for."""
    relay = Relay(backend.http)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    sender = a_sender("http", backend, proxy_url=f"http://127.0.0.1:{relay.port}")
    sender.consume(some_logs("a"))
    backend.wait(lambda: backend.bodies() == ["a"])
    stopped(sender)
    assert len(relay.heads) == 1
    relay.close()
