"""OTLP requests in protobuf to lines of the archive, to trees, and to a count (Export*ServiceRequest; opentelemetry-proto 1.11).

The law: one record's trouble costs nothing but itself. What is no such message at all is refused whole, as protobuf does.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

import orjson
from google.protobuf.message import DecodeError

from whence.errors import DataError
from whence.otlp import reasons
from whence.otlp.crowd import check_protobuf
from whence.otlp.limits import DEFAULT, Limits
from whence.otlp.message_text import FUNCTIONS, TooDeepError
from whence.otlp.page import LOGS, METRICS, TRACES, Shape
from whence.otlp.schema import LEAN, LEVELS, MESSAGES, OFFICIAL, Field, Signal, field_of
from whence.otlp.sheet import Lines, Sheet, ends

_ANY_DEPTH: Final = 1 << 20

Around = Callable[[Any, int], tuple[str, str]]
Text = Callable[[Any, int], str]


def lines_of_protobuf(signal: Signal, data: bytes, limits: Limits = DEFAULT) -> Lines:
    """The lines of a request, in its order. Raises DataError for bytes that are no such request.

    Rejected is a record whose ids have a wrong length, a span without ids, and what is nested deeper than `limits.depth`.
    """
    side = _SIDES[signal]
    sheet = Sheet(side.shape, limits)
    for group in getattr(_lean(signal, data), side.resources):
        parts = getattr(group, side.scopes)
        try:
            sheet.resource(ends(side.around_scopes(group, limits.depth)))
        except TooDeepError:
            sheet.reject(reasons.DEEP, sum(side.count(getattr(part, side.records)) for part in parts))
            continue
        for part in parts:
            records = getattr(part, side.records)
            try:
                sheet.scope(ends(side.around_records(part, limits.depth)))
            except TooDeepError:
                sheet.reject(reasons.DEEP, side.count(records))
                continue
            side.put(sheet, records, limits)
    if sheet.has_rejected(reasons.DEEP):
        _official(signal, data)  # protobuf itself ends at 100 levels: what goes beyond is refused, not rejected
    return sheet.finish()


def tree_of_protobuf(signal: Signal, data: bytes) -> dict[str, Any]:
    """The whole request as canonical OTLP JSON, nothing rejected. Raises DataError as `lines_of_protobuf`."""
    message = _lean(signal, data)
    write = _SIDES[signal].whole
    try:
        text = write(message, DEFAULT.depth)
    except TooDeepError:
        _official(signal, data)
        text = write(message, _ANY_DEPTH)
    tree: dict[str, Any] = orjson.loads(text)
    return tree


def count_of_protobuf(signal: Signal, data: bytes) -> int:
    """How many log records, spans or data points a request holds. Raises DataError as `lines_of_protobuf`, sees less."""
    side = _SIDES[signal]
    return sum(
        side.count(getattr(part, side.records))
        for group in getattr(_lean(signal, data), side.resources)
        for part in getattr(group, side.scopes)
    )


def _lean(signal: Signal, data: bytes) -> Any:
    check_protobuf(signal, data)
    return _parse(LEAN[signal], signal, data)


def _official(signal: Signal, data: bytes) -> Any:
    return _parse(OFFICIAL[signal], signal, data)


def _parse(message: Any, signal: Signal, data: bytes) -> Any:
    try:
        return message.FromString(data)
    except DecodeError as cause:
        raise DataError(
            f"cannot read {len(data)} bytes as OTLP {signal} in protobuf: {cause}; send an Export*ServiceRequest"
        ) from None


# --- records --------------------------------------------------------------------------------------------------------------

_LOG: Final[Text] = FUNCTIONS[LEVELS["logs"].record.name]
_SPAN: Final[Text] = FUNCTIONS[LEVELS["traces"].record.name]
_METRIC: Final = LEVELS["metrics"].record


def _put_logs(sheet: Sheet, records: Iterable[Any], limits: Limits) -> None:
    depth = limits.depth
    data, times = [], []
    for record in records:
        try:
            text = _LOG(record, depth).encode()
        except TooDeepError:
            sheet.reject(reasons.DEEP)
            continue
        if wrong := reasons.wrong_log(len(record.trace_id), len(record.span_id)):
            sheet.reject(wrong)
            continue
        data.append(text)
        times.append(record.time_unix_nano or record.observed_time_unix_nano)
    sheet.add_all(data, times)


def _put_spans(sheet: Sheet, spans: Iterable[Any], limits: Limits) -> None:
    depth = limits.depth
    data, times = [], []
    for span in spans:
        try:
            text = _SPAN(span, depth).encode()
        except TooDeepError:
            sheet.reject(reasons.DEEP)
            continue
        links = [(len(link.trace_id), len(link.span_id)) for link in span.links]
        if wrong := reasons.wrong_span(span.trace_id, span.span_id, len(span.parent_span_id), links):
            sheet.reject(wrong)
            continue
        data.append(text)
        times.append(span.start_time_unix_nano)
    sheet.add_all(data, times)


class MetricKind(NamedTuple):
    """How one kind of metric data is written: what is around it in its metric, around its points in it, and a point."""

    around_data: Around
    around_points: Around
    point: Text


def _metric_kind(field: Field) -> MetricKind:
    data = MESSAGES[field.of]
    points = next(inner for inner in data.fields if inner.name == "data_points")
    return MetricKind(
        FUNCTIONS[f"{_METRIC.name}_around_{field.name}"],
        FUNCTIONS[f"{data.name}_around_{points.name}"],
        FUNCTIONS[points.of],
    )


_METRIC_KINDS: Final = {field.name: _metric_kind(field) for field in _METRIC.fields if field.oneof}


def _put_metrics(sheet: Sheet, metrics: Iterable[Any], limits: Limits) -> None:
    for metric in metrics:
        name = metric.WhichOneof("data")
        kind = _METRIC_KINDS.get(name)
        if kind is None:
            FUNCTIONS[_METRIC.name](metric, _ANY_DEPTH)  # nothing to store; what it has must be readable all the same
            continue
        data = getattr(metric, name)
        try:
            head, tail = kind.around_data(metric, limits.depth)
        except TooDeepError:
            sheet.reject(reasons.DEEP, len(data.data_points))
            continue
        inner_head, inner_tail = kind.around_points(data, limits.depth)
        points = _points(sheet, kind.point, data.data_points, limits)
        sheet.add_points(ends((head + inner_head, inner_tail + tail)), points)


def _points(sheet: Sheet, write: Text, points: Iterable[Any], limits: Limits) -> Iterator[tuple[bytes, int]]:
    """The JSON of each point and its time."""
    for point in points:
        try:
            data = write(point, limits.depth).encode()
        except TooDeepError:
            sheet.reject(reasons.DEEP)
            continue
        exemplars = getattr(point, "exemplars", ())
        if wrong := reasons.wrong_exemplars((len(each.trace_id), len(each.span_id)) for each in exemplars):
            sheet.reject(wrong)
            continue
        yield data, point.time_unix_nano


def _points_in(metrics: Iterable[Any]) -> int:
    return sum(len(getattr(metric, kind).data_points) for metric in metrics if (kind := metric.WhichOneof("data")))


class Side(NamedTuple):
    """What one signal calls its levels, and what writes them."""

    shape: Shape
    resources: str
    scopes: str
    records: str
    whole: Text
    around_scopes: Around
    around_records: Around
    count: Callable[[Any], int]
    put: Callable[[Sheet, Iterable[Any], Limits], None]


def _side(
    signal: Signal, shape: Shape, count: Callable[[Any], int], put: Callable[[Sheet, Iterable[Any], Limits], None]
) -> Side:
    levels = LEVELS[signal]
    scopes, records = field_of(levels.resource, levels.scope), field_of(levels.scope, levels.record)
    return Side(
        shape,
        field_of(levels.data, levels.resource).name,
        scopes.name,
        records.name,
        FUNCTIONS[levels.data.name],
        FUNCTIONS[f"{levels.resource.name}_around_{scopes.name}"],
        FUNCTIONS[f"{levels.scope.name}_around_{records.name}"],
        count,
        put,
    )


_SIDES: Final[dict[Signal, Side]] = {
    "logs": _side("logs", LOGS, len, _put_logs),
    "traces": _side("traces", TRACES, len, _put_spans),
    "metrics": _side("metrics", METRICS, _points_in, _put_metrics),
}
