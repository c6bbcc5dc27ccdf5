"""The collector's own log: lines for people or JSON, as `service.telemetry.logs` says.

The law: one line an entry, whatever is in it; nothing of what flows through the collector is logged by itself.
"""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from whence.collect.config.model import LogSettings
from whence.errors import ConfigError

LOGGER: Final = "whence"
_PREFIX: Final = "whence.collect"
_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_NAMES: Final = {"WARNING": "warn", "CRITICAL": "error"}


class Lines(logging.Formatter):
    """`2026-01-02T03:04:05.678Z  info  otlp_http  text  {"process": 1}`."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__()
        self._fields = "  " + json.dumps(dict(fields), ensure_ascii=False) if fields else ""

    def format(self, record: logging.LogRecord) -> str:
        """One line; the traceback, at level debug, behind it in the same line."""
        said = _one_line(record.getMessage())
        who = record.name.removeprefix(_PREFIX).lstrip(".") or "collector"
        return f"{_time(record)}  {_level(record)}  {who}  {said}{_trace(self, record)}{self._fields}"


class JsonLines(logging.Formatter):
    """One JSON object a line, with the Collector's keys."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__()
        self._fields = dict(fields)

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        found: dict[str, Any] = {
            "level": _level(record),
            "ts": _time(record),
            "msg": record.getMessage(),
            "otelcol.component.id": record.name.removeprefix(_PREFIX).lstrip(".") or "collector",
        }
        if record.exc_info and logging.getLogger(LOGGER).isEnabledFor(logging.DEBUG):
            found["stacktrace"] = self.formatException(record.exc_info)
        return json.dumps(found | self._fields, ensure_ascii=False)


def set_up_log(settings: LogSettings, fields: Mapping[str, str]) -> None:
    """Log as these settings say, from now on. `fields` stand in each entry. Raises ConfigError for a file that cannot be had."""
    fields = {**settings.initial_fields, **fields}
    formatter = JsonLines(fields) if settings.encoding == "json" else Lines(fields)
    handlers = [_handler(path) for path in dict.fromkeys(settings.output_paths)]
    logger = logging.getLogger(LOGGER)
    for old in logger.handlers[:]:
        logger.removeHandler(old)
        old.close()
    for handler in handlers:
        handler.setFormatter(formatter)
        logger.addHandler(handler)
    logger.setLevel(_LEVELS[settings.level.lower()])
    logger.propagate = False


def _handler(path: str) -> logging.Handler:
    if path in ("stderr", "stdout"):
        return logging.StreamHandler(getattr(sys, path))
    try:
        return logging.FileHandler(Path(path.removeprefix("file://")), encoding="utf-8", errors="backslashreplace")
    except OSError as cause:
        raise ConfigError(
            f"cannot log to {path}: {cause.strerror}; choose another of service.telemetry.logs.output_paths"
        ) from None


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _level(record: logging.LogRecord) -> str:
    return _NAMES.get(record.levelname, record.levelname.lower())


def _one_line(text: str) -> str:
    return text.replace("\n", "\\n").replace("\r", "\\r")


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    if not record.exc_info or not logging.getLogger(LOGGER).isEnabledFor(logging.DEBUG):
        return ""
    return "  " + _one_line(formatter.formatException(record.exc_info))
