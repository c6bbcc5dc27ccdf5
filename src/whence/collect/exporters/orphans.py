"""Queues on disk of processes that are no more: their requests are sent by the first process of those that are.

The law: a request is in its new queue, on the device, before it is taken out of the old one.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

from whence.collect.exporters.disk import DiskStore
from whence.collect.exporters.queue import Entry, Request
from whence.collect.outcome import Refused
from whence.errors import StorageError


def adopted(store: DiskStore, folder: Path, processes: int, log: logging.Logger) -> list[Entry]:
    """What is now in `store` of the queues beside its folder that belong to no process of so many. Never raises."""
    found: list[Entry] = []
    for orphan in _beside(folder, processes):
        try:
            found += _moved(store, orphan, log)
        except (Refused, StorageError, OSError) as trouble:
            log.error("what is left of the queue in %s is sent after a later start: %s", orphan, trouble)
    return found


def _beside(folder: Path, processes: int) -> Iterator[Path]:
    for one in sorted(folder.parent.glob(f"{folder.name}_p*")):
        number = one.name.removeprefix(f"{folder.name}_p")
        if number.isdecimal() and int(number) >= processes and any(one.glob("*.queue")):
            yield one


def _moved(store: DiskStore, folder: Path, log: logging.Logger) -> list[Entry]:
    orphan = DiskStore(folder, log)
    moved: list[Entry] = []
    try:
        for entry in orphan.open():
            try:
                request = Request(entry.signal, orphan.read(entry), entry.items)
            except StorageError as trouble:
                log.error("%s; it is left where it is", trouble)
                continue
            moved.append(store.append(request, entry.queued_at))
            orphan.done([entry])
    finally:
        orphan.close()
        if moved:
            log.info("took over %d requests from the queue in %s, whose process is no more", len(moved), folder)
    return moved
