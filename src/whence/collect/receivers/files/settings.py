"""The settings that receivers of files share, with the Collector's keys and defaults.

The law: pure.
"""

import codecs
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from whence.collect.receivers.files.ordering import OrderingCriteria
from whence.collect.settings import Duration, Settings, Size, noted
from whence.event.misfits import Misfit

_ONE_BY_ONE: Final = "files are read one after the other, a part of each at a time"


def refusing(why: str) -> BeforeValidator:
    """For a key of the Collector's that is known, and refused with what to do instead."""

    def refuse(value: Any) -> None:
        raise Misfit(why)

    return BeforeValidator(refuse)


def as_encoding(value: Any) -> str:
    """The name of an encoding whose line ends are found without decoding. Raises ValueError."""
    name = "utf-8" if value in ("", "nop") else value
    try:
        ends = "\n".encode(name) == b"\n" or codecs.lookup(name).name in ("utf-16-le", "utf-16-be")
        if ends and codecs.lookup(name)._is_text_encoding:
            return str(value)
    except (LookupError, TypeError, AttributeError):
        pass
    raise ValueError("an encoding such as utf-8, utf-16le, utf-16be, ascii, iso-8859-1 or big5, or nop")


class Retry(Settings):
    """How long to wait before what was refused is offered again."""

    enabled: bool = noted(True, "what is refused is always offered again")
    initial_interval: Duration = 1.0
    max_interval: Duration = 30.0
    max_elapsed_time: Duration = noted(0.0, "what is refused is offered until it is taken: nothing is thrown away")


class FileSettings(Settings):
    """Which files, from where on, and how."""

    include: tuple[str, ...] = Field(min_length=1)
    """Globs; `**` is any number of folders, `{a,b}` either."""
    exclude: tuple[str, ...] = ()
    exclude_older_than: Duration | None = None
    start_at: Literal["beginning", "end"] = "end"
    """Where to begin in files that are there when the receiver runs for the first time."""
    poll_interval: Duration = Field(0.2, gt=0)
    storage: str | None = None
    fingerprint_size: Size = Field(1000, ge=16)
    """Bytes at the beginning and before the position by which a file is known again."""
    max_log_size: Size = Field(1 << 20, ge=1)
    max_concurrent_files: int = Field(1024, ge=2)
    """Files held open, so that what is written to them is read even when they are renamed or removed."""
    delete_after_read: bool = False
    encoding: Annotated[str, BeforeValidator(as_encoding)] = "utf-8"
    include_file_name: bool = True
    include_file_path: bool = False
    include_file_name_resolved: bool = False
    include_file_path_resolved: bool = False
    include_file_owner_name: bool = False
    include_file_owner_group_name: bool = False
    include_file_record_number: bool = False
    include_file_record_offset: bool = False
    retry_on_failure: Retry = Retry()
    compression: Literal["", "gzip", "auto"] = noted("", "gzip and zstd are known by a file's first bytes")
    max_batches: int = noted(0, _ONE_BY_ONE)
    initial_buffer_size: Size = noted(16384, _ONE_BY_ONE)
    acquire_fs_lock: bool = noted(False, "files are read without a lock, while they are written")
    polls_to_archive: int = noted(0, "positions of files that are gone are kept, of the last 10,000")
    header: Annotated[None, refusing("headers are not read; name what they say under attributes or resource")] = None
    ordering_criteria: OrderingCriteria | None = None

    @model_validator(mode="after")
    def _deletes_what_it_read(self) -> "FileSettings":
        if self.delete_after_read and self.start_at == "end":
            raise Misfit("delete_after_read needs start_at: beginning, or it would delete what nobody read")
        return self
