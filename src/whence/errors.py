"""Every error whence raises: one family, each saying whose fault it is and whether trying again can help.

The law: the recorder never raises these into a running application from `emit` for trouble of its own (disk, queue);
they are for wrong use, for reading, and for set-up.
"""

from typing import ClassVar, Literal

Fault = Literal["caller", "machine", "data"]


class WhenceError(Exception):
    """The base of the family.

    `fault`: `caller` (wrong use: change the call), `machine` (disk, permission, network: change the surroundings),
    `data` (a file or message that is not what it should be).
    `retryable`: whether the same call can succeed later with nothing changed by the caller.
    """

    fault: ClassVar[Fault] = "caller"
    retryable: ClassVar[bool] = False


class ConfigError(WhenceError):
    """A setting is unknown, of the wrong type, or contradicts another; the message names the key."""


class EventError(WhenceError):
    """An event does not fit its model, or is used in a way events do not allow; the message names the field."""


class ConflictError(EventError):
    """An append expected another sequence number: somebody else appended first. Read again and decide anew."""


class StorageError(WhenceError):
    """The archive cannot be written or read: the message gives the path, the cause and what to do."""

    fault: ClassVar[Fault] = "machine"
    retryable: ClassVar[bool] = True


class DataError(WhenceError):
    """Bytes that are not what they should be: not OTLP JSON, not a seal, not a known version; the message gives the place."""

    fault: ClassVar[Fault] = "data"


class FilterError(WhenceError):
    """A filter expression that cannot be understood; the message shows the place and what was expected."""


class StreamError(WhenceError):
    """A live stream could not keep its promise to a subscriber."""

    fault: ClassVar[Fault] = "machine"
    retryable: ClassVar[bool] = True


class AnalysisError(WhenceError):
    """An analysis cannot be made of these events."""


class NotFoundError(WhenceError):
    """No archive, run or event of that name; the message says where was looked."""
