"""All processors together in a running service: from the bytes of a request to what exporters get."""

from pathlib import Path

import pytest

from build_collect import Keep, Source, a_config
from build_processors import a_log, a_span, attributes, body, logs, records, spans
from whence.collect.batch import Batch, Receipt
from whence.collect.config.model import BadConfig
from whence.collect.outcome import Unacceptable
from whence.collect.service import Service, Surroundings
from whence.collect.telemetry import Telemetry
from whence.otlp import wire

CONFIG = """
receivers: {source: }
exporters: {keep/logs: , keep/traces: }
processors:
  memory_limiter: {check_interval: 1s, limit_percentage: 100}
  batch:
  resource: {attributes: [{key: env, action: upsert, value: test}]}
  attributes: {actions: [{key: seen, action: insert, value: true}]}
  filter: {drop: "type = noise", traces: {span: ['name == "ping"']}}
  transform:
    log_statements: ['set(log.attributes["length"], Len(log.body))']
  redaction: {allow_all_keys: true, detectors: [all]}
  verbosity: {level: action}
  probabilistic_sampler: {sampling_percentage: 100}
  tail_sampling: {decision_wait: 10m, policies: [{name: errors, type: caused_error}]}
service:
  pipelines:
    logs:
      receivers: [source]
      processors: [memory_limiter, batch, filter, verbosity, resource, attributes, transform, redaction]
      exporters: [keep/logs]
    traces:
      receivers: [source]
      processors: [memory_limiter, filter, redaction, probabilistic_sampler, tail_sampling, batch]
      exporters: [keep/traces]
"""


def as_bytes(batch: Batch) -> Batch:
    """As a request brings it."""
    return Batch(batch.signal, data=wire.protobuf_of_tree(batch.signal, batch.tree or {}))


def test_a_request_goes_through_all_of_them(tmp_path: Path) -> None:
    """Bytes in; changed, masked and sampled records out; held traces are decided when the service stops."""
    telemetry = Telemetry()
    service = Service(Surroundings(telemetry, tmp_path))
    service.start(a_config(CONFIG))
    source, keep = service.component("receiver", "source"), service.component("exporter", "keep/logs")
    traces = service.component("exporter", "keep/traces")
    assert isinstance(source, Source)
    assert isinstance(keep, Keep)
    assert isinstance(traces, Keep)
    sent = logs(a_log("mail ada@example.org"), a_log("x", eventName="noise"), a_log("y", {"whence.kind": "detail"}))
    assert source.send(as_bytes(sent)) == Receipt()
    (record,) = records(keep.kept[0])
    assert body(record) == "mail ****"
    assert attributes(record) == {"seen": True, "length": 20}
    assert keep.kept[0].lines().lines[0].records == 1
    link = [{"traceId": "1" * 32, "spanId": "2" * 16}]
    cause, failed = a_span("cause", traceId="1" * 32, spanId="2" * 16), a_span("failed", status={"code": 2}, links=link)
    source.send(as_bytes(spans(cause, a_span("fine", traceId="3" * 32), a_span("ping", traceId="4" * 32))))
    source.send(as_bytes(spans(failed)))
    assert traces.kept == []
    service.stop(30.0)
    assert sorted(span["name"] for batch in traces.kept for span in records(batch)) == ["cause", "failed"]
    counts = {family.name: sum(sample.value for sample in family.samples) for family in telemetry.families()}
    assert counts["otelcol_processor_filter_logs_filtered"] == 1
    assert counts["otelcol_processor_filter_spans_filtered"] == 1
    assert counts["otelcol_processor_memory_limiter_accepted_log_records"] == 3
    assert counts["whence_processor_redaction_masked"] == 1


def test_a_statement_that_fails_refuses_the_batch_for_good_or_lets_it_pass(tmp_path: Path) -> None:
    """As `error_mode` says; the sender is not asked to send what can never pass."""
    text = """
receivers: {source: }
exporters: {keep: }
processors: {transform: {MODElog_statements: ['set(log.attributes["n"], ParseInt(log.body, 10))']}}
service: {pipelines: {logs: {receivers: [source], processors: [transform], exporters: [keep]}}}
"""
    for mode in ("propagate", "ignore", "silent"):
        service = Service(Surroundings(Telemetry(), tmp_path))
        service.start(a_config(text.replace("MODE", f"error_mode: {mode}, ")))
        source, keep = service.component("receiver", "source"), service.component("exporter", "keep")
        assert isinstance(source, Source)
        assert isinstance(keep, Keep)
        batch = as_bytes(logs(a_log("no number"), a_log("7")))
        if mode == "propagate":
            with pytest.raises(Unacceptable, match="ParseInt"):
                source.send(batch)
        else:
            source.send(batch)
            assert [attributes(record) for record in records(keep.kept[0])] == [{}, {"n": 7}]
        service.stop(30.0)


def test_a_wrong_statement_is_refused_with_line_and_key() -> None:
    """The line of the statement itself, in a group too."""
    text = """
receivers: {source: }
exporters: {keep: }
processors:
  transform:
    log_statements:
      - context: log
        statements:
          - set(body, 1)
          - set(boddy, 2)
service: {pipelines: {logs: {receivers: [source], processors: [transform], exporters: [keep]}}}
"""
    with pytest.raises(BadConfig) as caught:
        a_config(text)
    (problem,) = caught.value.problems
    assert problem.place.line == 10
    assert "did you mean body? in `set(boddy, 2)`" in str(caught.value)
