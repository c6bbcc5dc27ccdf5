"""Ordinary `logging`, recorded: a handler that turns each stdlib log record into an OpenTelemetry one.

An `extra={"otel.event.name": "order.paid"}` makes it an event of that name; other extras become attributes.
"""

import functools
import logging
import logging.config
from collections.abc import Callable
from typing import Any, Final

from whence.event import names
from whence.event.kinds import Severity
from whence.record.otel import SeverityNumber, get_logger_provider

_OWN: Final = ("whence", "opentelemetry")
"""Loggers whose lines are about recording itself: recording them could go round in circles."""
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def severity_of(level: int) -> Severity:
    """The OpenTelemetry severity of a stdlib level, by the logs data model's mapping appendix; levels between go down."""
    for least, severity in (
        (logging.CRITICAL, Severity.FATAL),
        (logging.ERROR, Severity.ERROR),
        (logging.WARNING, Severity.WARN),
        (logging.INFO, Severity.INFO),
        (logging.DEBUG, Severity.DEBUG),
    ):
        if level >= least:
            return severity
    return Severity.TRACE


class RecordingHandler(logging.Handler):
    """Sends stdlib log records through the global OpenTelemetry logger provider. Never raises."""

    def emit(self, record: logging.LogRecord) -> None:
        # Python shows a warning that no handler hears on stderr. That ours hears it must not make it vanish there.
        unheard = logging.lastResort
        if unheard is not None and record.levelno >= unheard.level and self._is_alone(record.name):
            unheard.handle(record)
        if record.name.split(".", 1)[0] in _OWN:
            return
        try:
            severity = severity_of(record.levelno)
            attributes = attributes_of(record)
            name = attributes.pop(names.EVENT_NAME_HINT, None)
            get_logger_provider().get_logger(record.name).emit(
                timestamp=int(record.created * 1e9),
                severity_number=SeverityNumber(severity.value),
                severity_text=record.levelname,
                body=record.getMessage(),
                attributes=attributes,
                event_name=name if isinstance(name, str) else None,
                exception=record.exc_info[1] if record.exc_info else None,
            )
        except Exception:  # noqa: BLE001 - logging's own rule: a handler's trouble is shown, not raised
            self.handleError(record)

    def _is_alone(self, name: str) -> bool:
        heard: logging.Logger | None = logging.getLogger(name)
        while heard is not None:
            if any(handler is not self for handler in heard.handlers):
                return False
            heard = heard.parent
        return True


def attach(handler: RecordingHandler) -> None:
    """Record what reaches the root logger, whatever the program does to its logging afterwards.

    `basicConfig` does nothing where the root has a handler, and `dictConfig` and `fileConfig` take it off; so while a
    program configures its logging ours is out of the way, and the program's logging is what it is without whence.
    """
    logging.getLogger().addHandler(handler)
    for module, name in ((logging, "basicConfig"), (logging.config, "dictConfig"), (logging.config, "fileConfig")):
        configures = getattr(module, name)
        if not hasattr(configures, "whence_steps_aside"):
            setattr(module, name, _stepping_aside(configures))


def _stepping_aside(configures: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(configures)
    def configure(*args: Any, **keywords: Any) -> None:
        root = logging.getLogger()
        ours = [handler for handler in root.handlers if isinstance(handler, RecordingHandler)]
        for handler in ours:
            root.removeHandler(handler)
        try:
            configures(*args, **keywords)
        finally:
            for handler in ours:
                root.addHandler(handler)

    configure.whence_steps_aside = True  # type: ignore[attr-defined]
    return configure


def attributes_of(record: logging.LogRecord) -> dict[str, Any]:
    """Where the line was logged, by the `code.*` and `thread.*` conventions, and whatever `extra` gave."""
    attributes: dict[str, Any] = {
        names.CODE_FUNCTION: record.funcName,
        names.CODE_FILE: record.pathname,
        names.CODE_LINE: record.lineno,
    }
    if record.threadName and record.threadName != "MainThread":
        attributes[names.THREAD_NAME] = record.threadName
    attributes.update((key, value) for key, value in vars(record).items() if key not in _STANDARD)
    return attributes
