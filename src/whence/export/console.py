"""The console mirror: each event also as one structured line of ordinary logging, tagged `[events]`."""

import logging
import sys
from typing import Any, Final

import orjson

from whence.event.flat import plain
from whence.event.model import Event

LOGGER: Final = "whence.events"
_SHOWN: Final = ("run", "agent", "turn", "task", "stage", "status", "correlation")


def level_of(severity: int | None) -> int:
    """The stdlib logging level that suits an OpenTelemetry severity number; none given is INFO."""
    if severity is None:
        return logging.INFO
    for least, level in ((21, logging.CRITICAL), (17, logging.ERROR), (13, logging.WARNING), (9, logging.INFO)):
        if severity >= least:
            return level
    return logging.DEBUG


def line_of(event: Event) -> str:
    """`[events] type key=value ... {payload}`: values as JSON, so that nothing in them can break the line."""
    parts = ["[events]", _text(event.type)]
    parts += [f"{name}={_text(getattr(event, name))}" for name in _SHOWN if getattr(event, name) is not None]
    if event.description:
        parts.append(_text(event.description))
    if event.payload:
        parts.append(_text(plain(event.payload)))
    return " ".join(parts)


def _text(value: Any) -> str:
    if (
        isinstance(value, str)
        and value.isascii()
        and value.replace(".", "").replace("_", "").replace("-", "").isalnum()
    ):
        return value
    try:
        text = orjson.dumps(value, default=str).decode()
    except (TypeError, ValueError):
        text = repr(value)
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def mirror(event: Event) -> None:
    """A bus handler that logs the event to the `whence.events` logger."""
    logging.getLogger(LOGGER).log(level_of(event.severity), "%s", line_of(event))


def prepare() -> None:
    """Give the mirror's logger a handler on stderr unless the application has given it one.

    It does not propagate: a root handler that records logging into the archive would record every event twice.
    """
    log = logging.getLogger(LOGGER)
    log.propagate = False
    if not log.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
    if log.level == logging.NOTSET:
        log.setLevel(logging.DEBUG)
