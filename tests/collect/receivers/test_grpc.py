"""OTLP over gRPC with the library's own client: what is taken, what is refused and how, limits.

Points 1, 3, 4 and 8 of the checklist (`test_checklist.py`).
"""

import gzip
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import zstandard

from build_fuzz import h2_call
from build_receivers import Called, Running, receiving
from build_requests import MESSAGES, everything
from waiting import until

MIB = 1 << 20


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One receiver for tests that leave nothing behind; it takes 1 MiB."""
    with receiving(tmp_path_factory.mktemp("receiver"), grpc={"max_recv_msg_size_mib": 1}) as running:
        yield running


def _request(signal: str) -> bytes:
    return bytes(everything(signal).SerializeToString())


def _of_size(size: int) -> bytes:
    """A request of exactly so many bytes, between 2 and 256 MiB's: one field that nobody knows, its length in four bytes."""
    length = size - 6
    return b"\xa2\x06" + bytes([length >> 7 * n & 127 | (128 if n < 3 else 0) for n in range(4)]) + bytes(length)


@pytest.mark.parametrize("signal", MESSAGES)
@pytest.mark.parametrize("packed", [False, True])
def test_a_full_success_is_an_empty_message(shared: Running, signal: str, packed: bool) -> None:
    """OK with no bytes; the batch is what was sent."""
    answer = shared.call(signal, _request(signal), gzip=packed)
    assert (answer.code, answer.body) == ("OK", b"")
    batch = shared.sink.kept[-1]
    assert (batch.signal, batch.data, batch.encoding, batch.transport) == (signal, _request(signal), "protobuf", "grpc")
    assert batch.metadata == {}


@pytest.mark.parametrize("data", [b"", b"\x0a\x00", b"\x0a\x02\x12\x00"])
def test_an_empty_request_is_a_success(shared: Running, data: bytes) -> None:
    """Nothing, or envelopes around nothing."""
    assert shared.call("traces", data).code == "OK"


@pytest.mark.parametrize("data", [_request("logs")[:-3], b"\xff\xff\xff\xff", b"\x0a\x04\x1a\x02\xff\xfe"])
def test_bad_data_is_an_invalid_argument(shared: Running, data: bytes) -> None:
    """With the detail BadRequest, and nothing that invites to come again."""
    answer = shared.call("logs", data)
    assert (answer.code, answer.details) == ("INVALID_ARGUMENT", ["BadRequest"])
    assert answer.message
    assert answer.message == answer.status.message


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_the_limit_is_exact(shared: Running, packed: bool, more: int) -> None:
    """A message of the limit passes; one byte more is RESOURCE_EXHAUSTED without RetryInfo, before and after gzip."""
    data = _of_size(MIB + more)
    assert len(data) == MIB + more
    answer = shared.call("logs", data, gzip=packed)
    assert (answer.code, answer.details) == ("RESOURCE_EXHAUSTED" if more > 0 else "OK", [])


@pytest.mark.parametrize(
    ("data", "coding", "status"),
    [
        (_request("logs"), "", 0),
        (gzip.compress(_request("logs")), "gzip", 0),
        (_of_size(MIB + 1), "", 8),
        (gzip.compress(_of_size(MIB + 1)), "gzip", 8),
        (gzip.compress(bytes(200 * MIB)), "gzip", 8),
        (b"nonsense", "gzip", 13),
        (zstandard.compress(_request("logs")), "zstd", 13),
    ],
    ids=["whole", "packed", "too large", "too large packed", "bomb", "not packed", "other packing"],
)
def test_clients_of_other_makes_hear_the_same(shared: Running, data: bytes, coding: str, status: int) -> None:
    """One that ends its stream with its message, as Go's does; what cannot be unpacked is refused by the library, for good."""
    with socket.create_connection(("127.0.0.1", shared.grpc), 60) as client:
        client.sendall(h2_call("logs", data, coding))
        said = b""
        while b"grpc-message" not in said:
            piece = client.recv(65536)
            assert piece, said
            said += piece
    written = str(status).encode()
    assert b"grpc-status" + bytes([len(written)]) + written in said


def test_a_service_that_is_not_there(shared: Running) -> None:
    """UNIMPLEMENTED, by the library."""
    with grpc.insecure_channel(f"127.0.0.1:{shared.grpc}") as channel:
        profiles = "opentelemetry.proto.collector.profiles.v1development.ProfilesService"
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(f"/{profiles}/Export")(b"", timeout=60)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_metadata_goes_with_the_batch_where_that_is_asked_for(tmp_path: Path) -> None:
    """Each name with all its values, and bytes of `-bin` names as text of one character a byte."""
    with receiving(tmp_path, grpc={"include_metadata": True}) as running:
        given = (("x-tenant", "a"), ("x-tenant", "b"), ("x-some-bin", b"\xfc"))
        assert running.call("logs", _request("logs"), given).code == "OK"
        metadata = running.sink.kept[-1].metadata
        assert (metadata["x-tenant"], metadata["x-some-bin"]) == (("a", "b"), ("\xfc",))


def test_what_is_inside_at_the_end_gets_its_answer(tmp_path: Path) -> None:
    """A stop waits for the pipelines; afterwards no thread of the receiver is left."""
    answers: list[Called] = []
    before = set(threading.enumerate())
    with receiving(tmp_path) as running:
        running.sink.gate.clear()
        sending = threading.Thread(target=lambda: answers.append(running.call("logs", _request("logs"))))
        sending.start()
        assert running.sink.entered.acquire(timeout=60)
        threading.Timer(0.3, running.sink.gate.set).start()
    sending.join(60)
    assert [answer.code for answer in answers] == ["OK"]
    until(lambda: not [one for one in set(threading.enumerate()) - before if one.name.startswith("otlp ")])
