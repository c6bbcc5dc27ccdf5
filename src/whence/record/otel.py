"""The one place that imports OpenTelemetry's logs API and SDK, which still live under underscore paths.

When logs become stable and the paths change, this file changes and nothing else does.
"""

from opentelemetry._logs import Logger, SeverityNumber, get_logger_provider, set_logger_provider
from opentelemetry._logs import LogRecord as ApiLogRecord
from opentelemetry.sdk._logs import Logger as SdkLogger
from opentelemetry.sdk._logs import (
    LoggerProvider,
    LogRecordLimits,
    LogRecordProcessor,
    ReadableLogRecord,
    ReadWriteLogRecord,
)
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult

__all__ = [
    "ApiLogRecord",
    "BatchLogRecordProcessor",
    "LogRecordExportResult",
    "LogRecordExporter",
    "LogRecordProcessor",
    "Logger",
    "LoggerProvider",
    "ReadWriteLogRecord",
    "ReadableLogRecord",
    "SeverityNumber",
    "emit_plain",
    "get_logger_provider",
    "set_logger_provider",
]

_LIMITS = LogRecordLimits()


class _PlainLogRecord(ReadWriteLogRecord):
    """A record on its way through the SDK with its attributes as they are, neither copied nor limited."""

    dropped_attributes = 0  # the SDK's own looks at the attributes' type, which costs more than a call

    def __init__(self, record: ApiLogRecord, logger: SdkLogger) -> None:
        self.log_record = record
        self.resource = logger.resource
        self.instrumentation_scope = logger.instrumentation_scope
        self.limits = _LIMITS


def emit_plain(logger: Logger, record: ApiLogRecord) -> None:
    """Emit a record whose attributes are a plain copy already: the SDK's own copy is most of what an emit costs."""
    if isinstance(logger, SdkLogger):
        logger.emit(_PlainLogRecord(record, logger))  # type: ignore[arg-type]  # it takes its own records as they are
    else:
        logger.emit(record)
