"""What a client may not take: time without end, a head without end, a place for data while the receiver stops.

Point 16 of the checklist (`test_checklist.py`), and part of 5 and 6.
"""

import gzip
import http.client
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from google.rpc.status_pb2 import Status

from build_receivers import JSON, PROTO, receiving, talk

WAIT = 60.0
HEAD = b"POST /v1/logs HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\n" % PROTO.encode()


def test_encodings_in_two_headers_are_stacked_encodings(tmp_path: Path) -> None:
    """415, and not what the last of them says."""
    body = gzip.compress(b"")
    with receiving(tmp_path) as running:
        twice = b"Content-Encoding: gzip\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
        assert talk(running.http, HEAD + twice + body, until=b"\r\n\r\n").startswith(b"HTTP/1.1 415")


@pytest.mark.parametrize("start", [b"", b"POST /v1/lo", HEAD + b"X-Slow: "])
def test_a_head_that_does_not_end_is_not_waited_for(tmp_path: Path, start: bytes) -> None:
    """`read_header_timeout`: from the first moment on; the connection is closed, so that its sender may try again."""
    with receiving(tmp_path, {"read_header_timeout": "500ms"}) as running:
        with socket.create_connection(("127.0.0.1", running.http), WAIT) as client:
            client.sendall(start)
            assert client.recv(100) == b""
        assert running.post("/v1/logs", b"{}", JSON).status == 200


def test_a_connection_that_is_kept_is_timed_by_its_own_rule(tmp_path: Path) -> None:
    """After a whole request `idle_timeout` holds, and the next head has its full time."""
    with receiving(tmp_path, {"read_header_timeout": "500ms"}) as running:
        client = http.client.HTTPConnection("127.0.0.1", running.http, timeout=WAIT)
        for _ in range(3):
            client.request("POST", "/v1/logs", b"{}", {"content-type": JSON})
            response = client.getresponse()
            assert (response.status, response.read()) == (200, b"{}")
            threading.Event().wait(0.6)  # longer than a head may take: no condition to wait for, it must just stay open
        client.close()


@pytest.mark.parametrize("piece", [b"a" * 65536, b"b\r\nX-A: " + b"a" * 65000])
def test_a_head_without_bounds_is_cut_off(tmp_path: Path, piece: bytes) -> None:
    """One endless line, or endless lines: at 1 MiB the connection ends."""
    with receiving(tmp_path) as running:
        client = socket.create_connection(("127.0.0.1", running.http), WAIT)
        with client, pytest.raises(OSError):
            client.sendall(HEAD + b"X-B: ")
            for _ in range(1000):
                client.sendall(piece)
        assert running.post("/v1/logs", b"{}", JSON).status == 200


def test_a_body_that_drips_ends_with_its_time(tmp_path: Path) -> None:
    """A byte now and then does not win time; 503, because 408 would make OTLP's clients throw the data away."""
    with receiving(tmp_path, {"read_timeout": "500ms"}) as running:
        with socket.create_connection(("127.0.0.1", running.http), WAIT) as client:
            client.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
            client.settimeout(0.05)
            said, end = b"", time.monotonic() + WAIT
            while not said and time.monotonic() < end:
                try:
                    said = client.recv(1000)
                except TimeoutError:
                    client.sendall(b"a")
        assert said.startswith(b"HTTP/1.1 503") and b"retry-after: 1" in said


def test_what_is_no_http_is_answered_with_a_status(tmp_path: Path) -> None:
    """Also what the library finds has the body OTLP wants, in the encoding that was said before the fault."""
    with receiving(tmp_path) as running:
        said = talk(running.http, b"nonsense\r\n\r\n", until=b"never")
        assert said.startswith(b"HTTP/1.1 400") and b'"code":3' in said
        said = talk(running.http, HEAD + b"Content-Length: 5\r\nContent-Length: x\r\n\r\n", until=b"never")
        head, _, body = said.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400") and PROTO.encode() in head
        assert Status.FromString(body).code == 3
        said = talk(running.http, b"HEAD / HTTP/1.1\r\nX: \x00\r\n\r\n", until=b"never")
        assert said.startswith(b"HTTP/1.1 400") and said.endswith(b"\r\n\r\n")


def test_a_stopping_receiver_takes_nothing_more_on_either_transport(tmp_path: Path) -> None:
    """HTTP is closed while gRPC still answers what is inside."""
    with receiving(tmp_path) as running, ThreadPoolExecutor(2) as pool:
        running.sink.gate.clear()
        inside = pool.submit(running.call, "logs", b"\n\0")
        assert running.sink.entered.acquire(timeout=WAIT)
        stopping = pool.submit(running.receiver.stop, time.monotonic() + WAIT)
        try:
            end = time.monotonic() + WAIT
            while _listens(running.http):
                assert time.monotonic() < end, "HTTP still takes connections"
            assert not stopping.done()
        finally:
            running.sink.gate.set()
        assert inside.result(WAIT).code == "OK"
        stopping.result(WAIT)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
    except OSError:
        return False
    return True
