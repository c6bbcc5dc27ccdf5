"""OpenTelemetry SDK objects to lines of the archive: logs and spans here, metrics in `otlp/metrics.py`.

The law: never raises. A record that cannot be written is counted and costs no other; whichever core stands behind this front
gives the same lines.
"""

from collections.abc import Sequence
from typing import Final

from whence.native import CORE
from whence.otlp import from_objects, from_objects_native
from whence.otlp.limits import DEFAULT, Limits
from whence.otlp.page import Encoded
from whence.otlp.shapes import LogLike, SpanLike

# Which core stands behind the front is chosen here and nowhere else.
_NATIVE: Final = CORE.module is not None
_encode_logs: Final = from_objects_native.encode_logs if _NATIVE else from_objects.encode_logs
_encode_spans: Final = from_objects_native.encode_spans if _NATIVE else from_objects.encode_spans


def encode_logs(records: Sequence[LogLike], limits: Limits = DEFAULT) -> Encoded:
    """Lines of log records: the SDK's ReadableLogRecord or ReadWriteLogRecord objects, in their order."""
    return _encode_logs(records, limits)


def encode_spans(spans: Sequence[SpanLike], limits: Limits = DEFAULT) -> Encoded:
    """Lines of ended spans: the SDK's ReadableSpan objects. Their events that only project a log event are left out."""
    return _encode_spans(spans, limits)
