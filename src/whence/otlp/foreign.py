"""Lines of other tools' JSON logs as OTLP log records: what is common to all of them, and the form of their records.

The law: pure, and the same line always gives the same record. What a record has no field for goes to its payload, whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from whence.errors import DataError
from whence.event import names
from whence.event.flat import parse_time
from whence.event.kinds import Severity
from whence.otlp.value import any_value

_LEVELS: Final = {
    "trace": Severity.TRACE,
    "debug": Severity.DEBUG,
    "info": Severity.INFO,
    "notice": Severity.INFO2,
    "warn": Severity.WARN,
    "warning": Severity.WARN,
    "error": Severity.ERROR,
    "exception": Severity.ERROR,
    "critical": Severity.FATAL,
    "fatal": Severity.FATAL,
}
_UNITS: Final = ((1e17, 1), (1e14, 1_000), (1e11, 1_000_000))
"""A number of at least so much counts units of so many nanoseconds; a smaller one seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """One line of another tool: `time` in ns since the epoch; `attributes` by whence's and OpenTelemetry's names."""

    time: int
    type: str | None = None
    severity: Severity | None = None
    severity_text: str | None = None
    text: str | None = None
    scope: str | None = None
    """Whose line it is: the logger's name."""
    service: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    payload: Mapping[str, Any] = field(default_factory=dict)


def otlp_of(foreign: Foreign, file: str) -> dict[str, Any]:
    """The line as a LogsData object. `file`: the name of the service where the line does not say it."""
    attributes = {**foreign.attributes, **({names.PAYLOAD: foreign.payload} if foreign.payload else {})}
    record = {
        "timeUnixNano": str(foreign.time),
        "observedTimeUnixNano": str(foreign.time),
        **({"severityNumber": foreign.severity.value} if foreign.severity else {}),
        **({"severityText": foreign.severity_text} if foreign.severity_text else {}),
        **({"eventName": foreign.type} if foreign.type else {}),
        **({"body": any_value(foreign.text)} if foreign.text is not None else {}),
        "attributes": [
            {"key": key, "value": any_value(value)} for key, value in attributes.items() if value is not None
        ],
        **({"traceId": foreign.trace_id, "spanId": foreign.span_id} if foreign.trace_id and foreign.span_id else {}),
    }
    resource = {"attributes": [{"key": names.SERVICE_NAME, "value": any_value(foreign.service or file)}]}
    scope = {"name": foreign.scope} if foreign.scope else {}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": scope, "logRecords": [record]}]}]}


def time_of(value: Any) -> int:
    """Nanoseconds since the epoch of a time as loggers write it: ISO 8601 text, or a number of seconds, ms, us or ns.

    Raises DataError for anything else.
    """
    if isinstance(value, str):
        return parse_time(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1 << 64:
        raise DataError(f"cannot read the time {value!r}: expected ISO 8601, or a number since 1970")
    unit = next((unit for least, unit in _UNITS if value >= least), 10**9)
    if isinstance(value, int):
        return value * unit
    whole = int(value)  # apart, so that as much of the fraction as floating point has is right: microseconds
    return whole * unit + round((value - whole) * (unit // 1_000)) * 1_000


def level_of(value: Any) -> tuple[Severity | None, str | None]:
    """The severity, and its text, of a level by name."""
    if not isinstance(value, str) or not value:
        return None, None
    return _LEVELS.get(value.lower()), value


def text_of(value: Any) -> str | None:
    """A text that is one and not empty."""
    return value if isinstance(value, str) and value else None
