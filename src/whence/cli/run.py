"""`whence run -- CMD...`: any Python program, recorded without a change to its code."""

import os
import shutil
from typing import Annotated

import typer

from whence.cli.options import ARCHIVE, ArchiveOption
from whence.errors import ConfigError, NotFoundError
from whence.record.launch.start import environment_for


def run(
    command: Annotated[list[str], typer.Argument(metavar="-- CMD...", help="The program and its arguments.")],
    archive: ArchiveOption = ARCHIVE,
    run: Annotated[str | None, typer.Option("--run", metavar="ID", help="Name the run; made up otherwise.")] = None,
) -> None:
    """Run any Python program with whence recording it, with no change to its code.

    What the program emits through OpenTelemetry, its logging, and whatever the installed
    opentelemetry-instrumentation packages see goes to the archive. Its exit code is the program's own.
    """
    if archive.exists() and not archive.is_dir():
        raise ConfigError(f"cannot record into {archive}: it is not a directory; name another with --archive")
    program = command[1:] if command[0] == "--" else command
    if not program:
        raise ConfigError("cannot run nothing: say what to run, as in `whence run -- python app.py`")
    found = shutil.which(program[0])
    if found is None:
        raise NotFoundError(f"cannot run {program[0]!r}: there is no such program on the PATH")
    # The program replaces this process: signals, the terminal and the exit code are its own, as without whence.
    os.execve(found, program, environment_for(os.environ, archive, run))  # noqa: S606 - running it is the point
