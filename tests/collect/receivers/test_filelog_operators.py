"""The operators of `filelog`: each does to an entry what the Collector's does, and what is not here is refused by name."""

import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from whence.collect.config.check import check
from whence.collect.config.model import BadConfig
from whence.collect.config.sources import Sources, read_sources
from whence.collect.kinds import Catalog
from whence.collect.receivers.operators.chain import OPERATORS, Operators, through
from whence.collect.receivers.operators.conditions import as_condition
from whence.collect.receivers.operators.entry import Entry, as_path
from whence.collect.receivers.operators.layouts import reading_of
from whence.event.misfits import Misfit

NOW = 1_700_000_000_000_000_000
_ADAPTER: TypeAdapter[Any] = TypeAdapter(Operators)


def done(body: Any, *operators: dict[str, Any], **entry: Any) -> tuple[Entry, bool, str | None]:
    """An entry after these operators, whether it stays, and what was said."""
    one = Entry(body, NOW, **entry)
    stays, said = through(_ADAPTER.validate_python(operators), one, NOW)
    return one, stays, said


def test_json_becomes_attributes_or_what_parse_to_says() -> None:
    """The body stays as it was written, unless it is asked for."""
    line = '{"message": "hi", "n": {"a": [1, 2.5, null, true]}}'
    one, _, said = done(line, {"type": "json_parser"})
    assert (one.body, one.attributes, said) == (line, json.loads(line), None)
    one, _, _ = done(line, {"type": "json_parser", "parse_to": "body"})
    assert one.body == json.loads(line)
    one, _, _ = done(line, {"type": "json_parser", "parse_to": "attributes.log", "body": "attributes.log.message"})
    assert (one.body, one.attributes) == ("hi", {"log": {"n": {"a": [1, 2.5, None, True]}}})
    one, _, _ = done({"inner": '{"x": 1}'}, {"type": "json_parser", "parse_from": "body.inner", "parse_to": "body"})
    assert one.body == {"x": 1}


def test_a_regular_expression_gives_its_named_groups() -> None:
    """The Collector's own example: found anywhere in the text, a group without a part is empty."""
    operator = {
        "type": "regex_parser",
        "regex": r"^(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?P<sev>[A-Z]*) (?P<msg>.*?)(?P<more>!+)?$",
        "timestamp": {"parse_from": "attributes.time", "layout": "%Y-%m-%d %H:%M:%S", "location": "UTC"},
        "severity": {"parse_from": "attributes.sev"},
    }
    one, _, said = done("2023-06-19 05:20:50 ERROR This is a test error message", operator)
    assert said is None
    assert (one.time, one.severity, one.severity_text) == (1_687_152_050_000_000_000, 17, "ERROR")
    assert one.attributes["msg"] == "This is a test error message"
    assert one.attributes["more"] == ""
    _, stays, said = done("something else", operator)
    assert stays and said is not None and "not found in 'something else'" in said


def test_what_stands_in_fields_is_told_and_the_rest_is_read_all_the_same() -> None:
    """A time that is none does not keep the severity from being read."""
    operator = {
        "type": "json_parser",
        "timestamp": {"parse_from": "attributes.ts", "layout_type": "epoch", "layout": "s"},
        "severity": {"parse_from": "attributes.level"},
        "trace": {"trace_id": {"parse_from": "attributes.t"}, "span_id": {"parse_from": "attributes.s"}},
        "scope_name": {"parse_from": "attributes.logger"},
    }
    line = {"ts": "noon", "level": "Warning", "t": "0xAB", "s": 12, "logger": "shop"}
    one, stays, said = done(json.dumps(line), operator)
    assert (one.time, one.severity, one.trace_id, one.span_id, one.scope) == (
        None,
        13,
        "ab".rjust(32, "0"),
        "12".rjust(16, "0"),
        "shop",
    )
    assert stays and said == "json_parser: 'noon' is no number"


@pytest.mark.parametrize(
    ("on_error", "stays", "told"),
    [("send", True, True), ("send_quiet", True, False), ("drop", False, True), ("drop_quiet", False, False)],
)
def test_what_an_operator_cannot_do_is_sent_on_or_dropped(on_error: str, stays: bool, told: bool) -> None:
    """As `on_error` says; what is sent goes on through the operators behind."""
    later = {"type": "add", "field": "attributes.later", "value": 1}
    one, stayed, said = done("no json", {"type": "json_parser", "id": "mine", "on_error": on_error}, later)
    assert (stayed, one.attributes) == (stays, {"later": 1} if stays else {})
    assert bool(said) is told and (not told or str(said).startswith("mine: no JSON"))


def test_fields_are_moved_copied_added_removed_kept_and_flattened() -> None:
    """Copies are of their own; `retain` leaves alone what no field of it is in."""
    body = {"a": {"x": 1, "y": [1]}, "b.c": 2, "d": 3}
    one, _, said = done(
        body,
        {"type": "copy", "from": "a", "to": "attributes.copied"},
        {"type": "move", "from": 'body["b.c"]', "to": "attributes['d.e']"},
        {"type": "add", "field": "resource.kept", "value": {"m": 1}},
        {"type": "add", "field": "attributes.copied.z", "value": "own"},
        {"type": "remove", "field": "body.a.x"},
        {"type": "flatten", "field": "body.a"},
        resource={"host": "h"},
    )
    assert said is None
    assert one.body == {"d": 3, "y": [1]}
    assert one.attributes == {"copied": {"x": 1, "y": [1], "z": "own"}, "d.e": 2}
    one, _, _ = done(
        {"a": 1, "b": 2}, {"type": "retain", "fields": ["body.a", "attributes.gone"]}, attributes={"x": 1}, resource={"r": 1}
    )  # fmt: skip
    assert (one.body, one.attributes, one.resource) == ({"a": 1}, {}, {"r": 1})
    for operator in ({"type": "move", "from": "x", "to": "y"}, {"type": "remove", "field": "attributes.x"}):
        assert "there is nothing" in str(done({}, operator)[2])


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ('attributes.level == "error"', True),
        ("attributes['level'] != 'error'", False),
        ('attributes["http.status"] >= 500 and attributes["http.status"] < 600', True),
        ('attributes["http.status"] > "x"', False),
        ("attributes.gone == nil", True),
        ("attributes.gone.deeper != nil", False),
        ('body matches "^\\\\{"', True),
        ("body matches `^{`", True),
        ("not (body startsWith '{') || body endsWith '!'", False),
        ('body contains "hi" && !(attributes.level in ["info", "debug"])', True),
        ('attributes.level not in ["error"]', False),
        ("attributes.flag == true", True),
        ("attributes.flag == 1", False),
        ("attributes.flag", True),
        ("attributes.level", False),
        ('severity_text == "" and severity < 9', True),
        ("resource?.host == 'h'", True),
    ],
)
def test_a_condition_says_which_entries_an_operator_works_on(condition: str, holds: bool) -> None:
    """`if` of any operator; `filter` drops what its `expr` holds of."""
    given: dict[str, Any] = {
        "attributes": {"level": "error", "http.status": 503, "flag": True},
        "resource": {"host": "h"},
    }
    body = '{"message": "hi"}'
    one, _, _ = done(body, {"type": "add", "field": "attributes.done", "value": 1, "if": condition}, **given)
    assert ("done" in one.attributes) is holds
    _, stays, said = done(body, {"type": "filter", "expr": condition}, **given)
    assert (stays, said) == (not holds, None)


@pytest.mark.parametrize(
    ("text", "column"),
    [("body ==", 8), ("len(body) > 3", 1), ("body = 1", 6), ("(body == 1", 11), ('body matches "("', 0), ("", 0),
     ("body[0] == 1", 6), ("attributes. == 2", 13), ("(" * 100, 51), ("body == 1 body", 11)],
)  # fmt: skip
def test_a_condition_that_cannot_be_read_says_where(text: str, column: int) -> None:
    """And what conditions can say."""
    with pytest.raises(Misfit) as caught:
        as_condition(text)
    if column:
        assert f"column {column}" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "layout", "text", "expected"),
    [
        ("strptime", "%Y-%m-%dT%H:%M:%S.%LZ", "2024-01-02T03:04:05.123Z", "1704164645123000000"),
        ("strptime", "%Y-%m-%d %H:%M:%S", "2024-01-02 03:04:05,678", "1704164645678000000"),
        ("strptime", "%Y-%m-%dT%H:%M:%S.%f%j", "2024-01-02T05:04:05.000000001+02:00", "1704164645000000001"),
        ("strptime", "%d/%b/%Y:%H:%M:%S %z", "02/Jan/2024:03:04:05 +0000", "1704164645000000000"),
        ("strptime", "%b %e %I:%M:%S %p %Y", "Jan  2 03:04:05 PM 2024", "1704207845000000000"),
        ("gotime", "2006-01-02T15:04:05.000Z07:00", "2024-01-02T03:04:05.250Z", "1704164645250000000"),
        ("gotime", "Jan 2 2006 15:04:05", "Jan 2 2024 03:04:05", "1704164645000000000"),
        ("epoch", "s", "1704164645", "1704164645000000000"),
        ("epoch", "ms", 1704164645123, "1704164645123000000"),
        ("epoch", "s.us", "1704164645.000001", "1704164645000001000"),
        ("epoch", "ns", 1704164645000000001, "1704164645000000001"),
    ],
)
def test_times_are_read_by_their_layout(kind: str, layout: str, text: Any, expected: str) -> None:
    """To the nanosecond."""
    assert reading_of(kind, layout, None if kind == "epoch" else "UTC")(text, NOW) == int(expected)


def test_a_time_without_a_year_is_of_this_one_or_the_last() -> None:
    """December's lines that are read in January are not of the year to come."""
    read = reading_of("strptime", "%b %d %H:%M:%S", "UTC")
    january = 1_704_164_645 * 10**9
    assert read("Dec 31 23:59:59", january) == 1_704_067_199 * 10**9
    assert read("Jan 02 03:04:05", january) == january


def test_severities_are_told_by_presets_and_mappings() -> None:
    """Words in any case, numbers, ranges and the classes of HTTP."""
    mapping = {"error": ["oops", "5xx"], "warn": {"min": 400, "max": 499}, "info2": 200, "default": ["unknown"]}
    for value, number in (
        ("OOPS", 17), (503, 17), ("404", 13), (200, 10), ("fatal4", 24), ("WARNING", 13), ("unknown", 0), ("dunno", 0),
    ):  # fmt: skip
        operator = {"type": "severity_parser", "parse_from": "body.level", "mapping": mapping, "overwrite_text": True}
        one, _, _ = done({"level": value}, operator)
        assert one.severity == number, value
    assert one.severity_text == ""
    one, _, _ = done({"level": "OOPS"}, {**operator, "overwrite_text": False})
    assert one.severity_text == "OOPS"


def test_paths_are_the_collectors() -> None:
    """With no root they are in the body; a key with dots is in brackets."""
    assert as_path("a.b") == ("body", ("a", "b"))
    assert as_path('attributes["a.b"].c') == ("attributes", ("a.b", "c"))
    assert as_path("resource") == ("resource", ())
    for bad in ("", "a..b", 'attributes["x', "a b]", 7):
        with pytest.raises(ValueError, match="a field such as"):
            as_path(bad)


CONFIG = """\
receivers:
  filelog:
    include: [/logs/*.log]
    operators:
      - {%s}
exporters: {debug: }
service: {pipelines: {logs: {receivers: [filelog], exporters: [debug]}}}
"""


@pytest.mark.parametrize(
    ("operator", "said"),
    [
        ("type: csv_parser, header: a", "no operator csv_parser here: let the program write JSON lines"),
        ("type: recombine", "use multiline"),
        ("type: router", "use the processors filter, transform"),
        ("type: jsn_parser", "did you mean 'json_parser'?"),
        ("type: json_parser, parse_form: body", "parse_form"),
        ("type: json_parser, output: other", "output is not followed here"),
        ("type: json_parser, if: 'len(body) > 3'", "column 1"),
        ("type: regex_parser, regex: '(a'", "not a regular expression"),
        ("type: regex_parser, regex: 'abc'", "named groups"),
        ("type: time_parser, parse_from: a, layout: '%Q'", "%Q is none"),
        ("type: time_parser, parse_from: a, layout: '%Y', location: Nowhere/Here", "Nowhere/Here is not known"),
        ("type: severity_parser, parse_from: a, mapping: {loud: x}", "not loud"),
        ("type: add, field: a, value: EXPR(1)", "use the processor transform"),
        ("type: move, from: a", "to: missing"),
    ],
)
def test_what_is_not_supported_is_refused_by_file_line_and_name(operator: str, said: str) -> None:
    """And says what to do instead."""
    with pytest.raises(BadConfig) as caught:
        check(read_sources(Sources((f"yaml:{CONFIG % operator}",), ()), {}), Catalog())
    (problem,) = caught.value.problems
    assert problem.place.line == 5
    assert problem.keys[:4] == ("receivers", "filelog", "operators", 0)
    assert said in ": ".join([*map(str, problem.keys), problem.said])


def test_every_operator_that_is_named_can_be_had() -> None:
    """None is refused as unknown."""
    for name in OPERATORS:
        try:
            _ADAPTER.validate_python([{"type": name}])
        except ValidationError as fault:
            assert "there is no operator" not in str(fault)
