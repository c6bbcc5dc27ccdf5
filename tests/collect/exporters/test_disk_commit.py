"""What the queue on disk promises when the power goes: what `append` returned for is there, whatever else is or is not."""

import logging
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_examples import examples
from whence.collect.exporters import disk
from whence.collect.exporters.disk import DiskStore
from whence.collect.exporters.disk_records import Gap, Record, packed, packed_numbers, unpacked, unpacked_numbers
from whence.collect.exporters.queue import Entry, Request
from whence.collect.outcome import Refused

LOG = logging.getLogger("whence.collect.queue")


class Device:
    """What is on the device: the bytes that were synced, under the names that were."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.bytes: dict[int, bytes] = {}
        """By inode."""
        self.names: dict[str, int] = {}
        self.syncs = 0
        self._lock = threading.Lock()
        monkeypatch.setattr(disk, "sync_file", self._file)
        monkeypatch.setattr(disk, "sync_folder_at", self._names)

    def _file(self, fd: int) -> None:
        with self._lock:
            self.syncs += 1
            found = os.fstat(fd)
            path = next(path for path in self.folder.iterdir() if path.stat().st_ino == found.st_ino)
            self.bytes[found.st_ino] = path.read_bytes()

    def _names(self, folder: Path) -> None:
        with self._lock:
            self.names = {path.name: path.stat().st_ino for path in folder.iterdir()}

    def cut(self, to: Path) -> None:
        """The power goes: what is left, in another folder."""
        with self._lock:
            to.mkdir()
            for name, inode in self.names.items():
                (to / name).write_bytes(self.bytes.get(inode, b""))


def found_in(directory: Path) -> list[bytes]:
    """What a new start finds."""
    store = DiskStore(directory, LOG)
    found = [store.read(entry) for entry in store.open()]
    store.close()
    return found


def test_what_was_taken_is_on_the_device_when_the_power_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen threads append over several files; at any moment the device has all that they were told is taken."""
    monkeypatch.setattr(disk, "_SEGMENT", 2_000)
    folder = tmp_path / "queue"
    folder.mkdir()
    device = Device(folder, monkeypatch)
    store = DiskStore(folder, LOG)
    store.open()
    taken: list[bytes] = []

    def work(thread: int) -> None:
        for number in range(25):
            data = b"%d %d" % (thread, number) * 5
            store.append(Request("logs", data, 1))
            taken.append(data)

    with ThreadPoolExecutor(16) as pool:
        done = [pool.submit(work, thread) for thread in range(16)]
        for moment in range(10):
            wanted = list(taken)
            device.cut(tmp_path / f"cut-{moment}")
            assert set(wanted) <= set(found_in(tmp_path / f"cut-{moment}"))
        for one in done:
            one.result(60)
    device.cut(tmp_path / "end")
    assert sorted(found_in(tmp_path / "end")) == sorted(taken)
    store.close()


def test_who_append_together_share_one_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one is synced, the others gather behind it: two syncs for all."""
    device = Device(tmp_path, monkeypatch)
    store = DiskStore(tmp_path, LOG)
    store.open()
    inside, go = threading.Event(), threading.Event()
    sync = device._file

    def held(fd: int) -> None:
        inside.set()
        assert go.wait(60)
        sync(fd)

    monkeypatch.setattr(disk, "sync_file", held)
    with ThreadPoolExecutor(21) as pool:
        first = pool.submit(store.append, Request("logs", b"first", 1))
        assert inside.wait(60)
        rest = [pool.submit(store.append, Request("logs", b"%d" % n, 1)) for n in range(20)]
        while len(store._offers) < 20:
            assert not first.done()
        go.set()
        entries = [one.result(60) for one in (first, *rest)]
    assert device.syncs == 2
    assert sorted(entry.number for entry in entries) == list(range(21))
    assert {store.read(entry) for entry in entries} == {b"first", *(b"%d" % n for n in range(20))}
    store.close()


def test_a_failed_sync_refuses_everybody_in_it_and_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of a group hear of it; none of them is there after a start."""
    store = DiskStore(tmp_path, LOG)
    store.open()
    inside, go, times = threading.Event(), threading.Event(), []

    def failing(fd: int) -> None:
        times.append(fd)
        inside.set()
        assert go.wait(60)
        if len(times) == 2:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(disk, "sync_file", failing)
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(store.append, Request("logs", b"first", 1))
        assert inside.wait(60)
        rest = [pool.submit(store.append, Request("logs", b"%d" % n, 1)) for n in range(5)]
        while len(store._offers) < 5:
            assert not first.done()
        go.set()
        assert first.result(60).number == 0
        for one in rest:
            with pytest.raises(Refused, match="Input/output"):
                one.result(60)
    store.append(Request("logs", b"last", 1))
    store.close()
    assert found_in(tmp_path) == [b"first", b"last"]


def test_who_waits_to_append_is_refused_by_a_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written once the folder is let go."""
    store = DiskStore(tmp_path, LOG)
    store.open()
    inside, go = threading.Event(), threading.Event()

    def held(fd: int) -> None:
        inside.set()
        assert go.wait(60)

    monkeypatch.setattr(disk, "sync_file", held)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(store.append, Request("logs", b"first", 1))
        assert inside.wait(60)
        closing = pool.submit(store.close)
        go.set()
        closing.result(60)
        first.result(60)
    with pytest.raises(Refused, match="stopping"):
        store.append(Request("logs", b"second", 1))
    assert found_in(tmp_path) == [b"first"]


def test_old_numbers_of_what_was_delivered_are_never_a_new_requests(tmp_path: Path) -> None:
    """A power cut brings back the numbers of long ago, and takes the position: what is queued next is still sent."""
    store = DiskStore(tmp_path, LOG)
    store.open()
    entries = [store.append(Request("logs", b"%d" % n, 1)) for n in range(10)]
    store.done(entries[:1] + entries[2:])
    numbers = (tmp_path / "delivered").read_bytes()
    store.done(entries[1:2])
    store.close()
    for path in tmp_path.iterdir():
        path.unlink()
    (tmp_path / "delivered").write_bytes(numbers)
    again = DiskStore(tmp_path, LOG)
    assert again.open() == []
    for n in range(20):
        again.append(Request("logs", b"new %d" % n, 1))
    (tmp_path / "delivered").write_bytes(numbers)
    os.close(again._claim or 0)
    assert found_in(tmp_path) == [b"new %d" % n for n in range(20)]


def test_what_is_delivered_is_known_after_a_kill_and_over_many_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in the middle of making one position of them, and behind one that was torn."""
    monkeypatch.setattr(disk, "_COMPACT", 100)
    store = DiskStore(tmp_path / "q", LOG)
    store.open()
    entries = [store.append(Request("logs", b"%d" % n, 1)) for n in range(100)]
    left: dict[int, Entry] = dict(enumerate(entries))
    for n in (*range(0, 100, 3), *range(1, 100, 3)):
        store.done([left.pop(n)])
        if n % 10 == 0:
            copy = tmp_path / f"copy-{n}"
            shutil.copytree(tmp_path / "q", copy)
            with (copy / "delivered").open("ab") as file:
                file.write(b"\\0\\0\\0")
            for _ in range(2):
                assert found_in(copy) == [b"%d" % one for one in sorted(left)]
    store.close()


@examples(100)
@given(
    good=st.lists(st.binary(max_size=40), max_size=6),
    lost=st.lists(st.binary(max_size=40), max_size=4),
    cut=st.integers(0, 400),
    holes=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 60)), max_size=3),
)
def test_whatever_became_of_the_last_write_what_was_before_it_is_there(
    good: list[bytes], lost: list[bytes], cut: int, holes: list[tuple[int, int]]
) -> None:
    """A write that was not synced may be cut anywhere and have holes of zeros: all before it is found, nothing is made up."""
    kept = b"".join(packed(n, 1, Request("logs", data, 1)) for n, data in enumerate(good))
    torn = bytearray(b"".join(packed(len(good) + n, 1, Request("logs", data, 1)) for n, data in enumerate(lost)))
    for start, length in holes:
        end = min(start + length, len(torn))
        torn[start:end] = bytes(max(end - start, 0))
    found = [one for one in unpacked(kept + bytes(torn[:cut])) if isinstance(one, Record)]
    wanted = [*good, *lost]
    assert [one.request.data for one in found[: len(good)]] == good
    assert all(one.request.data == wanted[one.number] for one in found)


@given(
    good=st.lists(st.binary(max_size=40), min_size=3, max_size=6), place=st.integers(0, 10_000), bit=st.integers(0, 7)
)
def test_one_wrong_bit_costs_one_request_at_most(good: list[bytes], place: int, bit: int) -> None:
    """Wherever it is, also in a length; the bytes that are set aside are those that are missing."""
    data = bytearray(b"".join(packed(n, 1, Request("traces", text, 1)) for n, text in enumerate(good)))
    data[place % len(data)] ^= 1 << bit
    parts = list(unpacked(bytes(data)))
    assert sum(isinstance(one, Record) for one in parts) == len(good) - 1
    assert sum(isinstance(one, Gap) for one in parts) == 1
    assert sum(one.length for one in parts) == len(data)


@given(numbers=st.lists(st.integers(0, 2**64 - 1)), cut=st.integers(0, 11))
def test_numbers_are_read_up_to_the_first_that_is_none(numbers: list[int], cut: int) -> None:
    """A torn one, or zeros."""
    data = packed_numbers(numbers)
    assert list(unpacked_numbers(data + bytes(12))) == numbers
    assert list(unpacked_numbers(data[: len(data) - cut])) == (numbers[:-1] if cut and numbers else numbers)
