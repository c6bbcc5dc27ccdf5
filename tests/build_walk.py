"""Programs run as users run them, in processes of their own, and what they left in an archive."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from whence.archive.reader import Archive
from whence.archive.verify import verify
from whence.event.model import Event

PROGRAMS = Path(__file__).parent / "walk" / "programs"


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment with its import path, and without settings of whence or OpenTelemetry."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WHENCE_", "OTEL_"))}
    return kept | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)} | dict(more or {})


@contextmanager
def begin(
    name: str, *arguments: object, env: Mapping[str, str] | None = None, **options: Any
) -> Iterator["subprocess.Popen[str]"]:
    """Start a program of tests/walk/programs; its output is piped, as text. It is killed where the block leaves it running."""
    command = [sys.executable, str(PROGRAMS / name), *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=environment(env), **(pipes | options)) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def run(
    name: str,
    *arguments: object,
    code: int | None = 0,
    env: Mapping[str, str] | None = None,
    timeout: float = 150,
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """Run a program of tests/walk/programs to its end; fails with what it said where its exit code is another."""
    with begin(name, *arguments, env=env, **options) as process:
        return ended(process, code, timeout)


def ended(
    process: "subprocess.Popen[str]", code: int | None = 0, timeout: float = 150
) -> "subprocess.CompletedProcess[str]":
    """Wait for a program's end; what it said. Fails where its exit code is another, or it does not end (its stacks shown)."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"{process.args} did not end in {timeout} s\n{out[-3000:]}\n{err[-8000:]}") from None
    done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
    assert code is None or done.returncode == code, f"exit code {done.returncode}\n{out[-3000:]}\n{err[-8000:]}"
    return done


def whence_cli(*arguments: object, code: int | None = 0) -> "subprocess.CompletedProcess[str]":
    """Run the `whence` command."""
    command = [sys.executable, "-c", "import sys; from whence.cli import main; sys.exit(main())", *map(str, arguments)]
    done = subprocess.run(command, text=True, env=environment(), timeout=150, capture_output=True, check=False)
    assert code is None or done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def recorded(directory: Path, *, own: bool = False) -> list[Event]:
    """An archive's events in the order they stand there; whence's own only if asked for. Fails on any damage, or an id twice."""
    archive = Archive(directory)
    events = list(archive.events(unique=False))
    assert archive.problems == []
    ids = [event.id for event in events]
    assert len(ids) == len(set(ids)), "an id is there twice"
    return [event for event in events if own or not event.type.startswith("whence.")]


def is_sound(directory: Path) -> None:
    """Fails unless every file is sealed and what its seal says, and nothing unfinished is left."""
    report = verify(directory)
    assert report.ok, report.problems[:5]
    assert not report.unsealed, report.unsealed[:5]
    # What is about the index is another process's, which may be at it now.
    names = [path.name for path in directory.rglob("*") if ".index." not in path.name and ".causes." not in path.name]
    left = [name for name in names if name.endswith(".tmp") or name.startswith(".probe")]
    assert not left, left
