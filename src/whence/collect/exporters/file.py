"""The exporter `file`: OTLP JSON Lines at the path that is named, as the Collector's users know it; acknowledged on the device.

A file that is there is appended to, never emptied. One thread writes: requests that come together share one write and one sync.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from glob import glob
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from whence.archive.folder import probe
from whence.archive.terms import explain
from whence.collect.batch import LEVELS, Batch, Receipt
from whence.collect.component import HEALTHY, Health, Host, Plug
from whence.collect.exporters.file_appended import MEGABYTE, Appended, Form
from whence.collect.exporters.file_names import STAR, groups_there
from whence.collect.exporters.partition import Places, parts_of
from whence.collect.outcome import Refused
from whence.collect.seldom import Seldom
from whence.collect.settings import CompressionParams, Duration, Settings, noted
from whence.collect.telemetry import ITEMS
from whence.errors import StorageError

_RETRY: Final = 1.0
_PROBE: Final = 1.0
"""Seconds between two looks whether a disk in trouble takes writes again."""


def _json_only(value: Any) -> Any:
    if value == "proto":
        raise ValueError("'json': whence reads and writes no length-framed protobuf files; leave format out")
    return value


def _no_encoding(value: Any) -> Any:
    if value:
        raise ValueError("nothing here: there are no encoding extensions; leave it out, lines are OTLP JSON")
    return None


class Rotation(Settings):
    """When the file is closed and the next begun. Closed files are named by the time, and removed by number and age."""

    max_megabytes: int = Field(100, ge=1)
    max_days: int = Field(0, ge=0)
    """0: closed files are not removed by age."""
    max_backups: int = Field(100, ge=0)
    """0: nor by number."""
    localtime: bool = False


class GroupBy(Settings):
    """A file a value of a resource attribute, in the place of the path's `*`."""

    enabled: bool = False
    resource_attribute: str = "fileexporter.path_segment"
    max_open_files: int = Field(100, ge=1)
    max_values: int = Field(1000, ge=1)
    """Files at most; further values share one."""


class FileSettings(Settings):
    """The Collector's keys, and `timeout`."""

    path: str = Field(min_length=1)
    format: Annotated[Literal["json"], BeforeValidator(_json_only)] = "json"
    encoding: Annotated[None, BeforeValidator(_no_encoding)] = None
    append: bool = True
    """Always so: what is in a file is never removed."""
    rotation: Rotation | None = None
    compression: Literal["", "none", "zstd"] = ""
    compression_params: CompressionParams = CompressionParams()
    flush_interval: Duration = noted(1.0, "nothing waits to be flushed: what is acknowledged is on the device")
    group_by: GroupBy = GroupBy.model_validate({})
    create_directory: bool = False
    directory_permissions: str = Field("0755", pattern="^0?[0-7]{3}$")
    timeout: Duration = 30.0
    """How long a batch may take to the device before its sender is asked to send it again."""

    @model_validator(mode="after")
    def _star(self) -> "FileSettings":
        stars = self.path.count(STAR)
        if self.group_by.enabled and (stars != 1 or self.path.startswith(STAR)):
            raise ValueError("a path with one * in it, not at its beginning, where group_by is enabled")
        return self

    def form(self) -> Form:
        """How files are written."""
        rotation, makes = self.rotation, self.create_directory or self.group_by.enabled
        level = 3 if self.compression_params.level is None else self.compression_params.level
        return Form(
            level=level if self.compression == "zstd" else None,
            bytes_most=rotation.max_megabytes * MEGABYTE if rotation else None,
            closed_most=rotation.max_backups if rotation else 0,
            closed_days=rotation.max_days if rotation else 0,
            local_time=bool(rotation and rotation.localtime),
            folder_mode=int(self.directory_permissions, 8) if makes else None,
        )


class Waiting:
    """What one request brings, by path, and what becomes of it."""

    def __init__(self, parts: Mapping[Path, bytes]) -> None:
        self.parts = parts
        self.over = threading.Event()
        self.trouble: Exception | None = None

    def settle(self, trouble: Exception | None) -> None:
        """Tell the thread that waits."""
        self.trouble = trouble
        self.over.set()


class FileExporter:
    """Files at one path or, by group, at several."""

    def __init__(self, settings: FileSettings, host: Host) -> None:
        self._settings = settings
        self._host = host
        self._files: OrderedDict[Path, Appended] = OrderedDict()
        self._places = Places(settings.group_by.max_values)
        self._changed = threading.Condition()
        self._waiting: list[Waiting] = []
        self._thread: threading.Thread | None = None
        self._closed = True
        self._busy_since: float | None = None
        self._troubles: dict[Path, str] = {}
        self._is_to_be_said = Seldom(host.monotonic)

    def start(self, host: Host) -> None:
        """Make or join the file. Raises StorageError where it cannot be written, or holds something else."""
        if self._settings.group_by.enabled:
            self._places.know(groups_there(self._settings.path, glob(self._settings.path)))  # noqa: PTH207 - absolute or not
        else:
            self._try(Path(self._settings.path))
        if not self._settings.append:
            host.log.warning("%s appends to what is in %s: it never empties a file", host.id, self._settings.path)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"{host.id} writes", daemon=True)
        self._thread.start()

    def _try(self, path: Path) -> None:
        try:
            self._file(path).open()
        except FileNotFoundError:
            raise StorageError(
                f"cannot write {path}: there is no folder {path.parent}; make it, or set create_directory: true"
            ) from None
        except OSError as trouble:
            raise StorageError(f"cannot write {path}: {explain(trouble)}") from trouble

    def stop(self, deadline: float) -> None:
        """Write what has come."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is None:
            return
        self._thread.join(max(deadline - self._host.monotonic(), 0.1))
        with self._changed:
            left, self._waiting = self._waiting, []
        for waiting in left:
            waiting.settle(StorageError(f"cannot write {self._settings.path}: the exporter has stopped"))
        if self._thread.is_alive():
            self._host.log.error("%s: %s; what was not acknowledged is with its senders", self._host.id, self._stalled)

    def health(self) -> Health:
        """Whether the last writes succeeded, and the disk answers."""
        if self._closed:
            return Health(False, "it is not started")
        since = self._busy_since
        if since is not None and self._host.monotonic() - since > self._settings.timeout:
            return Health(False, self._stalled)
        reason = next(iter(self._troubles.copy().values()), None)
        return Health(False, reason) if reason else HEALTHY

    def consume(self, batch: Batch) -> Receipt:
        """Write it and wait for the device. Raises DataError, and Refused where the disk does not take it now."""
        rejected, message = 0, ""
        parts: dict[Path, bytes] = {}
        for path, some in self._by_path(batch):
            lines = some.lines()
            rejected, message = rejected + lines.rejected, message or lines.message
            if lines.lines:
                parts[path] = b"".join(line.data for line in lines.lines)
        if parts:
            self._written(Waiting(parts))
        name = f"otelcol_exporter_sent_{ITEMS[batch.signal]}"
        self._host.telemetry.count(name, batch.count() - rejected, exporter=self._host.id)
        return Receipt(rejected, message)

    @property
    def _stalled(self) -> str:
        return f"the disk under {self._settings.path} does not answer"

    def _by_path(self, batch: Batch) -> Sequence[tuple[Path, Batch]]:
        group_by, path = self._settings.group_by, self._settings.path
        if not group_by.enabled:
            return [(Path(path), batch)]
        resources = LEVELS[batch.signal][0]
        found: dict[Path, list[dict[str, Any]]] = {}
        for value, some in parts_of(batch, group_by.resource_attribute):
            place, too_many = self._places.place(value)
            one = Path(path.replace(STAR, place))
            if too_many and self._is_to_be_said("overflow"):
                self._host.log.warning(
                    "%s: more than %d values of %s; the others go to %s: raise max_values, or group by less",
                    self._host.id, group_by.max_values, group_by.resource_attribute, one,
                )  # fmt: skip
            found.setdefault(one, []).extend(some)
        return [(one, batch.with_tree({resources: some})) for one, some in found.items()]

    def _written(self, waiting: Waiting) -> None:
        with self._changed:
            if self._closed:
                raise Refused(f"cannot write {self._settings.path}: the exporter is not running; send it again", _RETRY)
            self._waiting.append(waiting)
            self._changed.notify_all()
        if not waiting.over.wait(self._settings.timeout):
            with self._changed:
                if waiting in self._waiting:
                    self._waiting.remove(waiting)
            raise self._refused(self._stalled)
        if waiting.trouble is not None:
            raise self._refused(str(waiting.trouble)) from waiting.trouble

    def _refused(self, reason: str) -> Refused:
        if self._is_to_be_said("refused"):
            self._host.log.error("%s refuses what comes: %s", self._host.id, reason)
        return Refused(f"{reason}; send it again", _RETRY)

    # --- in the writing thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed and self._changed.wait(_PROBE if self._troubles else None):
                    pass
                taken, self._waiting = self._waiting, []
                if not taken and self._closed:
                    break
            self._busy_since = self._host.monotonic()
            if taken:
                self._write(taken)
            else:
                self._probe()
            self._busy_since = None
        for file in self._files.values():
            file.close()

    def _write(self, taken: Sequence[Waiting]) -> None:
        pieces: dict[Path, list[bytes]] = {}
        for waiting in taken:
            for path, data in waiting.parts.items():
                pieces.setdefault(path, []).append(data)
        troubles = {path: trouble for path, some in pieces.items() if (trouble := self._append(path, some))}
        for waiting in taken:
            waiting.settle(next((troubles[path] for path in waiting.parts if path in troubles), None))

    def _append(self, path: Path, pieces: Sequence[bytes]) -> Exception | None:
        """What stopped it."""
        try:
            self._file(path).append(pieces)
        except OSError as trouble:
            return self._note(path, StorageError(f"cannot write {path}: {explain(trouble)}"))
        except StorageError as trouble:
            return self._note(path, trouble)
        except Exception as fault:  # the thread must go on; the request is told, and its sender keeps it
            self._host.log.exception("%s: trouble of its own", self._host.id)
            return self._note(path, StorageError(f"cannot write {path}: {fault!r}"))
        self._troubles.pop(path, None)
        return None

    def _note(self, path: Path, trouble: StorageError) -> StorageError:
        self._troubles[path] = str(trouble)
        return trouble

    def _probe(self) -> None:
        """Whether folders in trouble take writes again: then it is for the next request to say more."""
        for path in list(self._troubles):
            try:
                self._file(path).open()
                probe(path.resolve().parent)
            except (OSError, StorageError):
                continue
            self._troubles.pop(path, None)

    def _file(self, path: Path) -> Appended:
        found = self._files.pop(path, None)
        if found is None:
            found = Appended(path, self._settings.form(), self._host.log, self._host.now)
            while len(self._files) >= self._settings.group_by.max_open_files:
                self._files.popitem(last=False)[1].close()
        self._files[path] = found
        return found


def build(settings: FileSettings, host: Host) -> FileExporter:
    """The exporter; nothing is opened yet."""
    return FileExporter(settings, host)


PLUG = Plug(FileSettings, build)
