"""Tempo's API over real HTTP, as Grafana's data source asks it: protobuf traces, TraceQL, tags, and refusals by name."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from build import START, an_event
from build_serve import READER, TOKENS, Client, a_client
from build_traces import SECOND, a_whole_span, span_id, trace_id, write_traces
from whence.serve.tempo.tags import ROWS

PROTOBUF = {"Accept": "application/protobuf"}
SPANS = [
    a_whole_span(1, 1, "GET /", service="web", at=1, took=2, kind="server", attributes={"http.status": 200, "a b": "x"}),
    a_whole_span(1, 2, "query", service="db", parent=1, at=2, took=0.05, kind="client", status="error",
                 message="too slow", attributes={"http.status": "200", "ok": True}),
    a_whole_span(2, 3, "GET /", service="web", at=3, took=1, kind="server", status="ok",
                 attributes={"http.status": 500, "share": 0.5}, resource={"zone": "eu"}, scope={"name": "lib", "version": "2"}),
    a_whole_span(3, 4, "sleep", service="cron", at=4, took=0, kind="", scope_attributes={"s": "t"}),
    an_event("alone", run="r1", id="01KDV000000000000000000001", time=START + 5 * SECOND),
]  # fmt: skip
RUN = 9


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with a_client(write_traces(tmp_path_factory.mktemp("tempo") / "a", SPANS)) as client:
        yield client


def found(client: Client, q: str, **more: Any) -> list[int]:
    """The numbers of the traces that are found; that of the run's own events is RUN."""
    traces = client.get("/tempo/api/search", q=q, **more)["traces"]
    numbers = [int(one["traceID"], 16) for one in traces]
    return [number if number < 10 else RUN for number in numbers]


QUERIES = [
    ("", [RUN, 3, 2, 1]),
    ("{}", [RUN, 3, 2, 1]),
    ('{ resource.service.name = "web" }', [2, 1]),
    ('{resource.service.name="web"&&span.http.status=500}', [2]),
    ("{ .http.status = 200 }", [1]),
    ('{ .http.status = "200" }', [1]),
    ("{ span.http.status >= 200 }", [2, 1]),
    ("{ 400 < span.http.status }", [2]),
    ("{ span.http.status != 200 }", [2, 1]),  # the text "200" is not the number
    ('{ span."a b" = `x` }', [1]),
    ("{ span.ok }", [1]),
    ("{ span.share = 0.5 }", [2]),
    ('{ resource.zone =~ "e." }', [2]),
    ('{ resource.zone =~ "e" }', []),
    ('{ name !~ "GET.*|alone" }', [3, 1]),
    ("{ span.share = nil && resource.service.name != nil }", [RUN, 3, 1]),
    ("{ span.share != nil }", [2]),
    ("{ status = error }", [1]),
    ("{ status = ok }", [2]),
    ('{ status = unset && name != "alone" }', [3, 1]),
    ("{ status != error && duration > 1500ms }", [1]),
    ("{ kind = client }", [1]),
    ('{ kind != server && name != "alone" }', [3, 1]),
    ("{ kind = unspecified && span:duration < 1ms }", [3]),
    ("{ duration >= 1s && duration <= 1s }", [2]),
    ('{ statusMessage = "too slow" }', [1]),
    ('{ instrumentation:name = "lib" || instrumentation.s = "t" }', [3, 2]),
    ('{ (name = "query" || name = "sleep") && !(status = error) }', [3]),
    ('{ name = "GET /" && status = error }', []),
    (f'{{ trace:id = "{trace_id(3)}" }}', [3]),
    ('{ name = "alone" }', [RUN]),
    ("{ traceDuration >= 1s && traceDuration < 2s }", [2]),
    ('{ span.http.status = "200" && trace:duration > 1s }', [1]),
    ('{ rootServiceName = "web" && name = "query" }', [1]),
    ('{ (trace:rootService =~ "we.|cron" && rootName != "GET /") }', [3]),
    ('{ "GET /" = trace:rootName && status = ok }', [2]),
    ('{ rootName !~ "GET.*" }', [RUN, 3]),
    ("{ true }", [RUN, 3, 2, 1]),
    ("{ false }", []),
]


@pytest.mark.parametrize(("q", "numbers"), QUERIES, ids=[q for q, _ in QUERIES])
def test_traceql_finds_the_traces_with_such_a_span(q: str, numbers: list[int], client: Client) -> None:
    """All conditions of one span, compared by type, the newest first."""
    assert found(client, q) == numbers


REFUSED = [
    ("{} >> {}", "the operator '>>' between sets of spans"),
    ("{} && {}", "the operator '&&' between sets of spans"),
    ("{} | count() > 2", "the pipeline '| count() > 2'"),
    ("{ traceDuration > 1s || name = `x` }", "traceDuration inside `||`"),
    ("{ !(rootName = `x`) }", "join it to the rest with `&&`"),
    ("{ rootName > `x` }", "use =, !=, =~ or !~"),
    ("{ trace:duration = `x` }", "give a duration such as 100ms"),
    ("{ childCount > 1 }", "childCount"),
    ('{ event.name = "x" }', "event.name"),
    ("{ link.x = 1 }", "link.x"),
    ("{ parent.x = 1 }", "parent.x"),
    ("{ .a = .b }", "cannot compare .a with .b"),
    ("{ span:nonsense = 1 }", "span:nonsense"),
    ("{ .a + 1 = 2 }", "at character 6"),
    ("{", "at character"),
    ("service = x", "at character 1"),
    ("{ name = ok }", "write a text in quotes"),
    ("{ status = fine }", "use = or != with error, ok, unset"),
    ("{ kind > server }", "use = or != with"),
    ('{ duration = "long" }', "give a duration such as 100ms"),
    ('{ .a =~ "(" }', "cannot use the regular expression"),
    ("{ .a =~ 3 }", "write it in quotes"),
    ("{" + "(" * 60 + "true" + ")" * 60 + "}", "deeper than 50"),
]


@pytest.mark.parametrize(("q", "said"), REFUSED, ids=[q[:30] for q, _ in REFUSED])
def test_what_is_not_known_is_refused_by_name(q: str, said: str, client: Client) -> None:
    """400 and a line that says what it is."""
    reply = client.ask("/tempo/api/search", q=q)
    assert reply.status == 400
    assert said in reply.body.decode()


def test_a_found_trace_has_what_grafana_lists(client: Client) -> None:
    """Its root, times, and at most `spss` of its spans that match, with how many there are."""
    [one] = client.get("/tempo/api/search", q='{ resource.service.name = "db" }', spss=1)["traces"]
    assert one == {
        "traceID": trace_id(1), "rootServiceName": "web", "rootTraceName": "GET /",
        "startTimeUnixNano": str(START + SECOND), "durationMs": 2000,
        "spanSets": [{
            "spans": [{
                "spanID": f"{2:016x}", "name": "query", "startTimeUnixNano": str(START + 2 * SECOND), "durationNanos": "50000000",
                "attributes": [{"key": "service.name", "value": {"stringValue": "db"}}],
            }],
            "matched": 1,
        }],
        "serviceStats": {"web": {"spanCount": 1, "errorCount": 0}, "db": {"spanCount": 1, "errorCount": 1}},
    }  # fmt: skip
    [one] = client.get("/tempo/api/search", q="{ .http.status != nil }", spss=1, limit=1, end=START // SECOND + 2)[
        "traces"
    ]
    assert (len(one["spanSets"][0]["spans"]), one["spanSets"][0]["matched"]) == (1, 2)


def test_windows_and_limits_bound_what_is_found(client: Client) -> None:
    """In seconds; of a span's start."""
    second = START // SECOND
    assert found(client, "{}", start=second + 3, end=second + 4) == [3, 2]
    assert found(client, "{}", limit=2) == [RUN, 3]
    for wrong in ({"start": "soon"}, {"limit": "-1"}, {"tags": "a=b"}, {"minDuration": "1s"}):
        assert client.ask("/tempo/api/search", **wrong).status == 400


def test_what_is_asked_about_whole_traces_is_looked_for_until_enough_are_found(tmp_path: Path) -> None:
    """Behind more traces that fit the rest than are looked at together at first; the oldest is the only one that took long."""
    many = [a_whole_span(n, n, "quick", at=n, took=0.5) for n in range(2, 130)]
    with a_client(write_traces(tmp_path / "a", [a_whole_span(1, 1, "slow", at=0, took=100), *many])) as client:
        assert found(client, "{ traceDuration > 50s }") == [1]
        assert len(found(client, "{ traceDuration < 50s }", limit=110)) == 110


def test_times_and_counts_fit_into_tempos_32_bits(tmp_path: Path) -> None:
    """A trace of years would make Grafana refuse everything that is found with it."""
    spans = [a_whole_span(1, 1, took=10**8), a_whole_span(2, 2, took=-5)]
    with a_client(write_traces(tmp_path / "a", spans)) as client:
        traces = client.get("/tempo/api/search", q="{}")["traces"]
    assert sorted(one["durationMs"] for one in traces) == [0, 2**32 - 1]


@pytest.mark.parametrize("path", ["query", "query_range"])
def test_metrics_are_refused_by_name(path: str, client: Client) -> None:
    """Grafana asks for them elsewhere, and shows the text of the answer."""
    reply = client.ask(f"/tempo/api/metrics/{path}", q="{} | rate() by (name)", start=1, end=2, step="1s")
    assert (reply.status, "the pipeline '| rate()" in reply.body.decode()) == (400, True)
    assert b"cannot compute metrics" in client.ask(f"/tempo/api/metrics/{path}", q="{}").body


def test_a_trace_comes_as_protobuf_or_json(client: Client) -> None:
    """v2 inside its answer, v1 bare, with a resource, scope and status everywhere; 404 for an unknown one."""
    bare = client.ask("/tempo/api/traces/1", headers=PROTOBUF)
    assert bare.headers["content-type"] == "application/protobuf"
    whole = TracesData.FromString(bare.body)
    spans = [span for group in whole.resource_spans for part in group.scope_spans for span in part.spans]
    assert {span.name for span in spans} == {"GET /", "query"}
    assert all(span.HasField("status") for span in spans)
    inside = client.ask(f"/tempo/api/v2/traces/{trace_id(1)}", headers=PROTOBUF).body
    assert (inside[:1], inside.endswith(bare.body)) == (b"\x0a", True)
    assert len(client.get("/tempo/api/v2/traces/1")["trace"]["resourceSpans"]) == 2
    assert len(client.get("/tempo/api/traces/1")["batches"]) == 2
    for path in ("/tempo/api/traces/ffff", "/tempo/api/v2/traces/ffff"):
        assert client.ask(path, headers=PROTOBUF).status == 404
    assert client.ask("/tempo/api/traces/nothex!").status == 400


def test_no_resource_and_no_scope_are_given_so_that_grafana_draws_them(tmp_path: Path) -> None:
    """A resource with at least one attribute, an empty scope, an empty status."""
    with a_client(write_traces(tmp_path / "a", [a_whole_span(1, 1, service=None, scope={})])) as client:
        whole = TracesData.FromString(client.ask("/tempo/api/traces/1", headers=PROTOBUF).body)
    [group] = whole.resource_spans
    assert group.resource.attributes[0].value.string_value == "unknown_service"
    assert group.scope_spans[0].HasField("scope")
    assert group.scope_spans[0].spans[0].HasField("status")


def test_events_shown_as_spans_have_all_that_grafana_takes_for_granted(tmp_path: Path) -> None:
    """A run's own, one whose span is not there, one on a span: a missing status would end Grafana's plugin."""
    events = [
        an_event("asked", run="r1"),
        an_event("of a lost span", trace=trace_id(2), span=span_id(9)),
        a_whole_span(2, 3, service=None, scope={}),
        an_event("on it", trace=trace_id(2), span=span_id(3)),
    ]
    with a_client(write_traces(tmp_path / "a", events)) as client:
        traces = client.get("/tempo/api/search", q="{}")["traces"]
        assert len(traces) == 2
        for trace in traces:
            whole = TracesData.FromString(client.ask(f"/tempo/api/traces/{trace['traceID']}", headers=PROTOBUF).body)
            spans = [span for group in whole.resource_spans for part in group.scope_spans for span in part.spans]
            assert len(spans) == (2 if int(trace["traceID"], 16) == 2 else 1)
            assert all(span.HasField("status") for span in spans)
            assert all(group.resource.attributes for group in whole.resource_spans)
            assert all(part.HasField("scope") for group in whole.resource_spans for part in group.scope_spans)
            keyed = [pair for span in spans for of in (span, *span.events, *span.links) for pair in of.attributes]
            assert all(pair.value.WhichOneof("value") for pair in keyed)


def test_tags_and_their_values_are_listed(client: Client) -> None:
    """By scope, with types; the values also of the spans only that match a query."""
    scopes = {one["name"]: one["tags"] for one in client.get("/tempo/api/v2/search/tags")["scopes"]}
    assert {"service.name", "zone"} <= set(scopes["resource"])
    assert {"http.status", "a b", "ok", "share"} <= set(scopes["span"])
    assert scopes["instrumentation"] == ["s"]
    assert "status" in scopes["intrinsic"]
    assert not {"span.kind", "span.status.message"} & set(scopes["span"])
    second = START // SECOND
    early = client.get("/tempo/api/v2/search/tags", limit=5000, start=second, end=second + 2)["scopes"]
    assert {one["name"]: one["tags"] for one in early}["resource"] == ["service.name"]
    assert all(len(one["tags"]) <= 1 for one in client.get("/tempo/api/v2/search/tags", limit=1)["scopes"])
    [only] = client.get("/tempo/api/v2/search/tags", scope="resource")["scopes"]
    assert only["name"] == "resource"
    assert "http.status" in client.get("/tempo/api/search/tags")["tagNames"]
    assert client.ask("/tempo/api/v2/search/tags", scope="nonsense").status == 400

    def values(tag: str, **more: Any) -> list[tuple[str, str]]:
        found = client.get(f"/tempo/api/v2/search/tag/{tag}/values", **more)["tagValues"]
        return [(one["type"], one["value"]) for one in found]

    assert values("span.http.status") == [("int", "200"), ("int", "500"), ("string", "200")]
    assert values("span.http.status", limit=1) == [("int", "200")]
    assert values(".http.status", q="{ status = ok }") == [("int", "500")]
    for q in ('{ event.x = "y" }', "{ status = ", "{} >> {}"):
        assert values("span.http.status", q=q) == values("span.http.status")
    assert values("span.share") == [("float", "0.5")]
    assert values("span.ok") == [("bool", "true")]
    assert values("resource.service.name") == [("string", name) for name in ("cron", "db", "tests", "web")]
    assert ("string", "GET /") in values("name")
    assert ("keyword", "error") in values("status")
    assert values("rootServiceName") == values("trace:rootService") == values(".service.name")
    assert values("rootName", q='{ rootName = "GET /" && status = ok }') == [("string", "GET /")]
    assert ("string", "query") not in values("rootName")
    for tag in ("span.nothing", "event.x", "event:name", "link:traceID", "trace:id", "span:duration", "traceDuration"):
        assert values(tag) == []  # Grafana offers these names itself
    assert client.get("/tempo/api/search/tag/zone/values")["tagValues"] == ["eu"]


def test_grafanas_question_whether_it_is_there(client: Client) -> None:
    """The word it waits for."""
    assert client.ask("/tempo/api/echo").body == b"echo"


def test_tokens_and_masks_hold_here_too(tmp_path: Path) -> None:
    """No token is 401; what may not be seen or is hidden is not found, listed or offered."""
    spans = [
        a_whole_span(1, 1, "open", service="a", attributes={"password": "hunter2"}),
        a_whole_span(2, 2, "hidden", service="b", attributes={"k": "secret"}),
    ]
    tokens = [*TOKENS[:2], {"name": "one", "token": READER, "where": "NOT type = 'hidden'"}]
    masks = {"read": {"blocked_key_patterns": ["password"]}}
    with a_client(write_traces(tmp_path / "a", spans), auth={"tokens": tokens}, masks=masks) as client:
        for path in ("echo", "search", "traces/1", "v2/traces/1", "v2/search/tags", "v2/search/tag/name/values"):
            assert client.ask(f"/tempo/api/{path}").status == 401
        client.token = READER
        assert found(client, "{}") == [1]
        assert client.ask("/tempo/api/traces/2").status == 404
        for path in ("traces/1", "v2/search/tags", "v2/search/tag/span.password/values", "v2/search/tag/span.k/values"):
            body = client.ask(f"/tempo/api/{path}").body
            assert b"hunter2" not in body
            assert b"secret" not in body
        assert found(client, '{ span.password = "hunter2" }') == []


def test_the_queries_and_the_bound_of_the_page_are_true(client: Client) -> None:
    """Each line of TraceQL that docs/grafana.md shows is understood."""
    page = (Path(__file__).parents[3] / "docs" / "grafana.md").read_text()
    shown = [line for line in page.splitlines() if line.startswith("{ ")]
    assert shown
    for q in shown:
        assert client.ask("/tempo/api/search", q=q).status == 200
    assert f"newest {ROWS // 1_000:,},000 spans" in page
