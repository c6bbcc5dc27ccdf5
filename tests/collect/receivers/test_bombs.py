"""Bodies of up to 200 MB that came as a few kilobytes: refused, in bounded memory of the whole process, over both transports.

Points 7 and 8 of the checklist (`test_checklist.py`). With WHENCE_TORTURE=1 there are more of them.
"""

import gzip
import http.client
import sys
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
import zstandard
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status

from build_examples import often
from build_load import Served, a_request, a_served
from build_receivers import PROTO, Answer, called

SIZE = 200 << 20
LIMIT = 64 << 20
"""The listeners' own."""
AT_ONCE = 8
MEMORY = 512 << 20
"""What all requests may hold at once is half of it; the rest is for what the allocator does not give back at once."""
ROUNDS = often(2, 20)
PACKED_FOR_EACH = often(72 << 20, SIZE)
"""A client of gRPC packs a body for each call: eight at once are still more than the memory that they may take."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`whence collect` as it is without any settings."""
    with a_served(tmp_path_factory.mktemp("bombs")) as one:
        yield one


def _bare(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-15)
    return engine.compress(data) + engine.flush()


FORMS = {
    "gzip": ("gzip", gzip.compress),
    "zstd": ("zstd", zstandard.compress),
    "deflate": ("deflate", zlib.compress),
    "bare deflate": ("deflate", _bare),
}


def _post(served: Served, body: bytes, coding: str = "") -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", served.http, timeout=90)
    try:
        given = {"content-type": PROTO} | ({"content-encoding": coding} if coding else {})
        connection.request("POST", "/v1/logs", body, given)
        return Answer(connection.getresponse())
    finally:
        connection.close()


class _Growth:
    """How much more a process held at its peak, inside the block, than before it."""

    def __init__(self, served: Served) -> None:
        self._served = served

    def __enter__(self) -> "_Growth":
        self._served.forget_peak()
        self._before, self._began = self._served.memory(), time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.bytes = self._served.memory("VmHWM") - self._before
        self.seconds = time.monotonic() - self._began


@pytest.mark.parametrize("form", FORMS)
def test_bombs_over_http_are_refused_in_bounded_memory(served: Served, form: str) -> None:
    """413 with a Status, eight at once; all of them take no more than what may be unpacked at once, and others are served."""
    coding, pack = FORMS[form]
    bomb = pack(bytes(SIZE))
    assert len(bomb) < SIZE / 500
    assert _post(served, a_request("before")).status == 200
    with _Growth(served) as grown, ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: _post(served, bomb, coding), range(AT_ONCE * ROUNDS)))
    print(f"{form}: {len(bomb)} bytes, {len(answers)} bombs in {grown.seconds:.2f} s, {grown.bytes >> 20} MiB more")
    assert {answer.status for answer in answers} <= {413, 503}
    assert 413 in {answer.status for answer in answers}
    for answer in answers:
        wanted = Code.RESOURCE_EXHAUSTED if answer.status == 413 else Code.UNAVAILABLE
        assert Status.FromString(answer.body).code == wanted
        assert ("retry-after" in answer.headers) is (answer.status == 503)
    assert grown.bytes < MEMORY
    assert _post(served, bomb, coding).status == 413
    assert _post(served, a_request("after")).status == 200


@pytest.mark.parametrize("how", [grpc.Compression.Gzip, grpc.Compression.Deflate], ids=lambda how: how.name)
def test_bombs_over_grpc_are_refused_in_bounded_memory(served: Served, how: grpc.Compression) -> None:
    """RESOURCE_EXHAUSTED without RetryInfo, eight at once, in no more memory; others are served."""
    options = [("grpc.max_send_message_length", -1)]
    bomb = bytes(PACKED_FOR_EACH)
    assert len(bomb) > LIMIT and AT_ONCE * len(bomb) > MEMORY
    with grpc.insecure_channel(f"127.0.0.1:{served.grpc}", options) as channel:
        assert called(channel, "logs", a_request("before")).code == "OK"
        with _Growth(served) as grown, ThreadPoolExecutor(AT_ONCE) as pool:
            calls = [pool.submit(called, channel, "logs", bomb, (), how) for _ in range(AT_ONCE * max(1, ROUNDS // 5))]
            answers = [call.result() for call in calls]
        print(f"gRPC {how.name}: {len(answers)} bombs in {grown.seconds:.2f} s, {grown.bytes >> 20} MiB more")
        assert {(answer.code, *answer.details) for answer in answers} == {("RESOURCE_EXHAUSTED",)}
        assert grown.bytes < MEMORY
        assert called(channel, "logs", a_request("after")).code == "OK"
