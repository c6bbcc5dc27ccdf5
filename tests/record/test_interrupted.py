"""A signal's handler that raises while a thread queues: wherever that comes, recording goes on and ends as it should.

CPython runs handlers on the main thread after calls, at the start of functions and on jumps back: each such place is tried.
"""

import dis
import sys
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

from build_queue import SlowSink, a_queue, a_record, hold, numbers
from waiting import until
from whence.record.queue import Queue, WhenFull

FILES = ("queue.py", "interrupts.py", "threading.py")
CHECKING = ("CALL", "RESUME", "JUMP_BACKWARD")
"""The beginnings of the names of the instructions after which handlers may run."""


class Interrupt(BaseException):
    """What the handler raises."""


@cache
def checks_behind(code: CodeType, was: int, now: int) -> bool:
    """Whether handlers may run between two instructions, and what they raise would be caught behind as before.

    (Python raises it in the first of them, tracing in the second.)
    """
    entries = dis.Bytecode(code).exception_entries  # type: ignore[attr-defined]
    caught = [next((one.target for one in entries if one.start <= at < one.end), None) for at in (was, now)]
    return dis.opname[code.co_code[was]].startswith(CHECKING) and caught[0] == caught[1]


def interrupted(call: Callable[[], object], place: int) -> bool:
    """Call something, and raise at the place of that number at which a handler may run; False where it has fewer."""
    left = place
    before: dict[FrameType, int] = {}

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if Path(frame.f_code.co_filename).name not in FILES:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            was, before[frame] = before.get(frame), frame.f_lasti
            if was is not None and checks_behind(frame.f_code, was, frame.f_lasti):
                left -= 1
                if left < 0:
                    raise Interrupt
        return trace

    kept = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except Interrupt:
        return True
    finally:
        sys.settrace(kept)
    return False


def ends(call: Callable[[], Any]) -> Any:
    """What a call on another thread gives; fails where it does not end."""
    given: list[Any] = []
    thread = threading.Thread(target=lambda: given.append(call()), daemon=True)
    thread.start()
    thread.join(90)
    assert given, "it hangs"
    return given[0]


@pytest.mark.parametrize("when_full", list(WhenFull))
def test_a_raise_while_the_worker_sleeps_breaks_nothing(tmp_path: Path, when_full: WhenFull) -> None:
    """The record that wakes it is queued or not; those before and after it are stored, in order."""
    place, more = 0, True
    while more:
        sink = SlowSink(tmp_path / f"{place}")
        queue = a_queue(sink, when_full=when_full)
        queue.put(a_record(0))
        assert queue.wait(90)
        until(lambda queue=queue: queue._idle)
        more = interrupted(lambda queue=queue: queue.put(a_record(1)), place)
        assert ends(lambda queue=queue: queue.put(a_record(2)))
        assert ends(lambda queue=queue: queue.close(60)) == 0
        assert sink.writer.close(60)
        assert numbers(sink) in ([0, 1, 2], [0, 2] if more else None)
        place += 1
    assert place > 4


def opens(sink: SlowSink, queue: Queue, over: threading.Event) -> None:
    """Let the disk answer once somebody waits for room, or will not wait any more."""
    until(lambda: over.is_set() or queue._moved._gates)
    sink.gate.set()


@pytest.mark.parametrize("when_full", [WhenFull.BLOCK, WhenFull.HELP])
def test_a_raise_while_waiting_for_room_breaks_nothing(tmp_path: Path, when_full: WhenFull) -> None:
    """The record that waits is queued or not; all others are stored, in order, and the lock is free."""
    place, more = 0, True
    while more:
        sink = SlowSink(tmp_path / f"{place}")
        queue = a_queue(sink, capacity=2, when_full=when_full)
        hold(queue, sink)
        for n in range(2):
            assert queue.put(a_record(n))
        over = threading.Event()
        opener = threading.Thread(target=opens, args=(sink, queue, over))
        opener.start()
        more = interrupted(lambda queue=queue: queue.put(a_record(2)), place)
        over.set()
        opener.join(90)
        assert ends(lambda queue=queue: queue.wait(90))
        assert ends(lambda queue=queue: queue.put(a_record(3)))
        assert ends(lambda queue=queue: queue.close(60)) == 0
        assert sink.writer.close(60)
        found = numbers(sink)
        assert [n for n in found if n != 2] == [-1, 0, 1, 3]
        assert found == sorted(found)
        place += 1
    assert place > 20
