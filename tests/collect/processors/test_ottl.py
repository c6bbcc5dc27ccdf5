"""OTTL: what each converter and editor does, what comparing means, and that only its own error comes out of any text."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from build_examples import examples
from build_processors import (
    SPAN,
    TRACE,
    a_host,
    a_log,
    a_processor,
    a_span,
    a_sum,
    attributes,
    body,
    logs,
    metrics,
    process,
    records,
    resource_of,
    spans,
)
from build_requests import requests
from whence.collect.batch import Batch
from whence.collect.ottl.compile import Scope, condition
from whence.collect.ottl.errors import OttlError
from whence.collect.ottl.functions import CONVERTERS, EDITORS
from whence.collect.ottl.parse import parse_condition, parse_statement
from whence.collect.ottl.statements import condition_of, statement_of
from whence.collect.records.draft import Draft
from whence.collect.records.walk import Place
from whence.otlp import wire

NOW = 1767225600_123456789
BEFORE = {
    "s": "Hello World",
    "i": 7,
    "d": 2.5,
    "b": True,
    "m": {"x": {"y": [1, "two"]}},
    "l": [3, 1, 2],
    "raw": b"\x00\xff",
}


def value_of(expression: str) -> Any:
    """What an expression gives at a log record with the attributes above."""
    batch = logs(a_log("user=ada id=7", BEFORE, traceId=TRACE, spanId=SPAN, severityNumber=17))
    rule = {"context": "log", "statements": [f'set(attributes["found"], {expression})']}
    after = process("transform", {"log_statements": [rule]}, batch, a_host(now=lambda: NOW))
    return attributes(records(after)[0]).get("found")


CONVERSIONS = [
    ('Concat([attributes["s"], 1, true], "-")', "Hello World-1-true"),
    ('Split("a,b,,c", ",")', ["a", "b", "", "c"]),
    ('Substring(attributes["s"], 6, 5)', "World"),
    ('ToLowerCase(attributes["s"])', "hello world"),
    ('ToUpperCase(attributes["s"])', "HELLO WORLD"),
    ('ConvertCase("someHTTPName", "snake")', "some_http_name"),
    ('ConvertCase("some_name", "camel")', "SomeName"),
    ('ToSnakeCase("aB")', "a_b"),
    ('ToCamelCase("a-b")', "AB"),
    ('Trim("--a--", "-")', "a"),
    ('TrimPrefix("abc", "ab")', "c"),
    ('TrimSuffix("abc", "bc")', "a"),
    ('HasPrefix(attributes["s"], "He")', True),
    ('HasSuffix(attributes["s"], "He")', False),
    ('IsMatch(attributes["s"], "^H.*d$")', True),
    ('IsMatch(attributes["none"], ".*")', False),
    ('IsMatch(attributes["i"], "7")', True),
    ('IsString(attributes["s"])', True),
    ('IsInt(attributes["b"])', False),
    ('IsInt(attributes["i"])', True),
    ('IsDouble(attributes["d"])', True),
    ('IsBool(attributes["b"])', True),
    ('IsMap(attributes["m"])', True),
    ('IsList(attributes["l"])', True),
    ("IsInCIDR(\"10.1.2.3\", [\"192.168.0.0/16\", \"10.0.0.0/8\"])", True),
    ('IsValidLuhn("4111 1111 1111 1111")', True),
    ('Len(attributes["l"])', 3),
    ("Len(attributes)", 7),
    ('Int("12")', 12),
    ('Int("x")', None),
    ("Int(2.9)", 2),
    ('Double("1.5")', 1.5),
    ("String(7)", "7"),
    ("String(attributes[\"l\"])", "[3,1,2]"),
    ('Bool("true")', True),
    ('ParseInt("ff", 16)', 255),
    ('ParseJSON("{\\"a\\": [1, {\\"b\\": null}]}")["a"][0]', 1),
    ('ParseKeyValue(body)["user"]', "ada"),
    ('ParseKeyValue("a:1|b:\'x|y\'", ":", "|")', {"a": "1", "b": "x|y"}),
    ('ParseCSV("1,\\"b,c\\"", "x,y")', {"x": "1", "y": "b,c"}),
    ('ToKeyValueString({"b": 1, "a": "x y"}, "=", " ", true)', 'a="x y" b=1'),
    ('ExtractPatterns(body, "user=(?P<who>\\\\w+)")', {"who": "ada"}),
    ('ExtractPatterns(body, "nobody=(?P<who>\\\\w+)")', {}),
    ('Format("%s is %05d, %.1f%% %v", ["x", 42, 99.5, true])', "x is 00042, 99.5% true"),
    ('SHA256("a")', "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
    ('SHA1("a")', "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"),
    ('MD5("a")', "0cc175b9c0f1b6a831c399e269772661"),
    ('FNV("a")', -5808556873153909620),
    ('Hex("A")', "41"),
    ("Hex(255)", "00000000000000ff"),
    ('Base64Decode("aGk=")', "hi"),
    ('Base64Encode("hi")', "aGk="),
    ('Decode("6869", "hex")', "hi"),
    ("Len(UUID())", 36),
    ("UnixNano(Now())", NOW),
    ("UnixSeconds(time)", 1767225600),
    ('UnixMilli(Time("2026-01-01 01:00:00", "%Y-%m-%d %H:%M:%S", "Europe/Berlin"))', 1767225600000),
    ('UnixNano(Time("2026-01-01T00:00:00.25+01:00", "%Y-%m-%dT%H:%M:%S.%f%z"))', 1767222000_250000000),
    ('FormatTime(Now(), "%F %T")', "2026-01-01 00:00:00"),
    ("UnixMicro(Unix(1, 5000))", 1000005),
    ('UnixSeconds(TruncateTime(Now(), Duration("1h")))', 1767225600),
    ('Nanoseconds(Duration("1.5s"))', 1500000000),
    ('Milliseconds(Now() - Unix(1767225600))', 123),
    ('Seconds(Duration("-90s"))', -90.0),
    ('Minutes(Duration("1h30m"))', 90.0),
    ('Hours(Duration("90m"))', 1.5),
    ('Len(SHA512("a"))', 128),
    ('Microseconds(Duration("1ms"))', 1000),
    ("Year(Now())", 2026),
    ("Month(Now())", 1),
    ("Day(Now())", 1),
    ("Minute(Now() + Duration(\"61s\"))", 1),
    ("Second(Now() + Duration(\"61s\"))", 1),
    ("Weekday(Now())", 4),
    ("Hour(Now())", 0),
    ("Nanosecond(Now())", 123456789),
    ("Sort(attributes[\"l\"])", [1, 2, 3]),
    ('Sort(["b", "a"], "desc")', ["b", "a"]),
    ('Index(attributes["l"], 2)', 2),
    ('ContainsValue(attributes["l"], 9)', False),
    ('Coalesce([attributes["none"], "x"])', "x"),
    ("Keys({\"a\": 1})", ["a"]),
    ("Values({\"a\": 1})", [1]),
    ("Log(1)", 0.0),
    ("trace_id.string", TRACE),
    ("span_id", bytes.fromhex(SPAN)),
    ('attributes["m"]["x"]["y"][1]', "two"),
    ('attributes["m"]["none"]["y"]', None),
    ("1 + 2 * 3 - 8 / 4", 5),
    ("-7 / 2", -3),
    ("(1 + 2) * 1.5", 4.5),
    ("-attributes[\"i\"]", -7),
    ("SEVERITY_NUMBER_ERROR", 17),
    ("severity_number + 1", 18),
    ("[1, \"a\", {\"k\": nil}]", [1, "a", {"k": None}]),
    ("0x00ff", b"\x00\xff"),
    ("body.string", "user=ada id=7"),
    ("instrumentation_scope.name", "app"),
    ("resource.attributes[\"service.name\"]", "shop"),
    ("nil", None),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "value"), CONVERSIONS)
def test_an_expression_gives(expression: str, value: Any) -> None:
    """Each converter once or more, kinds and all."""
    found = value_of(expression)
    assert found == value
    assert type(found) is type(value)


def test_every_converter_and_editor_is_tested_here() -> None:
    """One that is added comes with its line."""
    told = " ".join([text for text, _ in CONVERSIONS] + [text for text, _ in EDITS] + [text for text, _ in TRUTHS])
    assert [name for name in (*CONVERTERS, *EDITORS) if f"{name}(" not in told] == []


TRUTHS = [
    ('attributes["i"] == 7', True),
    ('attributes["i"] == 7.0', True),
    ('attributes["i"] == "7"', False),
    ('attributes["i"] != "7"', True),
    ('attributes["i"] < "8"', False),
    ('attributes["none"] == nil', True),
    ('attributes["none"] != nil', False),
    ('attributes["none"] < 5', False),
    ('attributes["s"] > "Hello"', True),
    ('attributes["b"] == true', True),
    ('attributes["l"] == [3, 1, 2]', True),
    ('attributes["raw"] == 0x00ff', True),
    ('attributes["m"] == {"x": {"y": [1, "two"]}}', True),
    (f'trace_id == TraceID("{TRACE}") and span_id == SpanID("{SPAN}")', True),
    ("severity_number >= SEVERITY_NUMBER_WARN and not (body == nil)", True),
    ("true and false or true", True),
    ("not true or not false", True),
    ("not (true or false)", False),
    ('time < Now() and Now() - time < Duration("1m")', True),
    ('IsMatch(body, "user") and IsRootSpan()', True),
]


@pytest.mark.parametrize(("text", "answer"), TRUTHS)
def test_a_condition_answers(text: str, answer: bool) -> None:
    """Values of different kinds are unequal and have no order; nothing raises."""
    record = a_log("user=ada id=7", BEFORE, traceId=TRACE, spanId=SPAN, severityNumber=17)
    place = Place(Draft({}), Draft({}))
    place.record = Draft(record)
    assert condition_of(text, "log", lambda: NOW)(place) is answer


EDITS: list[tuple[str, dict[str, Any]]] = [
    ('set(attributes["n"]["a"]["b"], 1)', {"n": {"a": {"b": 1}}}),
    ('set(attributes["l"][1], 9)', {"l": [3, 9, 2]}),
    ('set(attributes["i"], nil)', {}),
    ('delete_key(attributes, "s")', {"s": None}),
    ('delete_key(attributes["m"]["x"], "y")', {"m": {"x": {}}}),
    ('delete_key(attributes["none"], "y")', {}),
    ('delete_matching_keys(attributes, "^[sidb]$")', {"s": None, "i": None, "d": None, "b": None}),
    ('keep_keys(attributes, ["i", "d", "b", "m", "l", "raw"])', {"s": None}),
    ('keep_matching_keys(attributes, "^[^s]")', {"s": None}),
    ("truncate_all(attributes, 4)", {"s": "Hell"}),
    ('limit(attributes, 6, ["raw"])', {"l": None}),
    ('replace_pattern(attributes["s"], "(?P<first>\\\\w+) (\\\\w+)", "${2}, $first")', {"s": "World, Hello"}),
    ('replace_pattern(attributes["s"], "o", "$$")', {"s": "Hell$ W$rld"}),
    ('replace_pattern(attributes["s"], "World", "$0", MD5, "<%s>")', {"s": "Hello <f5a7924e621e84c9280a9a27e1bcb7f6>"}),
    ('replace_pattern(attributes["i"], "7", "8")', {}),
    ('replace_match(attributes["s"], "Hello*", "x")', {"s": "x"}),
    ('replace_all_patterns(attributes, "value", "[aeiou]", "_")', {"s": "H_ll_ W_rld"}),
    ('replace_all_patterns(attributes, "key", "^s$", "text")', {"s": None, "text": "Hello World"}),
    ('replace_all_matches(attributes, "*World", "x")', {"s": "x"}),
    ('merge_maps(attributes, {"i": 8, "new": [1]}, "upsert")', {"i": 8, "new": [1]}),
    ('merge_maps(attributes, {"i": 8, "new": 1}, "insert")', {"new": 1}),
    ('merge_maps(attributes, {"i": 8, "new": 1}, "update")', {"i": 8}),
    ("flatten(attributes)", {"m": None, "m.x.y.0": 1, "m.x.y.1": "two", "l": None, "l.0": 3, "l.1": 1, "l.2": 2}),
    ('flatten(attributes["m"], "p", depth=1)', {"m": {"p.x.y": [1, "two"]}}),
    ('append(attributes["l"], 4)', {"l": [3, 1, 2, 4]}),
    ('append(attributes["s"], values=["x"])', {"s": ["Hello World", "x"]}),
]


@pytest.mark.parametrize(("statement", "change"), EDITS)
def test_an_editor_does(statement: str, change: dict[str, Any]) -> None:
    """What is not named stays: the very objects of the tree that came in."""
    batch = logs(a_log("x", BEFORE))
    rule = {"context": "log", "statements": [statement]}
    after = process("transform", {"log_statements": [rule]}, batch)
    wanted = {key: value for key, value in {**BEFORE, **change}.items() if value is not None}
    assert attributes(records(after)[0]) == wanted
    before = {id(pair["value"]) for pair in records(batch)[0]["attributes"]}
    same = {pair["key"] for pair in records(after)[0]["attributes"] if id(pair["value"]) in before}
    assert same >= BEFORE.keys() - change.keys()


def test_the_fields_of_each_context_can_be_read_and_set() -> None:
    """Spans, span events, metrics and data points, and what is around them."""
    batch = spans(a_span(kind=2, status={"code": 2}, events=[{"name": "e", "timeUnixNano": "5"}], parentSpanId=SPAN))
    statements = [
        'set(span.name, Concat([span.kind.string, span.name], " "))',
        "set(span.status.code, STATUS_CODE_OK) where span.status.code == STATUS_CODE_ERROR",
        'set(span.status.message, "fine")',
        "set(span.attributes[\"ms\"], Milliseconds(span.end_time - span.start_time))",
        'set(spanevent.name, Concat([span.name, spanevent.name, spanevent.event_index], "/"))',
        'set(resource.attributes["scope"], scope.name)',
        "set(scope.version, \"2\")",
        "set(span.parent_span_id, SpanID(\"0000000000000000\"))",
    ]  # fmt: skip
    after = process("transform", {"trace_statements": statements}, batch)
    span = records(after)[0]
    assert span["name"] == "Server GET /"
    assert span["status"] == {"code": 1, "message": "fine"}
    assert attributes(span) == {"ms": 100}
    assert span["events"][0]["name"] == "Server GET //e/0"
    assert "parentSpanId" not in span
    assert "scope" not in resource_of(batch)
    assert after.tree["resourceSpans"][0]["scopeSpans"][0]["scope"] == {"name": "app", "version": "2"}


def test_metrics_and_their_data_points_can_be_changed() -> None:
    """The value of a point is one of two kinds: to set one takes the other away."""
    batch = metrics(a_sum("n", {"a": 1}, {"a": 2}))
    statements = [
        'set(metric.name, "m") where metric.type == METRIC_DATA_TYPE_SUM and metric.is_monotonic == true',
        "set(datapoint.value_double, datapoint.value_int * 2.5) where datapoint.attributes[\"a\"] == 2",
        "set(metric.is_monotonic, false)",
        'set(datapoint.attributes["unit"], metric.unit)',
    ]  # fmt: skip
    metric = records(process("transform", {"metric_statements": statements}, batch))[0]
    assert metric["name"] == "m"
    assert "isMonotonic" not in metric["sum"]
    first, second = metric["sum"]["dataPoints"]
    assert first["asInt"] == "1"
    assert second["asDouble"] == 2.5
    assert "asInt" not in second


def test_a_group_has_conditions_a_cache_and_its_own_error_mode() -> None:
    """Conditions are any-of; the cache lives as long as the statements are at one place."""
    batch = logs(a_log("1"), a_log("x"), a_log("3"))
    group = {
        "context": "log",
        "conditions": ['body == "1"', 'body == "x"'],
        "error_mode": "ignore",
        "statements": ['set(cache["n"], ParseInt(body, 10))', 'set(attributes["n"], cache["n"] + 1)'],
    }
    found = records(process("transform", {"log_statements": [group]}, batch))
    assert [attributes(record) for record in found] == [{"n": 2}, {}, {}]
    assert [body(record) for record in found] == ["1", "x", "3"]


WRONG = [
    ("set(attributes[\"a\"], 1", "it ends too early"),
    ("st(attributes, 1)", "the editor st is not supported; did you mean set"),
    ("set(atributes, 1)", "did you mean attributes"),
    ("set(body, Concatt([1], \"\"))", "the converter Concatt is not supported; did you mean Concat"),
    ("set(body, ParseXML(body))", "the converter ParseXML is not supported"),
    ("set(severity_number, SEVERITY_NUMBER_EROR)", "did you mean SEVERITY_NUMBER_ERROR"),
    ("set(span.name, 1)", "span is not seen from the context log"),
    ("set(\"x\", 1)", "changes what is named by a path"),
    ("set(body.string[\"x\"], 1) where body", "this is no condition"),
    ("set(body)", "set needs value"),
    ("set(body, 1, 2)", "set takes 2 arguments"),
    ("set(body, valu=1)", "no parameter valu"),
    ("set(body, 1 == 2)", "a condition stands where a value is expected"),
    ("set(body, \"\\d\")", "a backslash that means nothing"),
    ("set(body, 99999999999999999999)", "more than 64 bits"),
    ("replace_pattern(body, \"(?=x)\", \"\")", "not a regular expression"),
    ("replace_pattern(body, \"((a{1000}){1000})\", \"\")", "regular expression"),
    ("replace_pattern(body, \"a\", \"b\", Concat)", "does not take exactly one value"),
    ("set(body, \"" + "x" * 20000 + "\")", "of at most 16,384"),
    ("set(body, " + "(" * 70 + "1" + ")" * 70 + ")", "deeper than 64"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_a_wrong_statement_is_refused_with_place_and_nearest_name(text: str, said: str) -> None:
    """When the configuration is read; nothing is skipped silently."""
    with pytest.raises(OttlError, match="(?s)cannot read the OTTL at column .*" + said.replace("(", r"\(")) as caught:
        statement_of(text, "log", lambda: 0)
    assert str(caught.value).endswith("^")


SECRET = "canary-4711"
FAILING = [
    'ParseInt(body, 10)', 'ParseJSON(body)', 'ParseKeyValue(body)', 'Time(body, "%Y")', 'Duration(body)',
    'IsInCIDR(body, ["10.0.0.0/8"])', 'TraceID(body)', 'Base64Decode(body)', 'Format("%d", [body])', 'body + 1',
    'body["x"]', 'Log(body)', 'IsMatch(body, Concat([body, "("], ""))', 'ParseCSV(body, "a,b")',
    'Substring(body, 5, 500)', 'Hour(body)', 'Sort(body)', 'Decode(body, "hex")', 'ConvertCase(body, body)',
    'Sort([body], body)', 'Time("2026", "%Y", body)', 'Decode("x", body)',
    'FormatTime(time, Concat(["%", body], ""))',
]  # fmt: skip


@pytest.mark.parametrize("expression", FAILING)
def test_a_failure_does_not_tell_what_the_record_holds(expression: str, caplog: pytest.LogCaptureFixture) -> None:
    """What is to be hidden later must not be in the log already; the record passes."""
    batch = logs(a_log(SECRET))
    rule = {"context": "log", "statements": [f'set(attributes["found"], {expression})']}
    assert process("transform", {"error_mode": "ignore", "log_statements": [rule]}, batch) is batch
    assert "could not carry out" in caplog.text
    assert SECRET not in caplog.text


def test_failures_are_told_now_and_then_with_their_number(caplog: pytest.LogCaptureFixture) -> None:
    """A thousand wrong records are two lines."""
    times = [0.0]
    host = a_host("transform", monotonic=lambda: times[-1])
    run = a_processor(
        "transform", {"error_mode": "ignore", "log_statements": ["set(log.body, ParseInt(log.body, 10))"]}, host
    )
    for now in (0.0, 5.0, 20.0):
        times.append(now)
        run(logs(*[a_log("x")] * 500))
    assert [record.getMessage().split(" records")[0].split()[-1] for record in caplog.records] == ["1", "1000"]


@examples(12)
@given(data=st.data())
def test_no_record_whatever_makes_a_right_statement_raise(data: st.DataObject) -> None:
    """Every statement of this file, on log records of any shape: changed, or left as they are, and OTLP still."""
    body = data.draw(requests("logs")).SerializeToString()
    batch = Batch("logs", tree=wire.tree_of_protobuf("logs", body))
    texts = [f'set(attributes["found"], {text})' for text, _ in CONVERSIONS] + [text for text, _ in EDITS]
    texts += [f'set(attributes["truth"], true) where {text}' for text, _ in TRUTHS]
    texts += [f"set(body, {text})" for text in FAILING]
    rules = [{"context": "log", "statements": data.draw(st.lists(st.sampled_from(texts), min_size=20, max_size=20))}]
    after = process("transform", {"error_mode": "silent", "log_statements": rules}, batch)
    assert after is not None
    after.lines()
    after.protobuf()


PIECES = st.sampled_from(
    ["set", "(", ")", "attributes", "[", "]", '"a"', ",", "where", "and", "or", "not", "==", "<", "1", "2.5", "0xff", "-",
     "+", "*", "/", "nil", "true", "Concat", "IsMatch", "body", ".", "=", "{", "}", ":", "STATUS_CODE_OK", "span", '"', "\\",
     "é", "\x00", "\ud800", "resource", "delete_key", "name"]
)  # fmt: skip
GARBAGE = st.one_of(st.text(max_size=40), st.lists(PIECES, max_size=25).map(" ".join), st.lists(PIECES).map("".join))


@examples(120)
@given(GARBAGE)
@example('set(body,"\ud800")')
@example("-" * 500 + "1")
@example("not " * 500 + "true")
@example("1" + "+1" * 500 + "==2")
@example("[" * 5000)
@example('set(body, "\\ud800")')
@example('set(body, "\\UFFFFFFFF")')
def test_no_text_whatever_raises_anything_but_its_own_error(text: str) -> None:
    """A statement, a condition, or OttlError."""
    for parse in (parse_statement, parse_condition):
        try:
            tree = parse(text)
        except OttlError:
            continue
        try:
            if parse is parse_condition:
                condition(tree, Scope(text, "log", False, lambda: 0))  # type: ignore[arg-type]
            else:
                statement_of(text, "log", lambda: 0)
        except OttlError:
            pass


def test_time_s_parts_are_those_of_its_location() -> None:
    """A time read in a location keeps it."""
    text = 'Hour(Time("2026-07-01 12:00:00", "%Y-%m-%d %H:%M:%S", "Europe/Berlin"))'
    assert value_of(text) == 12
