"""Where an export goes: a file that is there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from whence.archive.folder import sync_folder_at
from whence.archive.terms import explain
from whence.errors import StorageError

_MODE = 0o600


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write; it gets its name, in the place of a former one, when everything is written and on the device.

    Where the writing ends in an exception nothing is left. Raises StorageError where the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
    try:
        fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    except OSError as trouble:
        raise StorageError(f"cannot write {path}: {explain(trouble)}") from trouble
    try:
        with os.fdopen(fd, "wb", buffering=1 << 20) as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
        sync_folder_at(path.parent)
    except OSError as trouble:
        raise StorageError(f"cannot write {path}: {explain(trouble)}") from trouble
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
