"""Thousands of harmed requests over both transports: the collector goes on, never blames itself, stores what it can read.

400 of them here, 10,000 with WHENCE_TORTURE=1 (`make torture`). A request is made of its number: `build_fuzz.fuzzed(N)`.
"""

import http.client
import io
import socket
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import orjson
import pytest
from google.protobuf import json_format
from google.rpc.status_pb2 import Status

from build_examples import TORTURE
from build_fuzz import Request, fuzzed
from build_load import Served, a_request, a_served
from build_receivers import JSON, PROTO, Answer, called, lines_in
from build_requests import MESSAGES
from whence.archive.reader import Archive
from whence.archive.verify import verify
from whence.otlp.wire import lines_of_protobuf, protobuf_of_lines

COUNT = 10_000 if TORTURE else 400
AT_ONCE = 4
REFUSED = {400, 404, 405, 413, 415, 431}
MEMORY = 200 << 20
"""Bytes that the collector may grow by."""


class Found:
    """What came of them all."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.answers: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.taken: list[str] = []
        self._channels = threading.local()

    def send(self, number: int) -> None:
        """One harmed request; at every twentieth a valid one over each transport as well."""
        request = fuzzed(number)
        try:
            said = {"http": self._http, "bytes": self._bytes, "grpc": self._grpc, "h2": self._h2}[request.transport](
                request
            )
        except (AssertionError, OSError, http.client.HTTPException, json_format.ParseError, ValueError) as fault:
            self.wrong.append(f"fuzzed({number}) over {request.transport}: {fault!r}")
            return
        self.answers[f"{request.transport} {said}"] += 1
        if number % 20 == 0:
            self._send_valid(number)

    def _send_valid(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.served.http, timeout=60)
        connection.request("POST", "/v1/logs", a_request(f"valid http {number}"), {"content-type": PROTO})
        over_http = Answer(connection.getresponse())
        connection.close()
        over_grpc = called(self._channel(), "logs", a_request(f"valid grpc {number}"))
        if (over_http.status, over_http.body, over_grpc.code, over_grpc.body) != (200, b"", "OK", b""):
            self.wrong.append(f"a valid request after fuzzed({number}): {over_http.status}, {over_grpc.code}")
        self.taken += [f"valid http {number}", f"valid grpc {number}"]

    def _channel(self) -> grpc.Channel:
        """One for each thread."""
        if not hasattr(self._channels, "one"):
            self._channels.one = grpc.insecure_channel(
                f"127.0.0.1:{self.served.grpc}", [("grpc.use_local_subchannel_pool", 1)]
            )
        found: grpc.Channel = self._channels.one
        return found

    def _http(self, request: Request) -> str:
        """The head is whole and right: there is one answer, of the request's own kind."""
        with socket.create_connection(("127.0.0.1", self.served.http), 60) as client:
            client.sendall(request.raw)
            response = http.client.HTTPResponse(client)
            response.begin()
            answer = Answer(response)
        assert answer.kind == request.kind, answer.kind
        _is_right(answer)
        return str(answer.status)

    def _bytes(self, request: Request) -> str:
        """Whatever it is, what is answered is HTTP, and no trouble of the collector's."""
        said = _said(self.served.http, request.raw)
        statuses = []
        while said := said.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n"):
            assert said.startswith(b"HTTP/1.1 "), said[:100]
            response = http.client.HTTPResponse(_Heard(said), method=request.raw[:5].strip().decode("latin-1"))  # type: ignore[arg-type]
            response.begin()
            answer = Answer(response)
            if answer.body:  # a HEAD has none
                _is_right(answer)
            assert answer.status < 500
            statuses.append(str(answer.status))
            _, _, rest = said.partition(b"\r\n\r\n")
            said = rest[len(answer.body) :]
        return " ".join(statuses[:2]) or "closed"

    def _grpc(self, request: Request) -> str:
        answer = called(self._channel(), request.signal, request.body, request.metadata, request.packed)
        assert answer.code in ("OK", "INVALID_ARGUMENT"), (answer.code, answer.message)
        assert answer.details == ([] if answer.code == "OK" else ["BadRequest"])
        return answer.code

    def _h2(self, request: Request) -> str:
        _said(self.served.grpc, request.raw, 0.2)
        return "sent"


class _Heard:
    """Bytes as http.client wants to read them."""

    def __init__(self, said: bytes) -> None:
        self._said = said

    def makefile(self, mode: str) -> io.BytesIO:
        """As of a socket."""
        return io.BytesIO(self._said)


def _said(port: int, data: bytes, seconds: float = 60.0) -> bytes:
    """Everything that is answered to bytes after which nothing comes; nothing where the connection breaks."""
    found = b""
    with socket.create_connection(("127.0.0.1", port), seconds) as client:
        try:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            while piece := client.recv(65536):
                found += piece
        except OSError:
            pass  # it may be cut off at any point
    return found


def _is_right(answer: Answer) -> None:
    """A success is one, and a refusal is a Status that no client sends again."""
    if answer.status in (200, 204):
        return
    assert answer.status in REFUSED, answer.status
    assert "retry-after" not in answer.headers
    status = json_format.Parse(answer.body, Status()) if answer.kind == JSON else Status.FromString(answer.body)
    assert status.code and status.message


@pytest.mark.timeout(1800)
def test_harmed_requests_harm_nobody(tmp_path: Path) -> None:
    """No crash, no 5xx, valid requests between them answered exactly; memory bounded; every stored line is read as it was."""
    with a_served(tmp_path, more="read_header_timeout: 5s, read_timeout: 10s") as served:
        found = Found(served)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(found.send, range(COUNT // 10)))
            before = served.memory() if sys.platform == "linux" else 0
            list(pool.map(found.send, range(COUNT // 10, COUNT)))
        grown = served.memory("VmHWM") - before if sys.platform == "linux" else 0
        assert served.process.poll() is None
        assert served.end() == 0
    print(f"{COUNT} requests: {dict(sorted(found.answers.items()))}; {before >> 20} MiB, at most {grown >> 20} more")
    assert found.wrong == []
    assert served.said("Traceback") == served.said("cannot process a request") == 0
    assert grown < MEMORY
    _is_whole(served, found.taken)


def _is_whole(served: Served, taken: list[str]) -> None:
    archive = Archive(served.archive)
    assert (list(archive.events())[:0], archive.problems) == ([], [])
    assert verify(served.archive).ok
    bodies: list[Any] = []
    for signal in MESSAGES:
        for line in lines_in(served.archive, signal):
            again = lines_of_protobuf(signal, protobuf_of_lines(signal, [line]))  # type: ignore[arg-type]
            assert ([one.data.rstrip() for one in again.lines], again.rejected) == ([line], 0), line
            if signal == "logs":
                bodies += [
                    record.get("body", {}).get("stringValue")
                    for resource in orjson.loads(line)["resourceLogs"]
                    for scope in resource.get("scopeLogs", ())
                    for record in scope.get("logRecords", ())
                ]
    assert sorted(body for body in bodies if isinstance(body, str) and body.startswith("valid ")) == sorted(taken)
