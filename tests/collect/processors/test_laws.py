"""Laws of all processors: what comes in stays as it is, what is kept and then dropped is gone, and the result is OTLP still."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_examples import examples
from build_processors import Sink, a_host, a_processor
from build_requests import requests
from whence.collect.batch import Batch
from whence.collect.records.walk import Visit, count, rewrite
from whence.otlp import wire

SIGNALS = st.sampled_from(["logs", "traces", "metrics"])

EVERY: dict[str, dict[str, Any]] = {
    "attributes": {"actions": [{"key": "a", "action": "upsert", "value": [1]}, {"pattern": "^.$", "action": "hash"}]},
    "resource": {"attributes": [{"key": "", "action": "delete"}, {"key": "a", "action": "insert", "value": 1}]},
    "filter": {
        "keep": "NOT type = 'a'", "drop": "attributes.a = 1 OR trace_id LIKE '0*'", "error_mode": "ignore",
        "traces": {"span": ["kind == SPAN_KIND_SERVER"], "spanevent": ['attributes["a"] != nil']},
        "logs": {"log_record": ["IsMatch(body, \"a\")"]}, "metrics": {"datapoint": ["value_int > 0"], "metric": ["name == \"\""]},
    },
    "transform": {
        "error_mode": "ignore",
        "trace_statements": ["flatten(span.attributes)", "set(span.name, Concat([span.name, span.attributes[\"a\"]], \"\"))",
                             "truncate_all(spanevent.attributes, 2)", "set(span.end_time, span.start_time)"],
        "log_statements": ["set(log.attributes[\"body\"], log.body)", "merge_maps(log.attributes, log.body)",
                           "set(resource.attributes[\"n\"], Len(log.attributes))"],
        "metric_statements": ["set(metric.name, \"m\")", "set(datapoint.value_double, 2)",
                              "keep_keys(datapoint.attributes, [\"a\"])"],
    },
    "redaction": {"allow_all_keys": True, "detectors": ["all", "high_entropy"], "blocked_values": ["[a-z]"], "summary": "debug"},
    "verbosity": {"level": "milestone"},
    "probabilistic_sampler": {"sampling_percentage": 50, "mode": "proportional"},
    "batch": {},
}  # fmt: skip


def a_batch(data: st.DataObject) -> Batch:
    signal = data.draw(SIGNALS)
    body = data.draw(requests(signal)).SerializeToString()
    return Batch(signal, tree=wire.tree_of_protobuf(signal, body))


@pytest.mark.parametrize("kind", EVERY)
@examples(12)
@given(data=st.data())
def test_what_came_in_stays_and_what_comes_out_is_otlp(kind: str, data: st.DataObject) -> None:
    """Of any request: the tree is not changed, and the new one can be written as protobuf and as lines."""
    batch = a_batch(data)
    before = copy.deepcopy(batch.tree)
    after = a_processor(kind, EVERY[kind])(batch)
    assert batch.tree == before
    if after is None:
        return
    assert (after is batch) or (after.tree is not batch.tree)
    again = wire.tree_of_protobuf(after.signal, after.protobuf())
    assert wire.protobuf_of_tree(after.signal, again) == after.protobuf()
    assert after.count() == count(after.signal, after.tree)
    after.lines()


@examples(15)
@given(data=st.data())
def test_tail_sampling_neither_changes_nor_loses_a_span(data: st.DataObject) -> None:
    """Every span comes out once, in its resource and scope."""
    body = data.draw(requests("traces")).SerializeToString()
    batch = Batch("traces", tree=wire.tree_of_protobuf("traces", body))
    before = copy.deepcopy(batch.tree)
    sink = Sink()
    sampler = a_processor("tail_sampling", {"policies": [{"name": "a", "type": "always_sample"}]}, a_host(), sink)
    sampler.consume(batch)
    sampler.decide(everything=True)
    sampler.send()
    assert batch.tree == before

    def told(of: Batch) -> list[str]:
        found = []
        for group in (of.tree or {}).get("resourceSpans", []):
            for part in group.get("scopeSpans", []):
                around = (group.get("resource"), group.get("schemaUrl"), part.get("scope"), part.get("schemaUrl"))
                found += [repr((around, span)) for span in part.get("spans", [])]
        return sorted(found)

    assert sorted(line for out in sink.batches for line in told(out)) == told(batch)


FILTERS = st.sampled_from(
    [
        "type = 'a'",
        "NOT type = 'a'",
        "attributes.a = 1",
        "severity >= ERROR OR agent = 'a'",
        "duration > 5ms",
        "a",
        "EXISTS resource.a",
    ]
)


@examples(15)
@given(data=st.data(), text=FILTERS)
def test_what_is_kept_by_a_filter_is_dropped_by_it(data: st.DataObject, text: str) -> None:
    """Keep X, then drop X: no record is left; and keep and drop X share the records out."""
    batch = a_batch(data)
    if batch.signal == "metrics":
        return
    kept = a_processor("filter", {"keep": text})(batch)
    dropped = a_processor("filter", {"drop": text})(batch)
    assert count(batch.signal, a_tree(kept)) + count(batch.signal, a_tree(dropped)) == batch.count()
    if kept is not None:
        both = a_processor("filter", {"drop": text})(kept)
        assert count(batch.signal, a_tree(both)) == 0


def a_tree(batch: Batch | None) -> dict[str, Any] | None:
    return batch.tree if batch is not None else None


@examples(15)
@given(data=st.data())
def test_a_visit_that_changes_nothing_gives_the_very_tree(data: st.DataObject) -> None:
    """And one that drops everything gives none."""
    batch = a_batch(data)
    tree = batch.tree or {}
    assert rewrite(batch.signal, tree, Visit(*[lambda place: True] * 4)) is tree
    assert count(batch.signal, rewrite(batch.signal, tree, Visit(record=lambda place: False))) == 0
