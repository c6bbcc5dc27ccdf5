"""Sidecars made beside the program: in a process of low priority when files are closed, or by all cores at once.

`python -m whence.index.background DIR` makes every missing sidecar of an archive's closed files. The law: nothing here delays
or disturbs whoever asks for it; a process that dies in the middle leaves what the next look finishes.
"""

import fcntl
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from whence.archive import names

if TYPE_CHECKING:
    from whence.archive.reader import Segment
    from whence.index.sidecar import Note

WORTHWHILE: Final = 1 << 20
"""Plain bytes of closed files from which on a process is started: fewer are decoded in 80 ms when somebody looks."""
Progress = Callable[[int, int], None]
"""Told how many segments are done, and of how many."""
_NICE: Final = 19
_PACKED: Final = 10
"""How many times smaller compressed files are."""
_BOOT: Final = (
    "import json, runpy, sys; sys.path[:] = json.loads(sys.argv.pop(1));"
    "runpy.run_module('whence.index.background', run_name='__main__', alter_sys=True)"
)
"""Started with `-I`, so that nothing that instruments the program by PYTHONPATH instruments this too."""


# --- beside a program that goes on ------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Beside:
    """What this process knows of one archive: bytes closed since the last start, and the process that was started."""

    pid: int
    waiting: int = 0
    process: subprocess.Popen[bytes] | None = None


_beside: dict[Path, _Beside] = {}


def begin_build(root: Path, closed: int) -> None:
    """Have the sidecars of an archive made by another process, `closed` more plain bytes of which are in closed files.

    At once where that is worth it, none is at it, and `whence[query]` is installed; else nothing happens. Returns at once.
    The process outlives this one. Raises OSError where none can be started.
    """
    known = _beside.setdefault(root, _Beside(os.getpid()))
    if known.pid != os.getpid():  # forked: the other's process is none of ours
        known = _beside[root] = _Beside(os.getpid())
    known.waiting += closed
    if known.waiting < WORTHWHILE or (known.process and known.process.poll() is None) or not _can_build():
        return
    with _alone(root) as free:
        if not free:
            return  # whoever is at it looks again before it ends
    known.waiting = 0
    known.process = _start(
        [str(root), "--processes", "1"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, apart=True
    )
    # So that it is no zombie when it ends; where no thread can be started any more, this process ends soon.
    with suppress(RuntimeError):
        threading.Thread(target=known.process.wait, name="whence-index", daemon=True).start()


def _can_build() -> bool:
    """Whether there is a Python to start, and what a sidecar is made with."""
    name = Path(sys.executable or "").name
    is_python = name.startswith(("python", "pypy")) and not getattr(sys, "frozen", False)
    return is_python and all(find_spec(package) for package in ("pyarrow", "numpy"))


def _start(arguments: Sequence[str], *, stdin: int, stdout: int, apart: bool) -> subprocess.Popen[bytes]:
    """This module as a process; `apart` from the terminal and its Ctrl-C. Raises OSError."""
    path = json.dumps([str(Path(entry).absolute()) for entry in sys.path])
    command = [sys.executable, "-I", "-c", _BOOT, path, *arguments]
    place = "/" if apart else None
    return subprocess.Popen(
        command, stdin=stdin, stdout=stdout, stderr=subprocess.DEVNULL, start_new_session=apart, cwd=place
    )


# --- by all cores -----------------------------------------------------------------------------------------------------


def build_all(
    segments: Sequence["Segment"], processes: int | None = None, progress: Progress | None = None
) -> dict[str, "Note | None"]:
    """Make the sidecars of these segments by several processes, by default one a core; the note of each segment's stem.

    None where none could be made, as from `build_sidecar`. Callers may have threads; their main module is not imported again.
    A process takes a quarter of a second to start, so ask for one where all is small.
    """
    from whence.index.build import build_sidecar  # needs whence[query]

    ordered = sorted(segments, key=_size, reverse=True)  # the largest first, so that all end together
    done: dict[str, Note | None] = {}
    alone = processes == 1 or len(ordered) < 2 or not _can_build()
    for segment, note in ((one, build_sidecar(one)) for one in ordered) if alone else _built(ordered, processes):
        done[segment.stem] = note
        if progress:
            progress(len(done), len(ordered))
    return done


def _size(segment: "Segment") -> int:
    """Plain bytes, as near as a look at the directory tells."""
    for ending in segment.endings:
        with suppress(OSError):
            size = segment.path(ending).stat().st_size
            return size if ending == names.PLAIN else size * _PACKED
    return 0


def _built(segments: Sequence["Segment"], processes: int | None) -> Iterator[tuple["Segment", "Note | None"]]:
    """Each segment and its note as they are done, a thread for each process that makes them."""
    waiting: queue.SimpleQueue[Segment] = queue.SimpleQueue()
    finished: queue.SimpleQueue[tuple[Segment, Note | None]] = queue.SimpleQueue()
    for segment in segments:
        waiting.put(segment)
    count = min(processes or os.cpu_count() or 1, len(segments))
    workers: list[_Worker] = []
    threads = []
    try:
        for _ in range(count):
            workers.append(_Worker())
            threads.append(threading.Thread(target=_feed, args=(workers[-1], waiting, finished), daemon=True))
            threads[-1].start()
        for _ in segments:
            yield finished.get()
    finally:
        for worker in workers:
            worker.kill()
        for thread in threads:
            thread.join()


def _feed(
    worker: "_Worker",
    waiting: "queue.SimpleQueue[Segment]",
    finished: "queue.SimpleQueue[tuple[Segment, Note | None]]",
) -> None:
    while True:
        try:
            segment = waiting.get_nowait()
        except queue.Empty:
            return
        note = None
        with suppress(OSError):
            note = worker.build(segment)
        finished.put((segment, note))


class _Worker:
    """A process that makes one sidecar after another; a new one where it died over one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False

    def build(self, segment: "Segment") -> "Note | None":
        """None where the process died over it. Raises OSError where none can be started."""
        from whence.index.sidecar import load_note  # needs whence[query]

        if self._killed:
            return None
        if self._process is None or self._process.poll() is not None:
            self._process = _start(["--worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, apart=False)
            if self._killed:  # meanwhile
                self._process.kill()
        pipes = self._process.stdin, self._process.stdout
        assert pipes[0] is not None and pipes[1] is not None
        fields = [str(segment.root), segment.group, segment.stem, segment.name, segment.endings]
        pipes[0].write(json.dumps(fields).encode() + b"\n")
        pipes[0].flush()
        if pipes[1].readline() != b"done\n":
            self._process.wait()
            return None
        return load_note(segment)

    def kill(self) -> None:
        """End it, whatever it is doing."""
        self._killed = True
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                with suppress(OSError):
                    if pipe:
                        pipe.close()


# --- the process itself -----------------------------------------------------------------------------------------------


def missing_sidecars(root: Path) -> list["Segment"]:
    """The closed segments of an archive without a whole sidecar; metrics, and what is encrypted, never have one."""
    from whence.archive.reader import list_segments
    from whence.index.sidecar import load_note  # needs whence[query]

    def is_missing(segment: "Segment") -> bool:
        if segment.signal in (None, "metrics") or not segment.endings or names.ENCRYPTED in segment.endings:
            return False
        if not segment.path(names.SEALED).exists():
            return False
        note = load_note(segment)
        return note is None or note.sealed is None

    return [segment for segment in list_segments(root) if is_missing(segment)]


@contextmanager
def _alone(root: Path) -> Iterator[bool]:
    """Whether no other process makes the sidecars of this archive; while this lasts, none other does. Raises OSError."""
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        free = True
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            free = False
        except OSError:
            pass  # a file system that locks no directories: sidecars have locks of their own
        yield free
    finally:
        os.close(fd)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make what is missing; gives 0, or 1 where there is something of which no sidecar can be made."""
    import argparse  # programs that record load this file too

    parser = argparse.ArgumentParser("python -m whence.index.background", description=main.__doc__)
    parser.add_argument("directory", nargs="?", type=Path, help="the archive")
    parser.add_argument("--processes", type=int, metavar="N", help="how many at once; by default one a core")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.worker:
        return _work()  # somebody waits for it
    with suppress(OSError):
        os.nice(_NICE)
    if given.directory is None:
        parser.error("name the archive's directory")
    return _build(given.directory, given.processes)


def _build(root: Path, processes: int | None) -> int:
    with _alone(root) as free:
        tried: set[str] = set()
        while free:
            left = [segment for segment in missing_sidecars(root) if segment.stem not in tried]
            if not left:
                break
            tried.update(segment.stem for segment in left)
            build_all(left, processes)
        return int(free and bool(missing_sidecars(root)))


def _work() -> int:
    """Make the sidecar of each segment that a line names, until there are no more lines."""
    from whence.archive.names import Stem
    from whence.archive.reader import Segment
    from whence.index.build import build_sidecar

    for line in sys.stdin.buffer:
        root, group, stem, name, endings = json.loads(line)
        build_sidecar(Segment(Path(root), group, stem, Stem(*name) if name else None, tuple(endings)))
        sys.stdout.write("done\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
