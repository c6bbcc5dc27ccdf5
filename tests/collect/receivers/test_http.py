"""OTLP over HTTP on a real socket: what is taken, what is refused and how, limits, and bad company.

Points 1 to 7, 15 and 16 of the checklist (`test_checklist.py`).
"""

import gzip
import http.client
import socket
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard
from google.protobuf import json_format
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest
from google.rpc.status_pb2 import Status

from build_receivers import JSON, PROTO, TYPES, Answer, Running, receiving, talk
from build_requests import MESSAGES, everything, json_of
from waiting import until

PATHS = {signal: f"/v1/{signal}" for signal in MESSAGES}
LIMIT = 100_000


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One receiver for tests that leave nothing behind."""
    with receiving(tmp_path_factory.mktemp("receiver")) as running:
        yield running


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One that takes no more than LIMIT."""
    with receiving(tmp_path_factory.mktemp("receiver"), {"max_request_body_size": LIMIT}) as running:
        yield running


def _request(signal: str, encoding: str) -> bytes:
    message = everything(signal)
    return orjson.dumps(json_of(message)) if encoding == "json" else bytes(message.SerializeToString())


def _status(answer: Answer, kind: str) -> Status:
    """The Status that a failure has, in the encoding it must have."""
    assert answer.kind == kind
    if kind == JSON:
        return json_format.Parse(answer.body, Status())
    return Status.FromString(answer.body)


def _of_size(size: int) -> bytes:
    """A protobuf request of exactly so many bytes: one field that nobody knows."""
    for head in range(2, 8):
        length = size - head
        digits = b""
        while True:
            digits += bytes([length & 127 | (128 if length > 127 else 0)])
            length >>= 7
            if not length:
                break
        body = b"\xa2\x06" + digits + bytes(size - 2 - len(digits))
        if 2 + len(digits) == head:
            return body
    raise AssertionError(size)


@pytest.mark.parametrize("signal", PATHS)
@pytest.mark.parametrize("encoding", TYPES)
@pytest.mark.parametrize("coding", ["", "gzip", "zstd", "deflate"])
def test_a_full_success_is_empty_in_the_requests_type(shared: Running, signal: str, encoding: str, coding: str) -> None:
    """200, the same content type, and a response with nothing set; the batch is the one that was sent."""
    pack: Any = {"": bytes, "gzip": gzip.compress, "zstd": zstandard.compress, "deflate": zlib.compress}[coding]
    body = _request(signal, encoding)
    said = {"content_encoding": coding} if coding else {}
    answer = shared.post(PATHS[signal], pack(body), TYPES[encoding], **said)
    assert (answer.status, answer.kind) == (200, TYPES[encoding])
    assert answer.body == (b"{}" if encoding == "json" else b"")
    batch = shared.sink.kept[-1]
    assert (batch.signal, batch.encoding, batch.data, batch.transport) == (signal, encoding, body, "http")


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "APPLICATION/JSON", "Application/Json ;x=y"])
def test_a_content_type_may_have_parameters_and_capitals(shared: Running, kind: str) -> None:
    """They are the same type."""
    answer = shared.post("/v1/logs", b"{}", kind)
    assert (answer.status, answer.kind, answer.body) == (200, JSON, b"{}")
    assert shared.post("/v1/logs", b"", "application/X-Protobuf; charset=utf-8").status == 200


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (PROTO, b""),
        (JSON, b""),
        (JSON, b"{}"),
        (JSON, b'{"resourceSpans":[]}'),
        (JSON, b'{"resourceSpans":[{"resource":{}}]}'),
        (JSON, b'{"resourceSpans":[{"scopeSpans":[{"scope":{"name":"a"},"spans":[]}]}]}'),
        (PROTO, b"\x0a\x00"),
        (PROTO, b"\x0a\x02\x12\x00"),
    ],
)
def test_an_empty_request_is_a_success(shared: Running, kind: str, body: bytes) -> None:
    """Nothing, or envelopes around nothing."""
    answer = shared.post("/v1/traces", body, kind)
    assert (answer.status, answer.kind, answer.body) == (200, kind, b"{}" if kind == JSON else b"")


def test_other_json_is_a_success_with_a_warning(shared: Running) -> None:
    """The rule of unknown fields makes a success of it; that nothing was recorded is said."""
    answer = shared.post("/v1/traces", b'{"foo":1}', JSON)
    assert answer.status == 200
    said = orjson.loads(answer.body)["partialSuccess"]
    assert "resourceSpans" in said["errorMessage"]
    assert "rejectedSpans" not in said


BAD = {
    "truncated": (PROTO, everything("logs").SerializeToString()[:-3]),
    "garbage": (PROTO, b"\xff\xff\xff\xff"),
    "invalid UTF-8": (PROTO, b"\x0a\x04\x1a\x02\xff\xfe"),
    "truncated JSON": (JSON, b'{"resourceLogs":[{"scopeLogs"'),
    "an array": (JSON, b"[]"),
    "a mark of order": (JSON, b'\xef\xbb\xbf{"resourceLogs":[]}'),
    "JSON with invalid UTF-8": (JSON, b'{"resourceLogs":[{"schemaUrl":"\xff"}]}'),
    "an enum as text": (
        JSON,
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":"SEVERITY_NUMBER_INFO"}]}]}]}',
    ),
    "a list where a map should be": (JSON, b'{"resourceLogs":[{"scopeLogs":{"a":1}}]}'),
    "very deep": (JSON, b'{"resourceLogs":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_data_is_a_status_in_the_requests_encoding(shared: Running, name: str) -> None:
    """400 and INVALID_ARGUMENT, with the detail BadRequest, which says what the message says."""
    kind, body = BAD[name]
    answer = shared.post("/v1/logs", body, kind)
    assert answer.status == 400
    status = _status(answer, kind)
    assert status.code == Code.INVALID_ARGUMENT
    assert status.message
    detail = BadRequest()
    assert status.details[0].Unpack(detail)
    assert [one.description for one in detail.field_violations] == [status.message]
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_other_methods_are_refused(shared: Running, method: str) -> None:
    """405 with Allow; a HEAD has no body, everything else a Status."""
    answer = shared.post("/v1/traces", b"", JSON, method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    if method == "HEAD":
        assert answer.body == b""
    else:
        assert _status(answer, JSON).code == Code.UNIMPLEMENTED


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/traces/", "/v1/profile", "/v1/%C3%BC%ff", "/v1development/profiles"])
def test_other_paths_are_not_found(shared: Running, path: str) -> None:
    """404 with a Status."""
    answer = shared.post(path, b"", PROTO)
    assert answer.status == 404
    assert _status(answer, PROTO).code == Code.NOT_FOUND


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "", None])
def test_other_types_are_refused(shared: Running, kind: str | None) -> None:
    """415 with a Status in JSON, which everybody can read."""
    answer = shared.post("/v1/traces", b"x", kind)
    assert answer.status == 415
    assert _status(answer, JSON).message


@pytest.mark.parametrize("coding", ["br", "gzip, gzip", "gzip,zstd", "snappy", "x\xfcml"])
def test_other_encodings_are_refused(shared: Running, coding: str) -> None:
    """415: nothing within another, and none that is not known."""
    body = gzip.compress(gzip.compress(_request("logs", "json")))
    answer = shared.post("/v1/logs", body, JSON, content_encoding=coding)
    assert answer.status == 415
    assert _status(answer, JSON).message


@pytest.mark.parametrize("coding", ["gzip", "zstd", "deflate"])
def test_a_body_that_is_not_what_it_says_is_refused(shared: Running, coding: str) -> None:
    """400 with a Status."""
    answer = shared.post("/v1/logs", b"{}" * 50, JSON, content_encoding=coding)
    assert answer.status == 400
    assert _status(answer, JSON).code == Code.INVALID_ARGUMENT


def test_gzip_of_several_members_is_one_body(shared: Running) -> None:
    """As `cat a.gz b.gz` makes it."""
    body = _request("logs", "json")
    answer = shared.post("/v1/logs", gzip.compress(body[:50]) + gzip.compress(body[50:]), JSON, content_encoding="gzip")
    assert answer.status == 200
    assert shared.sink.kept[-1].data == body


@pytest.mark.parametrize("way", ["raw", "chunked", "gzip", "zstd"])
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_the_limit_is_exact(small: Running, way: str, more: int) -> None:
    """A body of the limit passes, one byte more does not, before or after decompression; the client hears it."""
    body: Any = _of_size(LIMIT + more)
    assert len(body) == LIMIT + more
    said = {}
    if way == "chunked":
        body = iter([body[:70_000], body[70_000:]])
    elif way != "raw":
        body = gzip.compress(body) if way == "gzip" else zstandard.compress(body)
        said = {"content_encoding": way}
    answer = small.post("/v1/logs", body, PROTO, **said)
    assert answer.status == (413 if more > 0 else 200)
    if more > 0:
        assert _status(answer, PROTO).code == Code.RESOURCE_EXHAUSTED
        assert _status(answer, PROTO).details == []
        assert "retry-after" not in answer.headers


@pytest.mark.parametrize("chunked", [False, True])
def test_whoever_sends_far_too_much_hears_it(small: Running, chunked: bool) -> None:
    """30 MB to a listener that takes 100 kB: the answer, not a reset."""
    body: Any = (bytes(100_000) for _ in range(300)) if chunked else bytes(30_000_000)
    answer = small.post("/v1/logs", body, PROTO)
    assert answer.status == 413


def test_what_is_not_wanted_need_not_be_sent(small: Running) -> None:
    """With Expect: 100-continue a sender hears that its body is too large before it sends it; else it is told to go on."""
    head = b"POST /v1/logs HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
    assert talk(small.http, head + b"Content-Length: 9000000\r\n\r\n").startswith(b"HTTP/1.1 413")
    with socket.create_connection(("127.0.0.1", small.http), 60) as client:
        client.sendall(head + b"Content-Length: 2\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 100")
        client.sendall(b"{}")
        assert client.recv(1000).startswith(b"HTTP/1.1 200")


def test_requests_on_one_connection_are_answered_in_order(shared: Running) -> None:
    """Pipelined: three requests at once, one of them bad; a connection is kept for them."""
    head = b"POST /v1/logs HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
    said = talk(shared.http, head + b"\r\n{}" + head + b"\r\n[]" + head + b"Connection: close\r\n\r\n{}")
    statuses = [part[:3] for part in said.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"400", b"200"]


def test_who_will_send_no_more_still_gets_its_answers(shared: Running) -> None:
    """A half-closed connection: whole requests are answered, then it ends; half of one is no request."""
    head = b"POST /v1/logs HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"
    for data, statuses in (
        (head + b"{}", [b"200"]),
        (2 * (head + b"{}"), [b"200"] * 2),
        (head + b"{", []),
        (b"POST", []),
    ):
        with socket.create_connection(("127.0.0.1", shared.http), 60) as client:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            said = b""
            while piece := client.recv(1000):
                said += piece
        assert [part[:3] for part in said.split(b"HTTP/1.1 ")[1:]] == statuses


def test_a_client_that_leaves_gives_its_bytes_back(tmp_path: Path) -> None:
    """What a broken connection had sent is no longer counted as being worked on."""
    with receiving(tmp_path) as running:
        assert running.receiver.http
        budget = running.receiver.http._budget
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", running.http), 60) as client:
                client.sendall(b"POST /v1/logs HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n")
                client.sendall(b"Content-Length: 50000\r\n\r\n" + b" " * 30_000)
                until(lambda: budget._taken == 30_000)
            until(lambda: budget._taken == 0)
        assert running.post("/v1/logs", b"{}", JSON).status == 200
        assert budget._taken == 0


def test_a_full_budget_asks_to_come_again(tmp_path: Path) -> None:
    """503 with Retry-After while too much is being worked on; a little later it is taken."""
    with receiving(tmp_path) as running:
        assert running.receiver.http
        budget = running.receiver.http._budget
        assert budget.take(budget.size)
        answer = running.post("/v1/logs", b"{}", JSON)
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert running.call("logs", everything("logs").SerializeToString()).details == ["RetryInfo"]
        budget.give(budget.size)
        assert running.post("/v1/logs", b"{}", JSON).status == 200


def test_a_slow_client_harms_nobody(shared: Running) -> None:
    """Fifty that send half a request and wait, beside one that is served."""
    slow = [socket.create_connection(("127.0.0.1", shared.http), 60) for _ in range(50)]
    try:
        for n, client in enumerate(slow):
            head = b"POST /v1/logs HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{"
            client.sendall(head[: 20 + n * 3])
        assert shared.post("/v1/logs", _request("logs", "json"), JSON).status == 200
    finally:
        for client in slow:
            client.close()


def test_a_body_that_stops_coming_is_not_waited_for(tmp_path: Path) -> None:
    """503, and the connection ends: what comes late is no request."""
    with receiving(tmp_path, {"read_timeout": "100ms"}) as running:
        head = b"POST /v1/logs HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{"
        assert talk(running.http, head).startswith(b"HTTP/1.1 503")


def test_headers_go_with_the_batch_where_that_is_asked_for(tmp_path: Path) -> None:
    """In lower case, each with all its values, also such as are no ASCII; and none where it is not asked for."""
    with receiving(tmp_path, {"include_metadata": True, "response_headers": {"X-Here": "yes"}}) as running:
        connection = http.client.HTTPConnection("127.0.0.1", running.http, timeout=60)
        body = _request("logs", "json")
        connection.putrequest("POST", "/v1/logs")
        for name, value in (("X-Tenant", "a"), ("X-Tenant", "b"), ("X-Name", "\xfcml"), ("Content-Type", JSON)):
            connection.putheader(name, value.encode("latin-1"))
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = Answer(connection.getresponse())
        connection.close()
        assert (answer.status, answer.headers["x-here"]) == (200, "yes")
        metadata = running.sink.kept[-1].metadata
        assert (metadata["x-tenant"], metadata["x-name"]) == (("a", "b"), ("\xfcml",))


def test_what_is_inside_at_the_end_gets_its_answer(tmp_path: Path) -> None:
    """A stop waits for the pipelines; afterwards nobody listens."""
    answers: list[Answer] = []
    with receiving(tmp_path) as running:
        running.sink.gate.clear()
        sending = threading.Thread(
            target=lambda: answers.append(running.post("/v1/logs", _request("logs", "json"), JSON))
        )
        sending.start()
        assert running.sink.entered.acquire(timeout=60)
        opening = threading.Timer(0.3, running.sink.gate.set)
        opening.start()
        port = running.http
    sending.join(60)
    assert [answer.status for answer in answers] == [200]
    with pytest.raises(ConnectionError):
        socket.create_connection(("127.0.0.1", port), 5).close()


def test_bytes_that_are_no_http_end_the_connection_only(shared: Running) -> None:
    """Preface of HTTP/2, negative and doubled lengths, nonsense: no 5xx, and others are served afterwards."""
    for data in (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /v1/logs HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/logs HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /v1/logs HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"POST /v1/l\xf6gs HTTP/1.1\r\nHost: a\r\n\r\n",
    ):
        assert not talk(shared.http, data).startswith(b"HTTP/1.1 5")
    assert shared.post("/v1/logs", b"{}", JSON).status == 200
