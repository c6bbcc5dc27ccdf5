"""`file_storage`: the folder where queues and positions of components that name it survive a restart."""

from pathlib import Path

from whence.collect.component import HEALTHY, Health, Host, Plug
from whence.collect.settings import Duration, Settings, noted
from whence.errors import StorageError


class Compaction(Settings):
    """The Collector's database wants compacting; the files of whence are removed when they are empty."""

    on_start: bool = False
    on_rebound: bool = False
    directory: str = "/var/lib/otelcol/file_storage"
    max_transaction_size: int = 65536
    rebound_needed_threshold_mib: int = 100
    rebound_trigger_threshold_mib: int = 10
    check_interval: Duration = 5.0
    cleanup_on_start: bool = False


class FileStorageSettings(Settings):
    """The Collector's keys."""

    directory: str = "/var/lib/otelcol/file_storage"
    create_directory: bool = True
    directory_permissions: str = "0750"
    timeout: Duration = noted(1.0, "files are locked at once or not at all")
    fsync: bool = noted(False, "what is queued is always put on the device")
    recreate: bool = noted(False, "a torn file is always set aside, and the rest recovered")
    compaction: Compaction | None = noted(None, "files are removed when everything in them is sent")


class FileStorage:
    """A folder with one folder a component in it."""

    def __init__(self, settings: FileStorageSettings, host: Host) -> None:
        self._settings = settings
        self._root = Path(settings.directory)

    def start(self, host: Host) -> None:
        """Make the folder, where that is allowed. Raises StorageError."""
        self._make(self._root)

    def folder(self, name: str) -> Path:
        """The component's own folder, made. Raises StorageError."""
        return self._make(self._root / name)

    def stop(self, deadline: float) -> None:
        """Nothing runs."""

    def health(self) -> Health:
        """Whether the folder is there."""
        return HEALTHY if self._root.is_dir() else Health(False, f"{self._root} is gone; make it again")

    def _make(self, folder: Path) -> Path:
        if not self._settings.create_directory and not self._root.is_dir():
            raise StorageError(f"cannot use {self._root} as storage: it is not there; make it, or set create_directory")
        try:
            folder.mkdir(int(self._settings.directory_permissions, 8), parents=True, exist_ok=True)
        except (OSError, ValueError) as cause:
            said = getattr(cause, "strerror", None) or "directory_permissions must be octal, such as 0750"
            raise StorageError(f"cannot make {folder}: {said}; choose a directory that can be written") from None
        return folder


PLUG = Plug(FileStorageSettings, FileStorage)
