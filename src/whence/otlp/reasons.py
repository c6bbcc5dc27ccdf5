"""Why a record is not stored though its request is: the phrases that a client is told, and the rules of ids behind them.

The law: a constant phrase for each reason, so that a message stays short whatever was sent.
"""

from collections.abc import Iterable
from typing import Final

DEEP: Final = "nested deeper than the limit allows"
TRACE_ID: Final = "with a traceId that is not 16 bytes (32 hex digits), or missing or all zeros in a span"
SPAN_ID: Final = "with a spanId that is not 8 bytes (16 hex digits), or missing or all zeros in a span"
PARENT_ID: Final = "with a parentSpanId that is not 8 bytes (16 hex digits)"
LINK: Final = "with a link whose traceId or spanId has a wrong length"
EXEMPLAR: Final = "with an exemplar whose traceId or spanId has a wrong length"

_TRACE: Final = 16
_SPAN: Final = 8
_NO_TRACE: Final = bytes(_TRACE)
_NO_SPAN: Final = bytes(_SPAN)

Lengths = tuple[int, int]
"""Bytes of a trace id and of a span id; 0 where there is none."""


def wrong_log(trace_id: int, span_id: int) -> str | None:
    """What is wrong with the ids of a log record, of these lengths; it needs none."""
    if trace_id not in (0, _TRACE):
        return TRACE_ID
    return None if span_id in (0, _SPAN) else SPAN_ID


def wrong_span(trace_id: bytes, span_id: bytes, parent_id: int, links: Iterable[Lengths]) -> str | None:
    """What is wrong with the ids of a span. It needs its own two; its parent's, given by length, and its links' it does not."""
    if len(trace_id) != _TRACE or trace_id == _NO_TRACE:
        return TRACE_ID
    if len(span_id) != _SPAN or span_id == _NO_SPAN:
        return SPAN_ID
    if parent_id not in (0, _SPAN):
        return PARENT_ID
    return LINK if any(wrong_log(*link) for link in links) else None


def wrong_exemplars(exemplars: Iterable[Lengths]) -> str | None:
    """What is wrong with the ids of a data point's exemplars; they need none."""
    return EXEMPLAR if any(wrong_log(*exemplar) for exemplar in exemplars) else None
