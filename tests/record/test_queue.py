"""The queue's promises: nothing lost in a burst, every policy by name, and exact counts of what was not kept."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from build_queue import SlowSink, a_queue, a_record, hold, numbers, stored
from waiting import until
from whence.archive.reader import Archive
from whence.event import names
from whence.record.queue import WhenFull, together
from whence.record.sink import Item, Sink


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[SlowSink]:
    made = SlowSink(tmp_path / "archive")
    yield made
    made.gate.set()
    made.writer.close(5)


def test_a_burst_far_beyond_the_capacity_loses_nothing_by_default(sink: SlowSink) -> None:
    """50,000 records into 10,000 places: the emitting thread helps, and every record is there, in order."""
    queue = a_queue(sink, capacity=10_000)
    for n in range(50_000):
        assert queue.put(a_record(n))
    assert queue.flush(30)
    assert queue.dropped == {}
    assert numbers(sink) == list(range(50_000))


def test_drop_newest_keeps_what_came_first_and_counts_the_rest(sink: SlowSink) -> None:
    """With the disk held up, ten places take ten records; the other five are dropped, counted and recorded."""
    queue = a_queue(sink, when_full=WhenFull.DROP_NEWEST)
    hold(queue, sink)
    assert [queue.put(a_record(n)) for n in range(15)] == [True] * 10 + [False] * 5
    assert queue.dropped == {"queue_full": 5}
    sink.gate.set()
    assert queue.flush(60)
    assert numbers(sink) == [-1, *range(10)]
    (drop,) = [event for event in stored(sink) if event.type == names.TYPE_DROPPED]
    assert drop.payload == {"count": 5, "reason": "queue_full"}


def test_drop_oldest_keeps_what_came_last(sink: SlowSink) -> None:
    """The ten latest of fifteen are kept."""
    queue = a_queue(sink, when_full=WhenFull.DROP_OLDEST)
    hold(queue, sink)
    assert all(queue.put(a_record(n)) for n in range(15))
    sink.gate.set()
    assert queue.flush(60)
    assert numbers(sink) == [-1, *range(5, 15)]
    assert queue.dropped == {"queue_full": 5}


def test_help_gives_up_on_a_held_up_disk_and_drops_the_newest(sink: SlowSink) -> None:
    """Helping cannot hasten a disk that stands still: after a moment the record is dropped, and counted."""
    queue = a_queue(sink)
    hold(queue, sink)
    assert [queue.put(a_record(n)) for n in range(12)] == [True] * 10 + [False] * 2
    assert queue.dropped == {"queue_full": 2}


def test_block_waits_for_room_and_loses_nothing(sink: SlowSink) -> None:
    """Emitting threads wait while the disk is held up, and go on when it moves again."""
    queue = a_queue(sink, when_full=WhenFull.BLOCK)
    hold(queue, sink)
    emitter = threading.Thread(target=lambda: [queue.put(a_record(n)) for n in range(100)])
    emitter.start()
    while queue.size < 10:
        assert emitter.is_alive()
    sink.gate.set()
    emitter.join(90)
    assert queue.flush(60)
    assert numbers(sink) == [-1, *range(100)]
    assert queue.dropped == {}


def test_unbounded_takes_everything(sink: SlowSink) -> None:
    """However slow the disk, nothing is dropped; memory is the bound."""
    queue = a_queue(sink, when_full=WhenFull.UNBOUNDED)
    hold(queue, sink)
    assert all(queue.put(a_record(n)) for n in range(1000))
    sink.gate.set()
    assert queue.flush(60)
    assert numbers(sink) == [-1, *range(1000)]


@pytest.mark.parametrize("when_full", list(WhenFull))
def test_counts_are_exact_under_many_threads(sink: SlowSink, when_full: WhenFull) -> None:
    """Whatever the policy: what was put is what is stored plus what was counted as dropped."""
    queue = a_queue(sink, capacity=50, when_full=when_full)
    threads = [
        threading.Thread(target=lambda base=base: [queue.put(a_record(base + n)) for n in range(500)])
        for base in range(0, 4000, 500)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert queue.flush(30)
    found = numbers(sink)
    assert len(found) == len(set(found))
    assert len(found) + queue.dropped.get("queue_full", 0) == 4000


def test_a_batch_is_one_line_and_is_dropped_whole(sink: SlowSink) -> None:
    """An atomic batch takes one place; where there is none, all of it is counted as dropped."""
    queue = a_queue(sink, capacity=1, when_full=WhenFull.DROP_NEWEST)
    hold(queue, sink)
    with together() as first:
        for n in range(300):
            queue.put_log(a_record(n))
    assert queue.put(first)
    assert not queue.put([a_record(n) for n in range(300, 307)])
    assert queue.dropped == {"queue_full": 7}
    sink.gate.set()
    assert queue.flush(60)
    lines = [line for line in Archive(sink.writer.directory).lines() if b'"id-5"' in line.data]
    assert len(lines) == 1
    assert b'"id-299"' in lines[0].data


def test_a_fault_in_the_sink_ends_neither_the_worker_nor_the_caller(
    sink: SlowSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk that hits a fault is counted under that reason; the records after it are stored."""
    queue = a_queue(sink)
    real, calls = Sink.store, iter([True])

    def fail_once(self: Sink, items: Sequence[Item]) -> int:
        if next(calls, False):
            raise RuntimeError("planted")
        return real(self, items)

    monkeypatch.setattr(Sink, "store", fail_once)
    queue.put(a_record(0))
    assert queue.wait(90)
    queue.put(a_record(1))
    assert queue.flush(60)
    assert queue.dropped == {"fault": 1}
    assert numbers(sink) == [1]


def test_close_drains_what_is_queued_and_refuses_what_comes_after(sink: SlowSink) -> None:
    """After close everything queued is stored; a later record is dropped under its own reason."""
    queue = a_queue(sink, capacity=1000)
    for n in range(500):
        queue.put(a_record(n))
    assert queue.close(60) == 0
    assert not queue.put(a_record(500))
    assert queue.dropped == {"after_shutdown": 1}
    assert numbers(sink) == list(range(500))


def test_close_says_how_much_a_stalled_disk_kept_it_from_writing(sink: SlowSink) -> None:
    """With the disk held up, close gives up at its timeout and counts what is unwritten."""
    queue = a_queue(sink)
    hold(queue, sink)
    for n in range(5):
        queue.put(a_record(n))
    assert queue.close(0.05) == 6


def test_a_blocked_thread_goes_on_when_there_is_room_though_the_disk_stands(sink: SlowSink) -> None:
    """The worker takes a full queue in hand and waits for the disk: its places are free at once."""
    queue = a_queue(sink, when_full=WhenFull.BLOCK)
    queue._thread = threading.current_thread()  # the worker's turns are taken by hand
    sink.gate.clear()
    emitter = threading.Thread(target=lambda: [queue.put(a_record(n)) for n in range(20)])
    emitter.start()
    until(lambda: len(queue._moved._gates) == 1)  # type: ignore[attr-defined]
    worker = threading.Thread(target=queue._store_chunk)
    worker.start()
    assert sink.arrived.acquire(timeout=90)
    emitter.join(90)
    assert not emitter.is_alive()
    sink.gate.set()
    worker.join(90)
    assert queue._store_chunk() == 10
    assert numbers(sink) == list(range(20))
