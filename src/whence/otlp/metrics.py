"""OpenTelemetry SDK metrics to lines of the archive (metrics.proto; JSON mapping of the OTLP specification).

A metric with many data points is written as several of the same name, as OTLP allows, so that no line grows without bound.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import orjson

from whence.event import names
from whence.otlp.limits import DEFAULT, Limits
from whence.otlp.page import METRICS, Encoded, Page
from whence.otlp.shapes import MetricsDataLike
from whence.otlp.value import INT_MAX, INT_MIN, as_text, double, faithful_items, faithful_text, pairs

Point = dict[str, Any]


def encode_metrics(data: MetricsDataLike, limits: Limits = DEFAULT) -> Encoded:
    """Lines of one collection: the SDK's MetricsData, with gauges, sums, histograms, exponential histograms, exemplars.

    Never raises; a data point that cannot be written costs nothing but itself.
    """
    page = Page(METRICS, limits)
    failures: list[str] = []
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                try:
                    for written, times in _parts(metric, limits, failures):
                        page.add(resource.resource, scope.scope, written, (min(times), max(times)), len(times))
                except Exception as fault:  # noqa: BLE001 - one metric's trouble is not the collection's
                    failures.append(f"cannot encode a metric: {as_text(fault) or type(fault).__name__}")
    return Encoded(page.finish(), len(failures), failures[-1] if failures else None)


def _parts(metric: Any, limits: Limits, failures: list[str]) -> Iterator[tuple[bytes, list[int]]]:
    """A metric in pieces that a line holds: the JSON of each, and its points' times."""
    kind = type(metric.data).__name__
    field, write = _KINDS[kind]
    points: list[bytes] = []
    times: list[int] = []
    size = 0
    for point in metric.data.data_points:
        try:
            data = orjson.dumps(write(point, limits.depth))
        except Exception as fault:  # noqa: BLE001 - one point's trouble is not the metric's
            failures.append(f"cannot encode a point of the metric {metric.name!r}: {as_text(fault)}")
            continue
        if points and (len(points) >= limits.records_per_line or size + len(data) > limits.line_bytes // 2):
            yield _join(metric, kind, field, points), times
            points, times, size = [], [], 0
        points.append(data)
        times.append(point.time_unix_nano or 0)
        size += len(data)
    if points:
        yield _join(metric, kind, field, points), times


def _join(metric: Any, kind: str, field: str, points: list[bytes]) -> bytes:
    said: dict[str, Any] = {"name": _text(metric.name)}
    said |= {name: _text(text) for name in ("description", "unit") if (text := getattr(metric, name))}
    how: dict[str, Any] = {}
    if kind != "Gauge":
        how["aggregationTemporality"] = int(metric.data.aggregation_temporality)
    if kind == "Sum":
        how["isMonotonic"] = bool(metric.data.is_monotonic)
    more = b",".join([b'"%b":%b' % (name.encode(), orjson.dumps(value)) for name, value in how.items()])
    inner = b'{"dataPoints":[%b]%b}' % (b",".join(points), b"," + more if more else b"")
    return b'%b,"%b":%b}' % (orjson.dumps(said)[:-1], field.encode(), inner)


def _text(text: Any) -> str:
    return faithful_text(as_text(text))[0]


# --- points ---------------------------------------------------------------------------------------------------------------


def _point(point: Any, depth: int) -> Point:
    written: Point = {"timeUnixNano": str(point.time_unix_nano or 0)}
    if point.start_time_unix_nano:
        written["startTimeUnixNano"] = str(point.start_time_unix_nano)
    if point.attributes:
        written["attributes"] = _pairs(point.attributes, depth)
    if point.exemplars:
        written["exemplars"] = [_exemplar(exemplar, depth) for exemplar in point.exemplars]
    return written


def _number(point: Any, depth: int) -> Point:
    return _point(point, depth) | _value(point.value)


def _histogram(point: Any, depth: int) -> Point:
    return _point(point, depth) | {
        "count": str(point.count),
        "sum": double(float(point.sum)),
        "bucketCounts": [str(count) for count in point.bucket_counts],
        "explicitBounds": [double(float(bound)) for bound in point.explicit_bounds],
        **_extremes(point),
    }


def _exponential(point: Any, depth: int) -> Point:
    written = _point(point, depth) | {
        "count": str(point.count),
        "sum": double(float(point.sum)),
        "scale": point.scale,
        "zeroCount": str(point.zero_count),
        **_extremes(point),
    }
    for name in ("positive", "negative"):
        buckets = getattr(point, name)
        if buckets.bucket_counts:
            counts = [str(count) for count in buckets.bucket_counts]
            written[name] = {"offset": buckets.offset, "bucketCounts": counts}
    if point.flags:
        written["flags"] = int(point.flags)
    return written


def _extremes(point: Any) -> Point:
    """The least and greatest value; a histogram that does not keep them has infinities there."""
    found = {"min": double(float(point.min)), "max": double(float(point.max))}
    return {name: value for name, value in found.items() if not isinstance(value, str)}


def _exemplar(exemplar: Any, depth: int) -> Point:
    written: Point = {"timeUnixNano": str(exemplar.time_unix_nano or 0), **_value(exemplar.value)}
    if exemplar.filtered_attributes:
        written["filteredAttributes"] = _pairs(exemplar.filtered_attributes, depth)
    if exemplar.span_id:
        written["spanId"] = f"{exemplar.span_id:016x}"
    if exemplar.trace_id:
        written["traceId"] = f"{exemplar.trace_id:032x}"
    return written


def _value(value: Any) -> Point:
    """A measurement: a whole number of 64 bits as such, any other number as a double."""
    if isinstance(value, int) and INT_MIN <= value <= INT_MAX:
        return {"asInt": str(int(value))}
    return {"asDouble": double(float(value))}


def _pairs(values: Mapping[Any, Any], depth: int) -> list[dict[str, Any]]:
    items, lossy = faithful_items(values, depth)
    return pairs({**items, names.LOSSY: lossy} if lossy else items)


_KINDS: Final[dict[str, tuple[str, Callable[[Any, int], Point]]]] = {
    "Gauge": ("gauge", _number),
    "Sum": ("sum", _number),
    "Histogram": ("histogram", _histogram),
    "ExponentialHistogram": ("exponentialHistogram", _exponential),
}
"""How each kind of metric data is called in OTLP, and how one of its points is written. The SDK's classes by name: the
pure floor does not import the SDK."""
