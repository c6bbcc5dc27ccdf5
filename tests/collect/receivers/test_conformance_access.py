"""Who comes in, and how: browsers' preflights, authentication, TLS of both ends, sockets in the file system.

Points 17 to 20 of the checklist (`test_checklist.py`).
"""

import http.client
import json
import logging
import os
import socket
import ssl
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status

from build_collect import a_config
from build_receivers import JSON, Answer, Called, Running, called, certificate, receiving, talk
from build_requests import everything, json_of
from waiting import until
from whence.collect.receivers.door import STRANGERS
from whence.collect.receivers.listening import is_loopback
from whence.collect.service import Service, Surroundings
from whence.collect.telemetry import Telemetry
from whence.errors import ConfigError

LOGS = everything("logs").SerializeToString()
AS_JSON = json.dumps(json_of(everything("logs"))).encode()
ASKED = {"access_control_request_method": "POST", "access_control_request_headers": "content-type, x-own"}
TRANSPORTS = ("http", "grpc")


def over(by: str, directory: Path, **settings: Any) -> Any:
    """A receiver with these settings for one transport."""
    return receiving(directory, **{by: settings})


# --- 17: cross-origin requests --------------------------------------------------------------------------------------------


def test_a_browsers_preflight_needs_no_token_and_is_told_what_is_allowed(tmp_path: Path) -> None:
    """204 with the headers for an origin that is allowed, also where authentication is on."""
    cors = {"allowed_origins": ["https://*.example.org"], "allowed_headers": ["x-own"], "max_age": 600}
    with receiving(tmp_path, {"auth": {"authenticator": "token"}, "cors": cors}) as running:
        answer = running.post("/v1/logs", b"", None, method="OPTIONS", origin="https://a.example.org", **ASKED)
        assert (answer.status, answer.body) == (204, b"")
        assert answer.headers["access-control-allow-origin"] == "https://a.example.org"
        assert answer.headers["access-control-allow-headers"] == "x-own"
        assert answer.headers["access-control-max-age"] == "600"
        assert answer.headers["vary"] == "Origin"
        said = {"origin": "https://a.example.org", "authorization": "Bearer sesame"}
        answer = running.post("/v1/logs", b"{}", JSON, **said)
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "https://a.example.org")
        answer = running.post("/v1/logs", b"{}", JSON, origin="https://a.example.org")
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (401, "https://a.example.org")


@pytest.mark.parametrize("origin", ["https://evil.example", "https://example.org.evil.example", "null"])
def test_a_page_of_another_origin_is_told_nothing(tmp_path: Path, origin: str) -> None:
    """No header that would let it read an answer, with CORS and without."""
    for settings in ({"cors": {"allowed_origins": ["https://*.example.org"]}}, {}):
        with receiving(tmp_path, settings) as running:
            for method, more in (("OPTIONS", ASKED), ("POST", {})):
                answer = running.post("/v1/logs", b"{}", JSON, method=method, origin=origin, **more)
                assert not [name for name in answer.headers if name.startswith("access-control")]


# --- 18: authentication ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [None, "Bearer other", "sesame", "Bearer s\xe9same"])
def test_only_who_has_the_token_comes_in_over_http(tmp_path: Path, token: str | None) -> None:
    """401 with the authenticator's challenge and a Status that no client sends again, whatever else is wrong."""
    with over("http", tmp_path, auth={"authenticator": "token"}) as running:
        answer = running.post("/v1/logs", b"{", JSON, **({} if token is None else {"authorization": token}))
        assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Bearer realm="here"')
        assert json_format.Parse(answer.body, Status()).code == Code.UNAUTHENTICATED
        assert "retry-after" not in answer.headers
        assert running.sink.kept == []
        assert running.post("/v1/logs", b"{}", JSON, authorization="Bearer sesame").status == 200


def test_only_who_has_the_token_comes_in_over_grpc(tmp_path: Path) -> None:
    """UNAUTHENTICATED, which no client sends again."""
    with over("grpc", tmp_path, auth={"authenticator": "token"}) as running:
        for given in ((), (("authorization", "Bearer other"),)):
            answer = running.call("logs", LOGS, given)
            assert (answer.code, answer.details) == ("UNAUTHENTICATED", [])
        assert running.sink.kept == []
        assert running.call("logs", LOGS, (("authorization", "Bearer sesame"),)).code == "OK"


def test_strangers_keep_nobody_waiting(tmp_path: Path) -> None:
    """To find out who they are takes long: meanwhile those who are known are served, and more strangers asked to come again."""
    auth = {"auth": {"authenticator": "token"}}
    with receiving(tmp_path, auth, auth) as running, ThreadPoolExecutor(100) as pool:
        token = running.host.extensions["token"]
        token.gate.clear()
        over_http = [pool.submit(running.post, "/v1/logs", b"{}", JSON) for _ in range(40)]
        over_grpc = [pool.submit(running.call, "logs", LOGS) for _ in range(40)]
        until(
            lambda: sum(one.done() for one in over_http) == sum(one.done() for one in over_grpc) == 40 - STRANGERS, 60
        )
        assert token.asked == 2 * STRANGERS
        assert running.post("/v1/logs", b"{}", JSON, authorization="Bearer sesame").status == 200
        assert running.call("logs", LOGS, (("authorization", "Bearer sesame"),)).code == "OK"
        token.gate.set()
        said = Counter((one.result(60).status, "retry-after" in one.result(60).headers) for one in over_http)
        assert said == {(401, False): STRANGERS, (503, True): 40 - STRANGERS}
        told = Counter((one.result(60).code, *one.result(60).details) for one in over_grpc)
        assert told == {("UNAUTHENTICATED",): STRANGERS, ("UNAVAILABLE", "RetryInfo"): 40 - STRANGERS}


def test_an_authenticator_in_trouble_costs_nobody_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it raises beside Unauthenticated is our trouble: the sender keeps its data and comes again."""
    auth = {"auth": {"authenticator": "token"}}
    with receiving(tmp_path, auth, auth) as running:
        token = running.host.extensions["token"]
        monkeypatch.setattr(token, "authenticate", lambda headers: 1 / 0)
        answer = running.post("/v1/logs", b"{}", JSON)
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert running.call("logs", LOGS).details == ["RetryInfo"]


WITH_HEALTH = """\
receivers:
  otlp:
    protocols:
      http: {endpoint: "127.0.0.1:0", auth: {authenticator: bearertokenauth}}
      grpc: {endpoint: "127.0.0.1:0", auth: {authenticator: bearertokenauth}}
exporters: {nop: }
extensions: {bearertokenauth: {token: sesame}, health_check: {endpoint: "127.0.0.1:0"}}
service:
  extensions: [bearertokenauth, health_check]
  pipelines: {logs: {receivers: [otlp], exporters: [nop]}}
"""


def test_the_health_port_asks_for_no_token(tmp_path: Path) -> None:
    """A probe knows none; what it is told is how things are, and data does not come in there."""
    service = Service(Surroundings(Telemetry(), tmp_path))
    service.start(a_config(WITH_HEALTH))
    try:
        running = Running(service.component("receiver", "otlp"), None, None)  # type: ignore[arg-type]
        port = service.component("extension", "health_check").port
        assert running.post("/v1/logs", b"{}", JSON).status == 401
        assert running.call("logs", LOGS).code == "UNAUTHENTICATED"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
            assert (answer.status, json.load(answer)["unhealthy"]) == (200, {})
        assert talk(port, b"POST /v1/logs HTTP/1.1\r\nHost: a\r\n\r\n").split()[1] == b"501"
    finally:
        service.stop(10)


# --- 19: TLS --------------------------------------------------------------------------------------------------------------


@contextmanager
def with_tls(by: str, directory: Path, **more: Any) -> Iterator[tuple[Running, Path, Path]]:
    """A receiver with a certificate of its own; the files of certificate and key."""
    crt, key = certificate(directory, "server")
    with over(by, directory / "state", tls={"cert_file": str(crt), "key_file": str(key)} | more) as running:
        yield running, crt, key


def is_let_in(by: str, running: Running, authority: Path, shown: tuple[Path, Path] | None = None) -> bool:
    """Whether a client that trusts the authority, and shows a certificate, gets its request taken."""
    if by == "grpc":
        mine = (shown[1].read_bytes(), shown[0].read_bytes()) if shown else (None, None)
        credentials = grpc.ssl_channel_credentials(authority.read_bytes(), *mine)
        with grpc.secure_channel(f"localhost:{running.grpc}", credentials) as channel:
            answer: Called = called(channel, "logs", LOGS)
            assert answer.code in ("OK", "UNAVAILABLE")
            return answer.code == "OK"
    context = ssl.create_default_context(cafile=str(authority))
    if shown:
        context.load_cert_chain(*shown)
    connection = http.client.HTTPSConnection("localhost", running.http, timeout=60, context=context)
    try:
        connection.request("POST", "/v1/logs", AS_JSON, {"content-type": JSON})
        return Answer(connection.getresponse()).status == 200
    except (ssl.SSLError, ConnectionError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@pytest.mark.parametrize("by", TRANSPORTS)
def test_a_renewed_certificate_is_there_for_the_next_connection(tmp_path: Path, by: str) -> None:
    """Without a restart; files that are no certificates leave the one that was there."""
    more = {"reload_interval": "1ns"} if by == "http" else {}
    with with_tls(by, tmp_path, **more) as (running, crt, key):
        assert is_let_in(by, running, crt)
        new, new_key = certificate(tmp_path / "new", "second")
        crt.write_bytes(new.read_bytes())
        key.write_bytes(new_key.read_bytes())
        assert is_let_in(by, running, new)
        crt.write_bytes(b"no certificate")
        assert is_let_in(by, running, new)


def test_nothing_is_said_without_tls_where_tls_is_on(tmp_path: Path) -> None:
    """A request in the clear has no answer in the clear."""
    with with_tls("http", tmp_path) as (running, _, _):
        assert not talk(running.http, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").startswith(b"HTTP")


@pytest.mark.parametrize("by", TRANSPORTS)
def test_with_an_authority_for_clients_only_its_clients_come_in(tmp_path: Path, by: str) -> None:
    """Mutual TLS: none without a certificate, none with another authority's."""
    authority, _ = certificate(tmp_path, "authority")
    crt, key = certificate(tmp_path, "server", "authority")
    mine = certificate(tmp_path, "client", "authority")
    stranger = certificate(tmp_path / "other", "stranger")
    tls = {"cert_file": str(crt), "key_file": str(key), "client_ca_file": str(authority)}
    with over(by, tmp_path / "state", tls=tls) as running:
        assert is_let_in(by, running, authority, mine)
        assert not is_let_in(by, running, authority)
        assert not is_let_in(by, running, authority, stranger)


@pytest.mark.parametrize("by", TRANSPORTS)
def test_another_authority_for_clients_is_read_without_a_restart(tmp_path: Path, by: str) -> None:
    """With `client_ca_file_reload`: the new one's clients come in, the old one's no more; a file that is none changes nothing."""
    old = certificate(tmp_path / "old", "old")
    new = certificate(tmp_path / "new", "new")
    authority = tmp_path / "clients.crt"
    authority.write_bytes(old[0].read_bytes())
    more = {"client_ca_file": str(authority), "client_ca_file_reload": True}
    with with_tls(by, tmp_path, **more) as (running, crt, _):
        assert (is_let_in(by, running, crt, old), is_let_in(by, running, crt, new)) == (True, False)
        _replace(authority, new[0].read_bytes())
        assert (is_let_in(by, running, crt, old), is_let_in(by, running, crt, new)) == (False, True)
        if by == "http":
            _replace(authority, b"no certificate")
            assert is_let_in(by, running, crt, new)


def _replace(path: Path, data: bytes) -> None:
    """As those who are careful do: the name is never without a whole file."""
    other = path.with_suffix(".new")
    other.write_bytes(data)
    os.replace(other, path)


VERSIONS = [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


def _shakes_hands(port: int, version: ssl.TLSVersion) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.minimum_version = context.maximum_version = version
    with socket.create_connection(("127.0.0.1", port), 60) as raw:
        try:
            with context.wrap_socket(raw) as client:
                return client.version() is not None
        except (ssl.SSLError, ConnectionError):
            return False


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("by", TRANSPORTS)
def test_tls_begins_at_1_2(tmp_path: Path, by: str) -> None:
    """1.1 is refused, whatever a client's library would do."""
    with with_tls(by, tmp_path) as (running, _, _):
        assert [_shakes_hands(getattr(running, by), version) for version in VERSIONS] == [False, True, True]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize(
    ("settings", "let_in"), [("min_version", [False, False, True]), ("max_version", [False, True, False])]
)
def test_the_versions_of_tls_can_be_chosen_over_http(tmp_path: Path, settings: str, let_in: list[bool]) -> None:
    """`min_version: "1.3"`, and `max_version: "1.2"`."""
    with with_tls("http", tmp_path, **{settings: "1.3" if settings == "min_version" else "1.2"}) as (running, _, _):
        assert [_shakes_hands(running.http, version) for version in VERSIONS] == let_in


@pytest.mark.parametrize(
    "more", [{"min_version": "1.3"}, {"max_version": "1.2"}, {"cipher_suites": ["AES128-SHA"]}], ids=str
)
def test_what_the_grpc_library_cannot_do_is_refused_and_not_ignored(tmp_path: Path, more: dict[str, Any]) -> None:
    """Who asks for less than the library takes must not believe to have it."""
    with pytest.raises(ConfigError, match="over gRPC"), with_tls("grpc", tmp_path, **more):
        pass


@pytest.mark.parametrize("by", TRANSPORTS)
def test_an_open_door_is_said(tmp_path: Path, by: str, caplog: pytest.LogCaptureFixture) -> None:
    """On every interface with neither TLS nor authentication: a warning; on loopback none."""
    with caplog.at_level(logging.WARNING, "whence"):
        with over(by, tmp_path):
            assert caplog.text == ""
        with over(by, tmp_path, endpoint=":0"):
            assert "neither TLS nor authentication" in caplog.text


@pytest.mark.parametrize(
    ("endpoint", "loopback"),
    [
        ("localhost:4318", True), ("LocalHost:1", True), ("127.0.0.1:1", True), ("127.9.9.9:1", True), ("[::1]:1", True),
        ("localhost.example.org:1", False), ("127.0.0.1.example.org:1", False), ("localhosted:1", False),
        (":4318", False), ("0.0.0.0:4318", False), ("[::]:4318", False), ("192.168.0.1:1", False),
    ],
)  # fmt: skip
def test_only_this_machines_own_names_are_loopback(endpoint: str, loopback: bool) -> None:
    """A name that only begins like one is another machine's."""
    assert is_loopback(endpoint) is loopback


# --- 20: sockets in the file system -----------------------------------------------------------------------------------------


def _http_over(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(60)
        client.connect(str(path))
        head = b"POST /v1/logs HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"
        client.sendall(head + b"{}")
        return client.recv(1000).startswith(b"HTTP/1.1 200")


def _grpc_over(path: Path) -> bool:
    with grpc.insecure_channel(f"unix:{path}") as channel:
        return called(channel, "logs", LOGS).code == "OK"


@pytest.mark.parametrize(("by", "is_served"), [("http", _http_over), ("grpc", _grpc_over)])
def test_a_unix_socket(tmp_path: Path, by: str, is_served: Callable[[Path], bool]) -> None:
    """Listens in the file system, also where a former process left the name behind."""
    path = tmp_path / "s"
    for _ in range(2):
        with over(by, tmp_path, transport="unix", endpoint=str(path)):
            assert is_served(path)
