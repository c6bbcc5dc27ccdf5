"""What the collector counts about itself, under the names that dashboards for the OTel Collector know.

The law: counting never raises and never waits for anything but its own short lock. Names and buckets stand in `METRICS`.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal, NamedTuple

from whence.otlp.wire import Signal

MetricKind = Literal["counter", "gauge", "histogram"]
Labels = tuple[tuple[str, str], ...]

ITEMS: Final[Mapping[Signal, str]] = {"logs": "log_records", "traces": "spans", "metrics": "metric_points"}
"""How the Collector's names end, by signal: `otelcol_receiver_accepted_` + `spans`."""


class Metric(NamedTuple):
    """What a name stands for."""

    kind: MetricKind
    help: str
    buckets: tuple[float, ...] = ()


_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_COUNTS: Final = (10, 25, 50, 75, 100, 250, 500, 750, 1000, 2000, 3000, 4000, 5000, 8192, 10000, 20000, 50000, 100000)
_BYTES: Final = (1e3, 1e4, 1e5, 1e6, 2e6, 4e6, 8e6, 16e6, 32e6, 64e6)

METRICS: Final[dict[str, Metric]] = {
    **{
        f"otelcol_receiver_{what}_{items}": Metric("counter", f"{items.replace('_', ' ')} that {said}")
        for what, said in (
            ("accepted", "were taken responsibility for by everybody downstream"),
            ("refused", "were refused, so that their sender keeps them"),
            ("failed", "could not be processed by trouble of the collector's own"),
        )
        for items in ITEMS.values()
    },
    **{
        f"otelcol_exporter_{what}_{items}": Metric("counter", f"{items.replace('_', ' ')} that {said}")
        for what, said in (
            ("sent", "arrived at the destination"),
            ("send_failed", "could not be sent and were given up"),
            ("enqueue_failed", "found the sending queue full"),
        )
        for items in ITEMS.values()
    },
    **{
        f"otelcol_processor_memory_limiter_{what}_{items}": Metric("counter", f"{items.replace('_', ' ')} {what}")
        for what in ("accepted", "refused")
        for items in ITEMS.values()
    },
    "otelcol_receiver_requests": Metric("counter", "requests, by how they were answered"),
    "otelcol_fileconsumer_open_files": Metric("gauge", "files that a receiver holds open"),
    "otelcol_fileconsumer_reading_files": Metric("gauge", "files that a receiver has not read to their ends"),
    "whence_receiver_file_unread_bytes": Metric("gauge", "bytes on disk that a receiver has not handed on"),
    "whence_receiver_file_lines_skipped": Metric(
        "counter", "lines of files that could not be taken, and were left out"
    ),
    "whence_receiver_file_lines_unparsed": Metric(
        "counter", "lines of files that an operator or format could not read"
    ),
    **{
        f"whence_exporter_expired_{items}": Metric(
            "counter", f"{items.replace('_', ' ')} given up as older than max_age"
        )
        for items in ITEMS.values()
    },
    "otelcol_exporter_queue_size": Metric("gauge", "what waits in the sending queue, in its unit"),
    "otelcol_exporter_queue_capacity": Metric("gauge", "what the sending queue can hold, in its unit"),
    "otelcol_exporter_in_flight_requests": Metric("gauge", "requests sent and not yet answered"),
    "otelcol_exporter_queue_batch_send_size": Metric("histogram", "items in a request sent", _COUNTS),
    "otelcol_exporter_queue_batch_send_size_bytes": Metric("histogram", "bytes of a request sent", _BYTES),
    "otelcol_processor_incoming_items": Metric("counter", "items that went into the processor"),
    "otelcol_processor_outgoing_items": Metric("counter", "items that came out of the processor"),
    "otelcol_processor_internal_duration": Metric("histogram", "seconds in the processor itself", _SECONDS),
    **{
        f"otelcol_processor_filter_{items}_filtered": Metric("counter", f"{items} that the processor dropped")
        for items in ("spans", "logs", "datapoints")
    },
    **{
        f"otelcol_processor_probabilistic_sampler_count_{signal}_sampled": Metric("counter", f"{signal}, by decision")
        for signal in ("traces", "logs")
    },
    **{
        f"otelcol_processor_tail_sampling_{name}": Metric("counter", help_)
        for name, help_ in (
            ("count_traces_sampled", "traces, by policy and what it said"),
            ("global_count_traces_sampled", "traces, by what became of them"),
            ("new_trace_id_received", "traces that began"),
            ("sampling_trace_decided_early", "traces decided before their time, because no more can be held"),
        )
    },
    "otelcol_processor_tail_sampling_sampling_traces_on_memory": Metric("gauge", "traces held undecided"),
    "whence_processor_redaction_masked": Metric("counter", "values and texts that were hidden"),
    "whence_processor_redaction_removed": Metric("counter", "attributes that were removed"),
    "otelcol_process_uptime": Metric("counter", "seconds since the process started"),
    "otelcol_process_cpu_seconds": Metric("counter", "seconds of processor time, user and system"),
    "otelcol_process_memory_rss": Metric("gauge", "bytes of memory the process holds"),
    "whence_archive_bytes": Metric("counter", "bytes written to the archive"),
    "whence_archive_lines": Metric("counter", "lines written to the archive"),
    "whence_archive_records": Metric("counter", "records written to the archive"),
    "whence_archive_fsync_duration": Metric("histogram", "seconds until written lines were on the device", _SECONDS),
    "whence_archive_fsyncs": Metric("counter", "times that files were put on the device"),
    "whence_archive_fsync_failures": Metric("counter", "times that the device did not take it"),
    "whence_archive_held_bytes": Metric("gauge", "bytes held in memory because the disk does not take them"),
    "whence_archive_refused_records": Metric("counter", "records refused because the disk does not take them"),
    "whence_archive_overflowed": Metric("counter", "resources put in the folder of all others, beyond max_values"),
    "whence_archive_removed_files": Metric("counter", "closed files removed by retention"),
    "whence_archive_removed_bytes": Metric("counter", "bytes on disk that retention gave back"),
    "whence_archive_repairs": Metric("counter", "torn ends of files set aside, and files begun anew after trouble"),
    "whence_archive_free_bytes": Metric("gauge", "bytes free where the archive is"),
    "whence_archive_writable": Metric("gauge", "1 while the archive can be written, else 0"),
}
"""Every name, with its kind. A component of somebody else's may count under names of its own: they are counters."""


class Sample(NamedTuple):
    """One number of a family. A histogram has `_bucket`, `_sum` and `_count` samples."""

    suffix: str
    labels: Labels
    value: float


class Family(NamedTuple):
    """All samples of one name."""

    name: str
    kind: MetricKind
    help: str
    samples: list[Sample]


class _Buckets:
    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0


class Telemetry:
    """Counters, histograms, and what is read when somebody looks. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, Labels], float] = {}
        self._histograms: dict[tuple[str, Labels], _Buckets] = {}
        self._reads: dict[tuple[str, Labels], Callable[[], float]] = {}

    def count(self, name: str, n: float = 1, **labels: str) -> None:
        """Add `n` to a counter."""
        key = name, _labels(labels)
        with self._lock:
            self._counts[key] = self._counts.get(key, 0) + n

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add one value to a histogram; its buckets are those of `METRICS`, else seconds."""
        key = name, _labels(labels)
        with self._lock:
            found = self._histograms.get(key)
            if found is None:
                known = METRICS.get(name)
                found = self._histograms[key] = _Buckets((known.buckets if known else ()) or _SECONDS)
            found.counts[bisect_left(found.bounds, value)] += 1
            found.total += value

    def read(self, name: str, value: Callable[[], float], **labels: str) -> Callable[[], None]:
        """Ask `value` whenever somebody looks: a gauge, or a counter kept elsewhere, as `METRICS` says.

        Gives the function that ends it; call it when the component stops. What `value` raises leaves the sample out.
        """
        key = name, _labels(labels)
        with self._lock:
            self._reads[key] = value

        def forget() -> None:
            with self._lock:
                if self._reads.get(key) is value:
                    del self._reads[key]

        return forget

    def families(self) -> list[Family]:
        """Everything as it is now, by name."""
        with self._lock:
            samples = [(name, Sample("", labels, value)) for (name, labels), value in self._counts.items()]
            for (name, labels), buckets in self._histograms.items():
                samples += ((name, sample) for sample in _histogram(labels, buckets))
            reads = list(self._reads.items())
            histograms = {name for name, _ in self._histograms}
        for (name, labels), value in reads:
            try:
                samples.append((name, Sample("", labels, float(value()))))
            except Exception:  # noqa: BLE001, S112 - a component that cannot say its number is not a reason to say none
                continue
        found: dict[str, Family] = {}
        for name, sample in samples:
            if name not in found:
                known = METRICS.get(name) or Metric("histogram" if name in histograms else "counter", "")
                found[name] = Family(name, known.kind, known.help, [])
            found[name].samples.append(sample)
        return [found[name] for name in sorted(found)]


def beside(parts: Iterable[tuple[Mapping[str, str], Iterable[Family]]]) -> list[Family]:
    """The families of several processes as one list; the labels of a process stand on its samples."""
    found: dict[str, Family] = {}
    for labels, families in parts:
        extra = _labels(labels)
        for family in families:
            whole = found.setdefault(family.name, family._replace(samples=[]))
            whole.samples.extend(sample._replace(labels=(*sample.labels, *extra)) for sample in family.samples)
    return [found[name] for name in sorted(found)]


def render(families: Iterable[Family], constant: Mapping[str, str] | None = None, type_suffix: bool = False) -> str:
    """The Prometheus text format. `constant` labels stand on each sample that has none of that name.

    `type_suffix` adds `_total` to counters.
    """
    extra = constant or {}
    out = []
    for family in families:
        name = family.name + ("_total" if type_suffix and family.kind == "counter" else "")
        if family.help:
            out.append(f"# HELP {name} {family.help}\n")
        out.append(f"# TYPE {name} {family.kind}\n")
        for sample in family.samples:
            labels = ",".join(f'{key}="{_escaped(value)}"' for key, value in ({**extra, **dict(sample.labels)}).items())
            out.append(f"{name}{sample.suffix}{{{labels}}} {_number(sample.value)}\n")
    return "".join(out)


def _labels(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted(labels.items()))


def _histogram(labels: Labels, buckets: _Buckets) -> Iterable[Sample]:
    total = 0
    for bound, count in zip((*map(_number, buckets.bounds), "+Inf"), buckets.counts, strict=True):
        total += count
        yield Sample("_bucket", (*labels, ("le", bound)), total)
    yield Sample("_sum", labels, buckets.total)
    yield Sample("_count", labels, total)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1 << 53 else repr(float(value))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
