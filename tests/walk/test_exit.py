"""However a program ends, what it emitted is in the archive, and the archive says how it ended."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import whence
from build_examples import TORTURE
from build_walk import begin, ended, is_sound, recorded, run, whence_cli
from waiting import until
from whence.event import names
from whence.event.model import Event
from whence.record import configure as process


def finished(events: list[Event]) -> list[str | None]:
    """How the runs said they ended."""
    return [event.status for event in events if event.type == names.TYPE_RUN_FINISHED]


def steps(events: list[Event], who: str = "main") -> list[int]:
    """The numbers of one emitter's events, in their order in the archive."""
    return [event.payload["n"] for event in events if event.type == "step" and event.payload["who"] == who]


def test_a_program_that_ends_loses_nothing(tmp_path: Path) -> None:
    """No flush, no shutdown, just the end: everything is there, sealed, and the run finished well."""
    run("exits.py", tmp_path / "archive", "normal")
    events = recorded(tmp_path / "archive", own=True)
    assert steps(events) == list(range(1_000))
    assert finished(events) == ["ok"]
    is_sound(tmp_path / "archive")


@pytest.mark.parametrize("durability", ["exception", "durable"])
def test_an_uncaught_exception_is_recorded_with_its_stack(tmp_path: Path, durability: str) -> None:
    """The program ends as it would without whence, and the archive says why."""
    done = run("exits.py", tmp_path / "archive", durability, code=1)
    assert "ValueError: planted" in done.stderr
    events = recorded(tmp_path / "archive", own=True)
    assert finished(events)[-1] == "failed"
    (error,) = [event for event in events if event.type == names.TYPE_EXCEPTION]
    assert error.attributes[names.EXCEPTION_TYPE] == "ValueError"
    assert error.attributes[names.EXCEPTION_MESSAGE] == "planted"
    assert "exits.py" in error.attributes[names.EXCEPTION_STACKTRACE]
    assert error.description == "uncaught exception"
    assert "failed" in whence_cli("last", "-a", tmp_path / "archive", code=None).stdout
    is_sound(tmp_path / "archive")


def test_an_exception_that_cannot_be_printed_is_recorded_too(tmp_path: Path) -> None:
    """Whatever its own code does."""
    done = run("exits.py", tmp_path / "archive", "unprintable", code=1)
    assert "Unprintable" in done.stderr
    events = recorded(tmp_path / "archive", own=True)
    assert [event.type for event in events if event.kind == "system"] == [names.TYPE_EXCEPTION]


def test_an_exception_that_ends_a_thread_is_recorded_and_the_program_goes_on(tmp_path: Path) -> None:
    """The thread is named; the run, which went on, ends well."""
    done = run("exits.py", tmp_path / "archive", "thread")
    assert "ZeroDivisionError" in done.stderr
    events = recorded(tmp_path / "archive", own=True)
    (error,) = [event for event in events if event.type == names.TYPE_EXCEPTION]
    assert error.description == "uncaught exception, which ended the thread unlucky"
    assert finished(events) == ["ok"]
    assert len(steps(events)) == 10


def test_sys_exit_keeps_its_code(tmp_path: Path) -> None:
    """And everything is there."""
    run("exits.py", tmp_path / "archive", "exit", code=3)
    events = recorded(tmp_path / "archive", own=True)
    assert steps(events) == list(range(100))
    assert len(finished(events)) == 1


def test_daemon_threads_may_emit_to_the_very_end(tmp_path: Path) -> None:
    """The end neither hangs nor complains; of each thread there is everything up to some moment, and nothing after it."""
    done = run("exits.py", tmp_path / "archive", "daemons")
    assert "Traceback" not in done.stderr
    assert "Fatal" not in done.stderr
    events = recorded(tmp_path / "archive", own=True)
    assert steps(events) == list(range(200))
    dropped = any(event.type == names.TYPE_DROPPED for event in events)
    for number in range(4):
        found = steps(events, f"daemon{number}")
        assert found == list(range(len(found))) or dropped
    is_sound(tmp_path / "archive")


def test_atexit_functions_may_emit(tmp_path: Path) -> None:
    """Those registered after configure run before whence's end and are recorded; one before it runs later, and is told."""
    done = run("exits.py", tmp_path / "archive", "atexit")
    events = recorded(tmp_path / "archive", own=True)
    assert steps(events, "atexit") == list(range(10))
    assert "after whence's end" not in {event.type for event in events}
    assert done.stderr.count("has ended recording") == 1


def test_an_asyncio_program_records_its_tasks(tmp_path: Path) -> None:
    """Each task's events, those of its threads too, with the causes of its own context."""
    run("exits.py", tmp_path / "archive", "asyncio")
    events = recorded(tmp_path / "archive")
    begun = {event.payload["number"]: event.id for event in events if event.type == "task.begin"}
    assert len(begun) == 50
    for event in events:
        if event.type in ("task.end", "in_a_thread"):
            assert event.caused_by == (begun[event.payload["number"]],)
    assert len(events) == 150


def test_logging_until_the_end_is_recorded(tmp_path: Path) -> None:
    """Also where the program shuts logging down itself."""
    run("exits.py", tmp_path / "archive", "logging")
    (event,) = recorded(tmp_path / "archive")
    assert event.description == "going"
    assert "ValueError: planted" in event.attributes[names.EXCEPTION_STACKTRACE]


# --- signals ----------------------------------------------------------------------------------------------------------------


def interrupted(folder: Path, number: signal.Signals, *settings: str) -> tuple[int, set[int], str]:
    """A program that records as fast as it can, on a thread that helps to write, ended by a signal: its exit code, the numbers
    of the events whose emit returned, and what it said."""
    with begin("interrupted.py", folder / "archive", folder / "told", *settings) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        until(lambda: (folder / "told").stat().st_size > 500)
        program.send_signal(number)
        done = ended(program, None)
    return done.returncode, set(map(int, (folder / "told").read_text().split())), done.stderr


@pytest.mark.parametrize("turn", range(30 if TORTURE else 2))
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_ends_the_program_loses_nothing(tmp_path: Path, number: signal.Signals, turn: int) -> None:
    """Ctrl-C, or SIGTERM with `handle_sigterm`, wherever the program is at that moment, in the middle of writing too."""
    code, told, _ = interrupted(tmp_path, number, "handle_sigterm=true")
    assert code == (143 if number is signal.SIGTERM else -signal.SIGINT)
    events = recorded(tmp_path / "archive", own=True)
    found = [event.payload["n"] for event in events if event.type == "step"]
    assert told <= set(found)
    assert len(found) == len(set(found))
    assert finished(events) == ["stopped" if number is signal.SIGTERM else "failed"]
    assert not [event for event in events if event.type == names.TYPE_EXCEPTION], "being told to stop is no fault"
    is_sound(tmp_path / "archive")


def test_sigterm_left_alone_ends_the_program_at_once(tmp_path: Path) -> None:
    """As without whence: what was written stays, whole, and the next start puts the files right."""
    code, _, _ = interrupted(tmp_path, signal.SIGTERM)
    assert code == -signal.SIGTERM
    whence_cli("seal", "-a", tmp_path / "archive")
    events = recorded(tmp_path / "archive", own=True)
    found = [event.payload["n"] for event in events if event.type == "step"]
    assert found == sorted(found)
    assert finished(events) == []
    is_sound(tmp_path / "archive")


def test_a_sigterm_handler_of_the_programs_own_is_left_alone(tmp_path: Path) -> None:
    """It is said in the log; and asking on another thread, where no handler can be set, is refused with what to do."""
    done = run("own_sigterm.py", tmp_path / "archive")
    assert "whence leaves SIGTERM alone" in done.stderr
    assert "on the main thread" in done.stdout
    assert [event.type for event in recorded(tmp_path / "archive")] == ["my own handler", "after"]


# --- a disk that does not answer ----------------------------------------------------------------------------------------------


@pytest.fixture
def freezable(tmp_path: Path) -> Iterator[tuple[Path, Callable[[bool], None]]]:
    """A file system of its own that can be frozen: a write to it waits then, as on a disk that has stalled."""
    if (
        not sys.platform.startswith("linux")
        or os.geteuid() != 0
        or not shutil.which("mkfs.ext4")
        or not shutil.which("fsfreeze")
    ):
        pytest.skip("freezing a file system needs root on Linux, mkfs.ext4 and fsfreeze")
    image, place = tmp_path / "image", tmp_path / "disk"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(16 << 20)
    for command in (["mkfs.ext4", "-q", image], ["mount", "-o", "loop", image, place]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"cannot mount a file here: {done.stderr.strip()}")

    def freeze(on: bool) -> None:
        subprocess.run(["fsfreeze", "-f" if on else "-u", place], check=on, capture_output=True)

    try:
        yield place, freeze
    finally:
        freeze(False)
        whence.shutdown(10)
        process._recorder = None
        subprocess.run(["umount", "-l", place], check=False)


@pytest.mark.linux_root
@pytest.mark.parametrize("settings", [{}, {"when_full": "block"}, {"durability": "durable"}], ids=str)
def test_shutting_down_on_a_disk_that_does_not_answer_ends_and_says_so(
    freezable: tuple[Path, Callable[[bool], None]], settings: dict[str, str]
) -> None:
    """Emitting threads are not held up but where they asked for it, and shutdown gives up in its time and counts what is not
    written; what the disk takes in the end is whole."""
    place, freeze = freezable
    recorder = whence.configure(
        archive=place / "archive", run="r", metrics=False, logging=False, queue_size=50, **settings
    )
    whence.log("before")
    assert whence.flush(60)
    freeze(True)

    def emit() -> None:
        for n in range(500):
            try:
                whence.log("step", {"n": n})
            except whence.StorageError:
                return

    emitter = threading.Thread(target=emit, daemon=True)
    emitter.start()
    if settings.get("when_full") == "block":
        until(lambda: recorder._queue.size == 50)
    elif not settings:
        emitter.join(90)
        assert not emitter.is_alive()
    else:
        until(lambda: recorder.run.last_seq > 2)
    worker = recorder._queue._thread
    assert worker is not None
    report = whence.shutdown(0.5)
    assert not report.complete
    assert report.reason is not None
    emitter.join(90)
    assert not emitter.is_alive()
    freeze(False)
    until(lambda: not worker.is_alive())
    whence_cli("seal", "-a", place / "archive")
    assert [event.type for event in recorded(place / "archive")][:1] == ["before"]
