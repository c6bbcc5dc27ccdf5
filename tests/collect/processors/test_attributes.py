"""The processors `attributes` and `resource`: each action, and whom it is for."""

import hashlib

import pytest
from pydantic import ValidationError

from build_processors import a_log, a_span, a_sum, attributes, logs, metrics, process, records, resource_of, spans
from whence.collect.batch import Batch
from whence.collect.processors.attributes import AttributesSettings


def acted(before: dict, *actions: dict) -> dict:
    return attributes(records(process("attributes", {"actions": actions}, logs(a_log("x", before))))[0])


def test_insert_update_and_upsert_differ_in_what_they_find() -> None:
    """Insert wants no such key, update wants one, upsert takes both."""
    assert acted({"a": 1}, {"key": "a", "action": "insert", "value": 2}) == {"a": 1}
    assert acted({"a": 1}, {"key": "b", "action": "insert", "value": 2}) == {"a": 1, "b": 2}
    assert acted({"a": 1}, {"key": "a", "action": "update", "value": [2, "x"]}) == {"a": [2, "x"]}
    assert acted({"a": 1}, {"key": "b", "action": "update", "value": 2}) == {"a": 1}
    assert acted({"a": 1}, {"key": "a", "action": "upsert", "value": True}) == {"a": True}
    assert acted({"a": 1}, {"key": "b", "action": "upsert", "value": {"x": 1.5}}) == {"a": 1, "b": {"x": 1.5}}


def test_a_value_can_come_from_another_attribute() -> None:
    """`from_attribute` copies; where it is not there, nothing happens."""
    assert acted({"a": [1]}, {"key": "b", "action": "upsert", "from_attribute": "a"}) == {"a": [1], "b": [1]}
    assert acted({"a": 1}, {"key": "b", "action": "upsert", "from_attribute": "c"}) == {"a": 1}


def test_a_value_can_come_from_the_request_s_headers() -> None:
    """`from_context: metadata.x` is the header x, where the receiver includes them."""
    batch = Batch("logs", tree=logs(a_log("x")).tree, metadata={"x-tenant": ("acme",)})
    settings = {"actions": [{"key": "tenant", "action": "insert", "from_context": "metadata.X-Tenant"}]}
    assert attributes(records(process("attributes", settings, batch))[0]) == {"tenant": "acme"}
    assert attributes(records(process("attributes", settings, logs(a_log("x"))))[0]) == {}


def test_delete_takes_a_key_or_a_pattern() -> None:
    """Deleting the last attribute leaves a record without the field."""
    assert acted({"a": 1, "ab": 2, "c": 3}, {"action": "delete", "pattern": "^a"}) == {"c": 3}
    left = process("attributes", {"actions": [{"key": "a", "action": "delete"}]}, logs(a_log("x", {"a": 1})))
    assert "attributes" not in records(left)[0]


def test_hash_is_sha256_in_hex() -> None:
    """A text's hash is that of its UTF-8."""
    assert acted({"a": "ü"}, {"key": "a", "action": "hash"}) == {"a": hashlib.sha256("ü".encode()).hexdigest()}


def test_extract_sets_an_attribute_for_each_named_group() -> None:
    """No match, no change."""
    rule = {"key": "url", "action": "extract", "pattern": r"^(?P<scheme>\w+)://(?P<host>[^/]+)"}
    assert acted({"url": "http://x/y"}, rule) == {"url": "http://x/y", "scheme": "http", "host": "x"}
    assert acted({"url": "none"}, rule) == {"url": "none"}


@pytest.mark.parametrize(
    ("value", "kind", "now"),
    [("12", "int", 12), ("x", "int", "x"), (3.9, "int", 3), (True, "int", 1), ("1.5", "double", 1.5), (7, "string", "7"),
     (True, "string", "true"), (2.0, "string", "2"), ([1], "string", "[1]")],
)  # fmt: skip
def test_convert_changes_what_can_be_converted(value: object, kind: str, now: object) -> None:
    """What cannot be stays as it is."""
    found = acted({"a": value}, {"key": "a", "action": "convert", "converted_type": kind})["a"]
    assert found == now
    assert type(found) is type(now)


def test_spans_and_data_points_are_meant_too() -> None:
    """The attributes of a metric are those of its data points."""
    settings = {"actions": [{"key": "env", "action": "upsert", "value": "prod"}]}
    assert attributes(records(process("attributes", settings, spans(a_span())))[0]) == {"env": "prod"}
    metric = records(process("attributes", settings, metrics(a_sum("n", {"a": 1}, {}))))[0]
    assert [attributes(point) for point in metric["sum"]["dataPoints"]] == [{"a": 1, "env": "prod"}, {"env": "prod"}]


@pytest.mark.parametrize(
    ("block", "names"),
    [
        ({"match_type": "strict", "span_names": ["a"]}, ["a"]),
        ({"match_type": "regexp", "span_names": ["a|b"]}, ["a", "b"]),
        ({"match_type": "strict", "services": ["shop"], "attributes": [{"key": "n", "value": 2}]}, ["b"]),
        ({"match_type": "strict", "services": ["other"]}, []),
        ({"match_type": "strict", "span_kinds": ["SPAN_KIND_SERVER"]}, ["a"]),
        ({"match_type": "strict", "attributes": [{"key": "n"}]}, ["a", "b"]),
        ({"match_type": "regexp", "attributes": [{"key": "n", "value": "^2$"}]}, ["b"]),
        ({"match_type": "strict", "libraries": [{"name": "app"}]}, ["a", "b", "c"]),
        ({"match_type": "strict", "resources": [{"key": "service.name", "value": "shop"}]}, ["a", "b", "c"]),
    ],
)
def test_include_and_exclude_choose_records(block: dict, names: list[str]) -> None:
    """All properties must fit; what include chooses is what exclude leaves out."""
    batch = spans(a_span("a", {"n": 1}, kind=2), a_span("b", {"n": 2}), a_span("c"))
    mark = [{"key": "mark", "action": "upsert", "value": 1}]
    included = records(process("attributes", {"include": block, "actions": mark}, batch))
    assert [span["name"] for span in included if "mark" in attributes(span)] == names
    excluded = records(process("attributes", {"exclude": block, "actions": mark}, batch))
    assert [span["name"] for span in excluded if "mark" not in attributes(span)] == names


def test_log_properties_choose_log_records() -> None:
    """Body, severity text and number."""
    batch = logs(a_log("boom", severityNumber=17, severityText="ERROR"), a_log("fine", severityNumber=9))
    mark = [{"key": "mark", "action": "upsert", "value": 1}]
    for block in (
        {"match_type": "regexp", "log_bodies": ["^bo+m$"]},
        {"match_type": "strict", "log_severity_texts": ["ERROR"]},
        {"match_type": "strict", "log_severity_number": {"min": "WARN"}},
    ):
        found = records(process("attributes", {"include": block, "actions": mark}, batch))
        assert ["mark" in attributes(record) for record in found] == [True, False], block


def test_resource_changes_the_resource_once() -> None:
    """The records under it are the same objects."""
    batch = spans(a_span())
    settings = {"attributes": [{"key": "host", "action": "insert", "value": "h1"}]}
    after = process("resource", settings, batch)
    assert resource_of(after) == {"service.name": "shop", "host": "h1"}
    assert records(after)[0] is records(batch)[0]


def test_nothing_to_change_gives_the_very_batch() -> None:
    """Bytes that came in can so go out again."""
    batch = logs(a_log("x", {"a": 1}))
    assert process("attributes", {"actions": [{"key": "b", "action": "delete"}]}, batch) is batch


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ({"action": "insert", "key": "a"}, "needs one of value"),
        ({"action": "insert", "value": 1}, "needs a key"),
        ({"action": "extract", "key": "a", "pattern": "x"}, "no named group"),
        ({"action": "extract", "key": "a", "pattern": "(?P<x>"}, "not a regular expression"),
        ({"action": "delete", "pattern": r"(x)\1"}, "not a regular expression"),
        ({"action": "convert", "key": "a"}, "converted_type"),
        ({"action": "insert", "key": "a", "from_context": "client.address"}, "not known here"),
        ({"action": "insert", "key": "a", "value": 1, "valu": 2}, "valu"),
    ],
)
def test_a_wrong_action_is_refused_with_the_reason(action: dict, said: str) -> None:
    """Before anything starts."""
    with pytest.raises(ValidationError, match=said):
        AttributesSettings.model_validate({"actions": [action]})
