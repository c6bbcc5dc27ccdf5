"""Every key of the receiver otlp does what it says, or is refused or noted by its name: nothing is taken in silence.

Part of points 15 to 17 of the checklist (`test_checklist.py`).
"""

import http.client
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
import zstandard

from build_collect import a_config, problems
from build_receivers import JSON, PROTO, Answer, Running, called, receiving
from build_requests import everything
from waiting import until

LOGS = everything("logs").SerializeToString()


def _asked(connection: http.client.HTTPConnection) -> Answer:
    connection.request("POST", "/v1/logs", b"{}", {"content-type": JSON})
    return Answer(connection.getresponse())


def _is_closed_by(running: Running, connection: http.client.HTTPConnection) -> bool:
    """Waits for the end of a connection that the server must close."""
    assert connection.sock
    return connection.sock.recv(1) == b""


def test_without_keep_alives_each_answer_ends_its_connection(tmp_path: Path) -> None:
    """`keep_alives_enabled: false` says so, and closes."""
    with receiving(tmp_path, {"keep_alives_enabled": False}) as running:
        connection = http.client.HTTPConnection("127.0.0.1", running.http, timeout=60)
        answer = _asked(connection)
        assert (answer.status, answer.headers["connection"]) == (200, "close")


@pytest.mark.parametrize("idle", ["300ms", "1s"])
def test_an_idle_connection_is_closed_in_its_time(tmp_path: Path, idle: str) -> None:
    """`idle_timeout`, up to the next whole second; a part of a second is not the default of a minute."""
    with receiving(tmp_path, {"idle_timeout": idle}) as running:
        connection = http.client.HTTPConnection("127.0.0.1", running.http, timeout=30)
        assert _asked(connection).status == 200
        assert _is_closed_by(running, connection)


def test_connections_beyond_the_limit_are_told_to_come_again(tmp_path: Path) -> None:
    """`limit_concurrency`: 503 with Retry-After, then the door is shut; who leaves makes room."""
    with receiving(tmp_path, {"limit_concurrency": 1}) as running:
        first = http.client.HTTPConnection("127.0.0.1", running.http, timeout=60)
        assert _asked(first).status == 200
        answer = running.post("/v1/logs", b"{}", JSON)
        assert (answer.status, answer.headers["retry-after"], answer.headers["connection"]) == (503, "1", "close")
        first.close()
        until(lambda: running.post("/v1/logs", b"{}", JSON).status == 200)


def test_the_paths_can_be_chosen(tmp_path: Path) -> None:
    """The usual one is then no more."""
    with receiving(tmp_path, {"logs_url_path": "/in"}) as running:
        assert running.post("/in", LOGS).status == 200
        assert running.sink.kept[-1].signal == "logs"
        assert running.post("/v1/logs", LOGS).status == 404
        assert running.post("/v1/traces", b"").status == 200


def test_compressions_can_be_left_out(tmp_path: Path) -> None:
    """`compression_algorithms`: what is not named is not unpacked; what comes plain always passes."""
    with receiving(tmp_path, {"compression_algorithms": ["gzip"]}) as running:
        assert running.post("/v1/logs", zstandard.compress(LOGS), PROTO, content_encoding="zstd").status == 415
        assert running.post("/v1/logs", LOGS).status == 200


def test_an_allowed_origin_is_no_pattern_but_for_its_stars(tmp_path: Path) -> None:
    """Brackets of an IPv6 address stand for themselves."""
    with receiving(tmp_path, {"cors": {"allowed_origins": ["http://[::1]:3000", "https://*.a.example"]}}) as running:
        for origin, allowed in (
            ("http://[::1]:3000", True), ("https://x.a.example", True), ("http://::3000", False), ("https://xaaxexample", False),
        ):  # fmt: skip
            answer = running.post("/v1/logs", b"{}", JSON, origin=origin)
            assert ("access-control-allow-origin" in answer.headers) is allowed, origin


def test_the_calls_of_one_connection_can_be_bounded(tmp_path: Path) -> None:
    """`max_concurrent_streams`: the second call waits for the end of the first, and then goes through."""
    with receiving(tmp_path, grpc={"max_concurrent_streams": 1}) as running, ThreadPoolExecutor(2) as pool:
        running.sink.gate.clear()
        with grpc.insecure_channel(f"127.0.0.1:{running.grpc}") as channel:
            calls = [pool.submit(called, channel, "logs", LOGS) for _ in range(2)]
            assert running.sink.entered.acquire(timeout=60)
            assert not running.sink.entered.acquire(timeout=0.3)
            running.sink.gate.set()
            assert [one.result(60).code for one in calls] == ["OK", "OK"]


def test_grpc_connections_beyond_the_limit_are_closed(tmp_path: Path) -> None:
    """`limit_concurrency`: who leaves makes room."""
    with receiving(tmp_path, grpc={"limit_concurrency": 2}) as running, ExitStack() as stack:
        inside = [stack.enter_context(_greeted(running.grpc)) for _ in range(2)]
        assert all(one.recv(9) for one in inside)
        with _greeted(running.grpc) as third:
            assert third.recv(9) == b""
        inside[0].close()
        until(lambda: running.call("logs", LOGS).code == "OK")


def _greeted(port: int) -> socket.socket:
    """A connection that has begun to speak HTTP/2."""
    client = socket.create_connection(("127.0.0.1", port), 60)
    client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
    return client


def test_an_idle_grpc_connection_is_closed_in_its_time(tmp_path: Path) -> None:
    """`keepalive.server_parameters.max_connection_idle`: the client notices, and its next call connects anew."""
    keepalive = {"server_parameters": {"max_connection_idle": "1s"}}
    with receiving(tmp_path, grpc={"keepalive": keepalive}) as running:
        gone = threading.Event()
        with grpc.insecure_channel(f"127.0.0.1:{running.grpc}") as channel:
            channel.subscribe(
                lambda state: gone.set() if state is grpc.ChannelConnectivity.IDLE and connected else None
            )
            connected = False
            assert called(channel, "logs", LOGS).code == "OK"
            connected = True
            assert gone.wait(60)
            assert called(channel, "logs", LOGS).code == "OK"


CONFIG = """\
receivers:
  otlp:
    protocols:
      http: {%s}
      grpc: {%s}
exporters: {nop: }
service: {pipelines: {logs: {receivers: [otlp], exporters: [nop]}}}
"""


@pytest.mark.parametrize(
    ("http_keys", "grpc_keys", "said"),
    [
        ("compression_algorithms: [gzip, snappy]", "", "whence does not unpack 'snappy': there are gzip, zstd, zlib, deflate"),
        ("tls: {curve_preferences: [X25519]}", "", "curve_preferences: leave it out"),
        ("", "tls: {curve_preferences: [X25519]}", "curve_preferences: leave it out"),
        ("auth: {authenticator: x, request_params: [token]}", "", "request_params: leave it out: URLs are in many logs"),
        ("middlewares: [{id: x}]", "", "middlewares: no such key"),
        ("", "compression: gzip", "compression: no such key"),
        ("", "max_recv_msg_size_mib: 0", "max_recv_msg_size_mib"),
        ("", "transport: udp", "transport"),
    ],
)  # fmt: skip
def test_what_whence_cannot_do_is_refused_by_name(http_keys: str, grpc_keys: str, said: str) -> None:
    """Rather than accepted and left undone."""
    found = problems(CONFIG % (http_keys, grpc_keys))
    assert any(said in one for one in found), found


def test_the_example_of_the_page_on_security_is_right() -> None:
    """docs/security.md: listeners for other machines, with what they need."""
    page = (Path(__file__).parents[3] / "docs" / "security.md").read_text()
    example = page.partition("```yaml\n")[2].partition("```")[0]
    rest = """\
extensions: {bearertokenauth: {token: a}}
exporters: {nop: }
service:
  extensions: [bearertokenauth]
  pipelines: {traces: {receivers: [otlp], exporters: [nop]}}
"""
    assert problems(example + rest) == []


@pytest.mark.parametrize(
    ("keys", "name"),
    [("tls: {ca_file: a, cert_file: b, key_file: c}", "tls::ca_file"), ("write_timeout: 5s", "write_timeout")],
)
def test_what_makes_no_difference_here_is_noted(keys: str, name: str) -> None:
    """The start says so, with the key."""
    config: Any = a_config(CONFIG % (keys, ""))
    assert any(name in str(note) for note in config.notes), config.notes
