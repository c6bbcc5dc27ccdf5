"""The one place that imports OpenTelemetry's logs API and SDK, which still live under underscore paths.

When logs become stable and the paths change, this file changes and nothing else does.
"""

from opentelemetry._logs import Logger, SeverityNumber, get_logger_provider, set_logger_provider
from opentelemetry._logs import LogRecord as ApiLogRecord
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
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
    "get_logger_provider",
    "set_logger_provider",
]
