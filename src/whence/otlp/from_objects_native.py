"""The native core in the place of the pure one for the SDK's objects: the same lines, the same bytes, the same failures.

The law: only objects of the very types that are usual are read natively; each other record is written by the pure core.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.trace import TraceFlags, TraceState

from whence.event import names
from whence.native import CORE
from whence.otlp.from_objects import LOG_WAY, SPAN_WAY, Way, failure, record_bytes
from whence.otlp.limits import DEFAULT, Limits
from whence.otlp.page import Encoded, Line, resource_ends, scope_ends
from whence.otlp.shapes import LogLike, SpanLike


def _encoder(way: Way) -> Any:
    if CORE.module is None:
        return None
    return CORE.module.Encoder(
        way.shape.resources,
        text=partial(record_bytes, way),
        resource=_ends(partial(resource_ends, shape=way.shape)),
        scope=_ends(partial(scope_ends, shape=way.shape)),
        attributes=BoundedAttributes,
        flags=TraceFlags,
        state=TraceState,
        proxy=MappingProxyType,
        choice=Enum,
        projection=names.PROJECTION,
    )


def _ends(of: Callable[[Any], Any]) -> Callable[[Any], tuple[bytes, bytes]]:
    return lambda part: of(part)[1:]


_logs: Final = _encoder(LOG_WAY)
_spans: Final = _encoder(SPAN_WAY)


def encode_logs(records: Sequence[LogLike], limits: Limits = DEFAULT) -> Encoded:
    """As `from_objects.encode_logs`."""
    return _encoded(*_logs.lines(records, limits.line_bytes, limits.records_per_line, limits.depth))


def encode_spans(spans: Sequence[SpanLike], limits: Limits = DEFAULT) -> Encoded:
    """As `from_objects.encode_spans`."""
    return _encoded(*_spans.lines(spans, limits.line_bytes, limits.records_per_line, limits.depth))


def _encoded(lines: list[tuple[bytes, int, int, int]], failed: int, last: tuple[Any, BaseException] | None) -> Encoded:
    return Encoded([Line(*line) for line in lines], failed, None if last is None else failure(*last))
