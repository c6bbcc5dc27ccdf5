"""OpenTelemetry SDK metrics to lines of the archive."""

from collections.abc import Callable
from typing import Any, Final

import orjson

from whence.otlp.encode import METRICS, Encoded, Page
from whence.otlp.limits import DEFAULT, Limits
from whence.otlp.value import any_value, careful_attributes, careful_text


def encode_metrics(data: Any, limits: Limits = DEFAULT) -> Encoded:
    """Lines of one collection: the SDK's MetricsData, with gauges, sums, histograms, exponential histograms, exemplars."""
    page = Page(METRICS, limits)
    failed, error = 0, None
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                try:
                    written, times = _metric(metric, limits.depth)
                    for time in times[:1]:
                        page.add(
                            resource.resource, scope.scope, orjson.dumps(written), max(times, default=time), len(times)
                        )
                except Exception as fault:  # noqa: BLE001 - one metric's trouble is not the collection's
                    failed, error = failed + 1, f"cannot encode the metric {metric.name!r}: {fault!r}"
    return Encoded(page.finish(), failed, error)


def _metric(metric: Any, depth: int) -> tuple[dict[str, Any], list[int]]:
    kind = type(metric.data).__name__
    write = _KINDS[kind][1]
    points = [write(point, depth) for point in metric.data.data_points]
    data: dict[str, Any] = {"dataPoints": points}
    if kind != "Gauge":
        data["aggregationTemporality"] = metric.data.aggregation_temporality.value
    if kind == "Sum":
        data["isMonotonic"] = metric.data.is_monotonic
    written = {
        "name": careful_text(metric.name)[0],
        "description": careful_text(metric.description or "")[0],
        "unit": careful_text(metric.unit or "")[0],
        _KINDS[kind][0]: data,
    }
    return written, [point.time_unix_nano for point in metric.data.data_points]


def _point(point: Any, depth: int) -> dict[str, Any]:
    written: dict[str, Any] = {"timeUnixNano": str(point.time_unix_nano)}
    if point.start_time_unix_nano:
        written["startTimeUnixNano"] = str(point.start_time_unix_nano)
    pairs, _ = careful_attributes(point.attributes or {}, depth)
    if pairs:
        written["attributes"] = pairs
    if point.exemplars:
        written["exemplars"] = [_exemplar(exemplar, depth) for exemplar in point.exemplars]
    return written


def _number(point: Any, depth: int) -> dict[str, Any]:
    return _point(point, depth) | _value(point.value)


def _histogram(point: Any, depth: int) -> dict[str, Any]:
    return _point(point, depth) | {
        "count": str(point.count),
        "sum": _double(point.sum),
        "bucketCounts": [str(count) for count in point.bucket_counts],
        "explicitBounds": list(point.explicit_bounds),
        **_extremes(point),
    }


def _exponential(point: Any, depth: int) -> dict[str, Any]:
    return _point(point, depth) | {
        "count": str(point.count),
        "sum": _double(point.sum),
        "scale": point.scale,
        "zeroCount": str(point.zero_count),
        "positive": _buckets(point.positive),
        "negative": _buckets(point.negative),
        "flags": point.flags,
        **_extremes(point),
    }


def _buckets(buckets: Any) -> dict[str, Any]:
    return {"offset": buckets.offset, "bucketCounts": [str(count) for count in buckets.bucket_counts]}


def _extremes(point: Any) -> dict[str, Any]:
    """The least and greatest value; a histogram that does not keep them has infinities there."""
    return {name: value for name in ("min", "max") if isinstance(value := _double(getattr(point, name)), (int, float))}


def _exemplar(exemplar: Any, depth: int) -> dict[str, Any]:
    written: dict[str, Any] = {"timeUnixNano": str(exemplar.time_unix_nano), **_value(exemplar.value)}
    pairs, _ = careful_attributes(exemplar.filtered_attributes or {}, depth)
    if pairs:
        written["filteredAttributes"] = pairs
    if exemplar.span_id:
        written["spanId"] = f"{exemplar.span_id:016x}"
    if exemplar.trace_id:
        written["traceId"] = f"{exemplar.trace_id:032x}"
    return written


def _value(value: Any) -> dict[str, Any]:
    return {"asInt": str(value)} if isinstance(value, int) else {"asDouble": _double(value)}


def _double(value: Any) -> Any:
    return any_value(float(value))["doubleValue"]


_KINDS: Final[dict[str, tuple[str, Callable[[Any, int], dict[str, Any]]]]] = {
    "Gauge": ("gauge", _number),
    "Sum": ("sum", _number),
    "Histogram": ("histogram", _histogram),
    "ExponentialHistogram": ("exponentialHistogram", _exponential),
}
"""How each kind of metric data is called in OTLP, and how one of its points is written. The SDK's classes by name: the
pure floor does not import the SDK."""
