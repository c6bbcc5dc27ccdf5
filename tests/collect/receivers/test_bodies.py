"""Bodies: every form of compression whole, harmed and out of bounds, and the budget of bytes.

Part of point 6 of the checklist (`test_checklist.py`).
"""

import gzip
import os
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from whence.collect.receivers.bodies import Budget, TooLarge, inflate
from whence.errors import DataError


def _bare(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-15)
    return engine.compress(data) + engine.flush()


def _two(data: bytes) -> bytes:
    half = len(data) // 2
    return gzip.compress(data[:half]) + gzip.compress(data[half:])


def _frames(data: bytes) -> bytes:
    half = len(data) // 2
    return zstandard.compress(data[:half]) + zstandard.compress(data[half:])


FORMS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "none": ("", bytes),
    "identity": ("identity", bytes),
    "gzip": ("gzip", gzip.compress),
    "gzip of two members": ("gzip", _two),
    "deflate": ("deflate", zlib.compress),
    "bare deflate": ("deflate", _bare),
    "zlib": ("zlib", zlib.compress),
    "zstd": ("zstd", zstandard.compress),
    "zstd of two frames": ("zstd", _frames),
}
COMPRESSED = [name for name in FORMS if name not in ("none", "identity")]


@pytest.mark.parametrize("form", FORMS)
@given(data=st.binary(max_size=2000))
def test_what_was_packed_comes_out_again(form: str, data: bytes) -> None:
    """Every form gives back its bytes; one byte less than they are is too few."""
    encoding, pack = FORMS[form]
    assert inflate(pack(data), encoding, len(data)) == data
    if data:
        with pytest.raises(TooLarge):
            inflate(pack(data), encoding, len(data) - 1)


@pytest.mark.parametrize("form", FORMS)
def test_large_bodies_come_out_whole(form: str) -> None:
    """Bodies of many steps, of bytes that cannot be packed and such that can."""
    encoding, pack = FORMS[form]
    for data in (os.urandom(1_500_000), b"spans " * 500_000):
        assert inflate(pack(data), encoding, 4 << 20) == data


@pytest.mark.parametrize("form", COMPRESSED)
def test_harmed_bodies_are_the_clients_fault(form: str) -> None:
    """A body that ends early is refused as such, and one with other bytes in it never passes for whole by accident."""
    encoding, pack = FORMS[form]
    body = pack(os.urandom(5000))
    for end in (1, 2, len(body) // 2 - 1, len(body) - 1):
        with pytest.raises(DataError):
            inflate(body[:end], encoding, 1 << 20)
    with pytest.raises(DataError):
        inflate(b"\x00garbage" * 10, encoding, 1 << 20)
    with pytest.raises(DataError):
        inflate(body + b"rest", encoding, 1 << 20)


@pytest.mark.parametrize("form", ["gzip", "deflate", "bare deflate", "zstd"])
def test_a_bomb_is_refused_in_bounded_memory(form: str) -> None:
    """200 MiB of zeros in a small body make no more memory than the limit and some steps."""
    encoding, pack = FORMS[form]
    body = pack(bytes(200 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            inflate(body, encoding, 8 << 20)
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()


def test_a_zstd_frame_with_a_huge_window_is_refused() -> None:
    """A window beyond 8 MiB would be memory before the first byte comes out."""
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    engine = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    body = engine.compress(b"x" * 100) + engine.flush()
    with pytest.raises(DataError):
        inflate(body, "zstd", 64 << 20)


@pytest.mark.parametrize("form", ["gzip", "zstd"])
def test_many_empty_parts_are_refused(form: str) -> None:
    """Members that make no bytes are stopped by their number: no limit of bytes ever would, and each costs work."""
    encoding, pack = FORMS[form]
    with pytest.raises(DataError):
        inflate(pack(b"") * 100_000, encoding, 1 << 20)
    assert inflate(pack(b"a") * 1000, encoding, 1 << 20) == b"a" * 1000


def test_the_budget_has_room_again_when_it_is_given_back() -> None:
    """Beyond the size nobody else is let in; whoever is alone always is, in however many pieces."""
    budget = Budget(10)
    assert budget.take(8)
    assert not budget.take(3)
    assert budget.take(2)
    budget.give(10)
    assert budget.take(50)
    assert budget.take(50, held=50)
    assert not budget.take(1)
    budget.give(100)
    assert budget.take(1)
