"""A parallel task graph: 298 tasks check, read and rank a library's books in a pool of threads, and one book breaks it.

    python examples/task_graph.py

Every task says when it is scheduled, has its inputs, starts, completes or fails; the causes of a task's inputs are the
completed tasks that made them. One file comes damaged and is fetched again; another can never be read, and all that waits for
it fails with it, up to the report.

Then ask (the example prints the failure's id):

    whence why ID                              # from the missing report back to the one bad byte
    whence log --type 'task.*' --json | jq 'select(.task == "verify:017")'
    whence errors
    whence effects ID                          # of any event: all that came of it
"""

import hashlib
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import whence
from whence.event.vocabularies.simulation import System
from whence.event.vocabularies.workflow import (
    TaskCompleted,
    TaskFailed,
    TaskInputsResolved,
    TaskScheduled,
    TaskStarted,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowStarted,
)


@dataclass(frozen=True)
class Task:
    """A function of the outputs of the tasks it comes `after`, given to it by their names."""

    work: Callable[[dict[str, Any]], Any]
    after: tuple[str, ...] = ()
    attempts: int = 1


@dataclass(frozen=True)
class Result:
    """How a task ended: its output, and the event that says so."""

    event: whence.EventRef | None
    output: Any = None
    failed: bool = False


def run_workflow(name: str, tasks: dict[str, Task], workers: int = 8) -> dict[str, Result]:
    """Run every task as soon as those it depends on are done, `workers` at a time."""
    began = time.monotonic()
    started = whence.emit(WorkflowStarted(workflow=name, tasks=len(tasks)))
    scheduled = {
        task: whence.emit(TaskScheduled(task=task, dependencies=list(tasks[task].after)), caused_by=started)
        for task in tasks
    }
    results: dict[str, Result] = {}
    waiting, running = dict(tasks), {}
    with ThreadPoolExecutor(workers) as pool:
        while waiting or running:
            for task in [task for task in waiting if all(other in results for other in waiting[task].after)]:
                before = {other: results[other] for other in waiting[task].after}
                running[pool.submit(run_task, task, waiting.pop(task), before, scheduled[task])] = task
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            results.update((running.pop(future), future.result()) for future in done)
    took = (time.monotonic() - began) * 1000
    failed = [task for task in tasks if results[task].failed]
    last = results[list(tasks)[-1]]
    if failed:
        ended = WorkflowFailed(workflow=name, error=f"{len(failed)} tasks failed", duration_ms=took)
    else:
        ended = WorkflowCompleted(workflow=name, output=last.output, duration_ms=took)
    whence.emit(ended, caused_by=last.event)
    return results


def run_task(name: str, task: Task, before: dict[str, Result], scheduled: whence.EventRef | None) -> Result:
    """One task, in a thread of the pool: its events, each the cause of the next."""
    broken = [other for other, result in before.items() if result.failed]
    if broken:
        error = f"not started, because {', '.join(broken)} failed"
        return Result(
            whence.emit(TaskFailed(task=name, error=error, duration_ms=0), caused_by=[before[b].event for b in broken]),
            failed=True,
        )
    inputs = {other: result.output for other, result in before.items()}
    causes = [result.event for result in before.values()] or scheduled
    cause = whence.emit(TaskInputsResolved(task=name, inputs=inputs), caused_by=causes)
    began = time.monotonic()
    for attempt in range(1, task.attempts + 1):
        cause = whence.emit(TaskStarted(task=name, attempt=attempt), caused_by=cause)
        try:
            with whence.because(cause):  # log lines and spans of the work itself
                output = task.work(inputs)
        except Exception as error:  # noqa: BLE001 - a task may fail in any way
            took = (time.monotonic() - began) * 1000
            if attempt == task.attempts:
                said = whence.error(error, {"task": name}, caused_by=cause)
                text = f"{type(error).__name__}: {error}"
                return Result(
                    whence.emit(TaskFailed(task=name, error=text, duration_ms=took), caused_by=said), failed=True
                )
            trouble = System(
                task=name,
                error_type=type(error).__name__,
                status="retrying",
                retry_count=attempt,
                description=str(error),
            )
            cause = whence.emit(trouble, caused_by=cause)
        else:
            took = (time.monotonic() - began) * 1000
            return Result(
                whence.emit(TaskCompleted(task=name, output=output, duration_ms=took), caused_by=cause), output
            )
    raise AssertionError("a task has at least one attempt")


# --- the work: a library of 96 books on 8 shelves --------------------------------------------------------------------------

WORDS = ("river", "stone", "lamp", "winter", "garden", "letter", "silver", "harbour", "orchard")
BOOKS, SHELVES = 96, 8


def print_books(origin: Path, copies: Path) -> dict[str, str]:
    """The originals, their checksums, and the copies to work on: 017 arrived cut short, 058 is not in UTF-8."""
    origin.mkdir()
    for number in range(BOOKS):
        pen = random.Random(number)
        text = "\n".join(" ".join(pen.choices(WORDS, k=9)) for _ in range(200))
        book = origin / f"{number:03}.txt"
        book.write_bytes(text.encode() + (b" caf\xe9" if number == 58 else b""))
    checksums = {book.stem: hashlib.sha256(book.read_bytes()).hexdigest() for book in origin.iterdir()}
    shutil.copytree(origin, copies)
    (copies / "017.txt").write_bytes((copies / "017.txt").read_bytes()[:1000])
    return checksums


def verify(origin: Path, copy: Path, checksum: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """The copy is what was printed; where it is not, it is fetched anew for the next attempt."""
    found = hashlib.sha256(copy.read_bytes()).hexdigest()
    if found != checksum:
        shutil.copy(origin / copy.name, copy)
        raise OSError(f"{copy.name} arrived damaged; fetched it again")
    return {"book": copy.stem, "sha256": found, "bytes": copy.stat().st_size}


def read(copy: Path, inputs: dict[str, Any]) -> dict[str, int]:
    return dict(Counter(copy.read_text("utf-8").split()))


def rank(inputs: dict[str, Any]) -> list[str]:
    (counts,) = inputs.values()
    return sorted(counts, key=counts.get, reverse=True)[:3]


def gather(inputs: dict[str, Any]) -> dict[str, int]:
    """How often each word is among a book's three most frequent; of shelves: the sum."""
    found: Counter[str] = Counter()
    for result in inputs.values():
        found.update(result)
    return dict(found.most_common(5))


def report(inputs: dict[str, Any]) -> str:
    (counts,) = inputs.values()
    return ", ".join(f"{word} in {count} books" for word, count in counts.items())


def library(folder: Path) -> dict[str, Task]:
    """The graph: verify, read and rank each book, gather each shelf, then the library, then write the report."""
    origin, copies = folder / "origin", folder / "copies"
    tasks: dict[str, Task] = {}
    shelves: dict[str, list[str]] = {f"shelf:{shelf}": [] for shelf in range(SHELVES)}
    for book, checksum in sorted(print_books(origin, copies).items()):
        copy = copies / f"{book}.txt"
        tasks[f"verify:{book}"] = Task(partial(verify, origin, copy, checksum), attempts=2)
        tasks[f"read:{book}"] = Task(partial(read, copy), (f"verify:{book}",))
        tasks[f"rank:{book}"] = Task(rank, (f"read:{book}",))
        shelves[f"shelf:{int(book) % SHELVES}"].append(f"rank:{book}")
    tasks.update((shelf, Task(gather, tuple(books))) for shelf, books in shelves.items())
    return {**tasks, "library": Task(gather, tuple(shelves)), "report": Task(report, ("library",))}


def main() -> None:
    archive = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("WHENCE_ARCHIVE", "whence-archive")
    whence.configure(archive=archive)
    with tempfile.TemporaryDirectory() as folder:
        results = run_workflow("library", library(Path(folder)))
    whence.shutdown()
    failed = [name for name, result in results.items() if result.failed]
    print(f"{len(results)} tasks, {len(failed)} failed: {', '.join(failed)}")
    print(f"Ask: whence why {results['report'].event} --archive {archive}")


if __name__ == "__main__":
    main()
