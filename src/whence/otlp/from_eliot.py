"""eliot's lines as log records with causes: an action's start causes everything inside it, its end, and the actions below.

The law: pure. A line's id is its task and its place in the tree, so causes need no other line to be known, and a line that is
taken twice is the same event. Source: eliot's log format (`task_uuid`, `task_level`, `action_type`, `action_status`,
`message_type`, `timestamp`), as version 1.18 writes it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from whence.errors import DataError
from whence.event import names
from whence.event.kinds import Severity
from whence.otlp.foreign import Foreign, level_of, text_of, time_of

_STARTED: Final = "started"
_FAILED: Final = "failed"
_TRACEBACK: Final = "eliot:traceback"


def is_eliot(fields: Mapping[str, Any]) -> bool:
    """Whether a line is eliot's: a task and a place in its tree."""
    return isinstance(fields.get("task_uuid"), str) and isinstance(fields.get("task_level"), list)


def from_eliot(fields: Mapping[str, Any]) -> Foreign:
    """The record of a line. Raises DataError where it has no place in a task, or no time."""
    rest = dict(fields)
    task, level = rest.pop("task_uuid", None), rest.pop("task_level", None)
    if not isinstance(task, str) or not task or not _is_level(level):
        raise DataError("cannot take a line of eliot without task_uuid and task_level")
    if "timestamp" not in rest:
        raise DataError("cannot take a line of eliot without a timestamp")
    at = time_of(rest.pop("timestamp"))
    action, status = text_of(rest.pop("action_type", None)), text_of(rest.pop("action_status", None))
    message = text_of(rest.pop("message_type", None))
    kind = f"{action}.{status}" if action and status else action or message
    severity, said = level_of(rest.pop("log_level", None))
    failed = status == _FAILED or message == _TRACEBACK
    cause = _cause(level, starts=status == _STARTED)
    text = text_of(rest.get("reason")) if failed else text_of(rest.pop("message", None))
    return Foreign(
        time=at,
        type=kind,
        severity=Severity.ERROR if failed else severity or Severity.INFO,
        severity_text=said,
        text=text,
        scope=text_of(rest.pop("logger", None)) or "eliot",
        attributes={
            names.ID: _id(task, level),
            names.TASK: task,
            names.STATUS: status,
            names.CAUSED_BY: [_id(task, cause)] if cause else None,
            **(_exception(rest) if failed else {}),
        },
        payload=rest,
    )


def _is_level(level: Any) -> bool:
    return isinstance(level, list) and bool(level) and all(isinstance(n, int) and n > 0 for n in level)


def _id(task: str, level: Sequence[int]) -> str:
    """As eliot writes a place in a task: `<uuid>@/3/1`."""
    return f"eliot:{task}@/" + "/".join(map(str, level))


def _cause(level: Sequence[int], *, starts: bool) -> list[int]:
    """Where the start of the action is that this line is in; of a start, the one around it. Empty at a task's top."""
    around = level[:-2] if starts else level[:-1]
    found = [*around, 1]
    return found if (len(level) > 1 or not starts) and found != list(level) else []


def _exception(rest: dict[str, Any]) -> dict[str, Any]:
    return {
        names.EXCEPTION_TYPE: text_of(rest.pop("exception", None)),
        names.EXCEPTION_MESSAGE: text_of(rest.pop("reason", None)),
        names.EXCEPTION_STACKTRACE: text_of(rest.pop("traceback", None)),
    }
