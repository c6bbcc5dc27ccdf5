"""What of its archive a collector keeps, and the thread that sees to it: retention with no one to call it.

The law: what `archive.removal` says, and only one process of several removes.
"""

import math
import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from whence.archive.removal import finish_removals_in, removal_line, remove, settled_plan
from whence.archive.retention import Policy, Removal
from whence.archive.rules import rule_of
from whence.archive.writer import ArchiveWriter
from whence.collect.component import Host
from whence.collect.processors.demands import checked
from whence.collect.settings import Settings, Size
from whence.errors import StorageError, WhenceError
from whence.event.ids import next_ulid, ulid_text

RUN: Final = "whence"
"""The run, and folder, of what whence records about an archive by itself."""
_SYNC: Final = 30.0
_EVERY: Final = 60.0
"""Seconds between two looks; a file that this process closes is a reason too."""
_PAUSE: Final = 1.0
"""Seconds between two looks at least: many files may be closed at once."""

_Rule = Annotated[str, AfterValidator(checked(lambda text: rule_of(text, 1.0, 0)))]
_Days = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Retention(Settings):
    """As in whence's own configuration (docs/retention.md)."""

    days: _Days = 30.0
    error_days: _Days = 365.0
    audit_days: _Days = 2_555.0
    keep: dict[_Rule, _Days] = Field(default_factory=dict)
    """Days by filter; the first that matches decides about an event."""
    run_events: int | None = Field(None, ge=0)
    run_bytes: Size | None = None
    total_bytes: Size | None = None

    def policy(self, now: int) -> Policy:
        """As the archive takes it. `now`: ns since the epoch."""
        keep = tuple(rule_of(text, days, now) for text, days in self.keep.items())
        return Policy(
            self.days, self.error_days, self.audit_days, self.run_events, self.run_bytes, self.total_bytes, keep
        )


class Keeping:
    """Looks after one archive while it is written."""

    def __init__(self, settings: Retention, host: Host, writer: ArchiveWriter) -> None:
        self._settings = settings
        self._host = host
        self._writer = writer
        self._due = threading.Event()
        self._ended = threading.Event()
        self._said: str | None = None
        self._thread = threading.Thread(target=self._run, name=f"{host.id} removes", daemon=True)

    def start(self) -> None:
        """Look at once, and from then on now and then."""
        self._thread.start()

    def look_soon(self) -> None:
        """A file was closed."""
        self._due.set()

    def stop(self, seconds: float) -> None:
        """What is being removed is finished, or by the next start."""
        self._ended.set()
        self._due.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        while not self._ended.is_set():
            self._due.clear()
            try:
                self._say(self._look())
            except (WhenceError, OSError) as trouble:
                self._say(str(trouble))
            except Exception:  # a thread that dies would let the disk fill up
                self._host.log.exception("%s: trouble of its own", self._host.id)
            self._ended.wait(_PAUSE)
            self._due.wait(_EVERY)

    def _look(self) -> str | None:
        """Remove what is to go; gives what stood in the way. Raises StorageError, OSError."""
        now, directory = self._host.now(), self._writer.directory
        policy = self._settings.policy(now)
        finish_removals_in(directory)
        planned = settled_plan(directory, policy, now)
        trouble = planned.refused
        if trouble:  # what age asks for waits; disks fill up all the same
            trouble = trouble.replace("say --even-most", "run `whence retain --even-most`")
            sizes = replace(policy, days=math.inf, error_days=math.inf, audit_days=math.inf, keep=())
            planned = settled_plan(directory, sizes, now)
        for removed in remove(directory, planned.going, now, lambda going: self._record(going, now)):
            if removed.trouble:
                trouble = f"cannot remove {removed.removal.holding.label}: {removed.trouble}"
            else:
                self._count(removed.removal.holding.bytes)
            if self._ended.is_set():
                break
        return trouble

    def _record(self, going: Sequence[Removal], now: int) -> None:
        """The event that says what goes, on the device before anything does. Raises StorageError."""
        entropy = int.from_bytes(os.urandom(10), "big")
        line = removal_line(going, ulid_text(next_ulid(0, now // 1_000_000, entropy)), now, RUN)
        if not self._writer.wait(self._writer.append(RUN, "logs", [line], sync=True), _SYNC):
            reason = self._writer.status.reason
            raise StorageError(f"cannot record a removal in {self._writer.directory}: {reason}; nothing was removed")
        size = sum(one.holding.bytes for one in going)
        self._host.log.info("%s: retention removes %d files, %d bytes", self._host.id, len(going), size)

    def _count(self, size: int) -> None:
        count, labels = self._host.telemetry.count, {"exporter": self._host.id}
        count("whence_archive_removed_files", 1, **labels)
        count("whence_archive_removed_bytes", size, **labels)

    def _say(self, trouble: str | None) -> None:
        """Once for each trouble."""
        if trouble is not None and trouble != self._said:
            self._host.log.error("%s: retention: %s", self._host.id, trouble)
        self._said = trouble
