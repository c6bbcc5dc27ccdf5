"""What the collector counts: names, kinds, and text that Prometheus reads."""

import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from whence.collect.answers import Listener, address_of
from whence.collect.telemetry import METRICS, Telemetry, beside, render
from whence.errors import ConfigError, StorageError


def test_counters_gauges_and_histograms_are_what_prometheus_reads() -> None:
    """Labels with any text in them, buckets that add up, and numbers exactly."""
    telemetry = Telemetry()
    telemetry.count("otelcol_receiver_accepted_spans", 3, receiver='a "b"\\c\nd', transport="http")
    telemetry.count("otelcol_receiver_accepted_spans", 4, transport="http", receiver='a "b"\\c\nd')
    for value in (0.0005, 0.003, 99.0):
        telemetry.observe("whence_archive_fsync_duration", value, exporter="whence")
    telemetry.read("otelcol_exporter_queue_size", lambda: 1.5, exporter="otlp")
    text = render(telemetry.families(), {"service_name": "x"})
    samples = {
        (sample.name.removesuffix("_total"), sample.labels.get("le")): sample
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    accepted = samples["otelcol_receiver_accepted_spans", None]
    assert accepted.value == 7
    assert accepted.labels == {"receiver": 'a "b"\\c\nd', "transport": "http", "service_name": "x"}
    assert samples["whence_archive_fsync_duration_bucket", "0.0005"].value == 1
    assert samples["whence_archive_fsync_duration_bucket", "0.005"].value == 2
    assert samples["whence_archive_fsync_duration_bucket", "+Inf"].value == 3
    assert samples["whence_archive_fsync_duration_count", None].value == 3
    assert samples["otelcol_exporter_queue_size", None].value == 1.5
    assert "otelcol_receiver_accepted_spans_total{" in render(telemetry.families(), type_suffix=True)


def test_a_read_value_ends_with_its_component_and_its_faults_are_its_own() -> None:
    """A successor's reading stays when the predecessor's is ended; one that raises leaves the others."""
    telemetry = Telemetry()
    first = telemetry.read("otelcol_exporter_queue_size", lambda: 1, exporter="a")
    second = telemetry.read("otelcol_exporter_queue_size", lambda: 2, exporter="a")
    telemetry.read("otelcol_exporter_queue_capacity", lambda: 1 / 0, exporter="a")
    first()
    assert [(family.name, [one.value for one in family.samples]) for family in telemetry.families()] == [
        ("otelcol_exporter_queue_size", [2])
    ]
    second()
    assert telemetry.families() == []


def test_counting_from_many_threads_loses_nothing() -> None:
    """Eight threads, a thousand each."""
    telemetry = Telemetry()

    def count() -> None:
        for _ in range(1000):
            telemetry.count("otelcol_receiver_accepted_spans", 1, receiver="a")
            telemetry.observe("whence_archive_fsync_duration", 1.0)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    values = {family.name: family.samples[-1].value for family in telemetry.families()}
    assert values == {"otelcol_receiver_accepted_spans": 8000, "whence_archive_fsync_duration": 8000}


def test_processes_stand_beside_each_other() -> None:
    """Each with its own label, none added to another."""
    parts = [Telemetry(), Telemetry()]
    for n, part in enumerate(parts):
        part.count("otelcol_receiver_accepted_spans", n + 1)
    found = beside([({"service_instance_id": str(n)}, part.families()) for n, part in enumerate(parts)])
    assert [sample.value for sample in found[0].samples] == [1, 2]
    text = render(found, {"service_instance_id": "constant"})
    assert 'service_instance_id="0"' in text and "constant" not in text


def test_names_are_the_collectors_or_ours() -> None:
    """Nothing is counted under a third kind of name, and every one says what it is."""
    assert all(name.startswith(("otelcol_", "whence_")) for name in METRICS)
    assert all(metric.help and (metric.kind != "histogram" or metric.buckets) for metric in METRICS.values())


@pytest.mark.parametrize(
    ("endpoint", "found"),
    [
        ("localhost:8888", ("localhost", 8888)),
        ("[::1]:1", ("::1", 1)),
        (":13133", ("", 13133)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),
    ],
)
def test_endpoints_are_host_and_port(endpoint: str, found: tuple[str, int]) -> None:
    """As the Collector writes them."""
    assert address_of(endpoint) == found


@pytest.mark.parametrize("endpoint", ["localhost", "localhost:http", "::1:80", "localhost:99999"])
def test_what_is_no_endpoint_is_refused(endpoint: str) -> None:
    """With an example of one."""
    with pytest.raises(ConfigError, match="expected HOST:PORT"):
        address_of(endpoint)


def test_a_port_that_somebody_has_is_named() -> None:
    """Two listeners cannot have the same address."""
    first = Listener("127.0.0.1:0", {}, "metrics")
    try:
        with pytest.raises(StorageError, match=f"127.0.0.1:{first.port} for health"):
            Listener(f"127.0.0.1:{first.port}", {}, "health")
    finally:
        first.close()
