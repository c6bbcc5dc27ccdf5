"""Metrics: every kind of metric data is strict OTLP JSON and what the official encoder writes."""

from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics as official
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.trace import NonRecordingSpan, set_span_in_context

from build_otlp import RESOURCE, SPAN, strictly
from whence.event import names
from whence.otlp.decode import Place, decode
from whence.otlp.limits import Limits
from whence.otlp.metrics import encode_metrics


def collected(record: Any, views: Any = ()) -> MetricsData:
    """One collection of what `record` does with a meter, each measurement kept as an exemplar."""
    reader = InMemoryMetricReader()
    provider = MeterProvider(
        [reader], RESOURCE, exemplar_filter=AlwaysOnExemplarFilter(), views=views, shutdown_on_exit=False
    )
    record(provider.get_meter("app.shop", "2.1", "https://example.org/schema", {"team": "blue"}))
    data = reader.get_metrics_data()
    provider.shutdown()
    assert data is not None
    return data


IN_SPAN = set_span_in_context(NonRecordingSpan(SPAN))


def counter(meter: Any) -> None:
    counted = meter.create_counter("orders", "1", "Orders taken")
    counted.add(3, {"shop": "north"}, context=IN_SPAN)
    counted.add((1 << 63) - 4, {"shop": "south"})


def up_down_counter(meter: Any) -> None:
    meter.create_up_down_counter("open").add(-2.5)


def gauge(meter: Any) -> None:
    meter.create_gauge("temperature", "Cel").set(21.5, {"room": 1, "flags": [True, False]})


def observable_gauge(meter: Any) -> None:
    def observe(options: CallbackOptions) -> list[Observation]:
        return [Observation(float("nan"), {"a": "b"}), Observation(7)]

    meter.create_observable_gauge("seen", [observe])


def histogram(meter: Any) -> None:
    duration = meter.create_histogram("duration", "s")
    for value in (0.1, 7, 80_000):
        duration.record(value, {"path": "/"}, context=IN_SPAN)


EXPONENTIAL = (View(instrument_name="*", aggregation=ExponentialBucketHistogramAggregation()),)


@pytest.mark.parametrize(
    ("record", "views"),
    [
        (counter, ()),
        (up_down_counter, ()),
        (gauge, ()),
        (observable_gauge, ()),
        (histogram, ()),
        (histogram, EXPONENTIAL),
    ],
)
def test_metrics_are_what_the_official_encoder_writes(record: Any, views: Any) -> None:
    """Read strictly by protobuf, points, exemplars, buckets and temporality are the same."""
    data = collected(record, views)
    encoded = encode_metrics(data)
    assert (encoded.failed, encoded.error) == (0, None)
    (line,) = encoded.lines
    ours, theirs = strictly(line.data), official(data)
    assert ours.SerializeToString(deterministic=True) == theirs.SerializeToString(deterministic=True)
    assert decode(line.data, Place("metrics-x", 0)) == ([], [])


def test_a_line_counts_its_points_and_knows_their_times() -> None:
    """Of which the archive's index makes use."""
    data = collected(counter)
    (line,) = encode_metrics(data).lines
    times = [point.time_unix_nano for point in data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points]
    assert (line.records, line.first_time, line.last_time) == (2, min(times), max(times))


def test_a_metric_of_many_points_is_spread_over_lines() -> None:
    """Each line whole: its name, unit and temporality repeated, no point lost or doubled."""

    def record(meter: Any) -> None:
        counted = meter.create_counter("orders", "1", "Orders taken")
        for n in range(300):
            counted.add(n, {"customer": n, "pad": "x" * 50})

    lines = encode_metrics(collected(record), Limits(line_bytes=20_000)).lines
    assert len(lines) > 3
    found = []
    for line in lines:
        assert len(line.data) <= 20_000
        points = []
        for metric in strictly(line.data).resource_metrics[0].scope_metrics[0].metrics:
            assert (metric.name, metric.unit, metric.sum.is_monotonic) == ("orders", "1", True)
            points += [point.as_int for point in metric.sum.data_points]
        assert line.records == len(points)
        found += points
    assert found == list(range(300))


def test_values_beyond_otlp_are_kept_as_near_as_can_be() -> None:
    """A count beyond 64 bits as a double, an attribute as text that says so."""

    def record(meter: Any) -> None:
        meter.create_counter("big").add(1 << 70, {"n": 1 << 70})

    (line,) = encode_metrics(collected(record)).lines
    (point,) = strictly(line.data).resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points
    assert point.as_double == float(1 << 70)
    assert [attribute.key for attribute in point.attributes] == ["n", names.LOSSY]


def test_a_point_that_cannot_be_written_costs_no_other() -> None:
    """It is counted, and the metric named."""
    data = collected(counter)
    object.__setattr__(data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points[0], "value", "three")
    encoded = encode_metrics(data)
    assert encoded.failed == 1
    assert encoded.error == "cannot encode a point of the metric 'orders': could not convert string to float: 'three'"
    assert [line.records for line in encoded.lines] == [1]
