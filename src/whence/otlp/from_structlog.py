"""structlog's JSON lines as log records: one a line, its keys as the payload.

The law: pure. Source: structlog's processors (`JSONRenderer`, `add_log_level`, `TimeStamper`, `add_logger_name`,
`format_exc_info`, `dict_tracebacks`, `CallsiteParameterAdder`), as version 26 writes them.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from whence.errors import DataError
from whence.event import names
from whence.otlp.foreign import Foreign, level_of, text_of, time_of

_EVENT: Final = ("event", "message", "msg")
_TIME: Final = ("timestamp", "ts", "time", "@timestamp")
_LEVEL: Final = ("level", "log_level", "severity")
_NAME: Final = re.compile(r"[A-Za-z_][\w.:/-]{0,79}")
"""An event that is a name and no sentence is the type as well."""
_FIELDS: Final = {
    "correlation_id": names.CORRELATION,
    "request_id": names.CORRELATION,
    "func_name": names.CODE_FUNCTION,
    "pathname": names.CODE_FILE,
    "lineno": names.CODE_LINE,
    "thread_name": names.THREAD_NAME,
}
_TRACE: Final = re.compile(r"[0-9a-f]{32}")
_SPAN: Final = re.compile(r"[0-9a-f]{16}")


def is_structlog(fields: Mapping[str, Any]) -> bool:
    """Whether a line looks like structlog's: an event as text, and a time."""
    return isinstance(fields.get("event"), str) and any(key in fields for key in _TIME)


def from_structlog(fields: Mapping[str, Any]) -> Foreign:
    """The record of a line. Raises DataError where it has no event or no time."""
    rest = dict(fields)
    event = _take(rest, _EVENT)
    if event is None:
        raise DataError("cannot take a line of structlog without an event")
    at = _take(rest, _TIME)
    if at is None:
        raise DataError("cannot take a line of structlog without a time: add structlog.processors.TimeStamper")
    text = event if isinstance(event, str) else None
    severity, said = level_of(_take(rest, _LEVEL))
    attributes = dict(_exception(rest))
    for key, name in _FIELDS.items():
        if isinstance(rest.get(key), (str, int)) and name not in attributes:
            attributes[name] = str(rest.pop(key)) if name == names.CORRELATION else rest.pop(key)
    trace, span = text_of(rest.get("trace_id")), text_of(rest.get("span_id"))
    if trace and span and _TRACE.fullmatch(trace) and _SPAN.fullmatch(span):
        del rest["trace_id"], rest["span_id"]
    else:
        trace = span = None
    return Foreign(
        time=time_of(at),
        type=text if text and _NAME.fullmatch(text) else None,
        severity=severity,
        severity_text=said,
        text=text,
        scope=text_of(_take(rest, ("logger", "logger_name"))),
        service=text_of(_take(rest, ("service", names.SERVICE_NAME))),
        trace_id=trace,
        span_id=span,
        attributes=attributes,
        payload=rest if text is not None else {"event": event, **rest},
    )


def _take(rest: dict[str, Any], keys: tuple[str, ...]) -> Any:
    """The value of the first of these keys that is there, taken out."""
    found = next((key for key in keys if rest.get(key) is not None), None)
    return rest.pop(found) if found else None


def _exception(rest: dict[str, Any]) -> Mapping[str, Any]:
    """An exception as OpenTelemetry has it: of a traceback as text, or of one as a list of dictionaries, which stays too."""
    found = rest.get("exception")
    if isinstance(found, str) and found.strip():
        del rest["exception"]
        kind, _, message = found.rstrip().rpartition("\n")[2].partition(": ")
        return {names.EXCEPTION_TYPE: kind, names.EXCEPTION_MESSAGE: message, names.EXCEPTION_STACKTRACE: found}
    if isinstance(found, list) and found and isinstance(found[0], dict):
        first = found[0]
        return {
            names.EXCEPTION_TYPE: text_of(first.get("exc_type")),
            names.EXCEPTION_MESSAGE: text_of(first.get("exc_value")),
        }
    return {}
