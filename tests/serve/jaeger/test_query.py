"""Jaeger's query APIs over real HTTP, v1 and v3: found as over gRPC, in Jaeger's forms, and refused in them."""

import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from build import START
from build_examples import often
from build_jaeger import v1_parameters, v3_parameters
from build_serve import READER, TOKENS, Client, Reply, a_client
from build_shop import Asked, Shop, a_shop, each_alone, together
from build_traces import a_whole_span, span_id, trace_id, write_traces

JSON, PLAIN = "application/json", "text/plain; charset=utf-8"


def v1_found(client: Client, asked: Asked) -> list[int]:
    """The numbers of the traces that /api/traces finds."""
    return [int(one["traceID"], 16) for one in client.get("/api/traces", **v1_parameters(asked))["data"]]


def v3_found(client: Client, asked: Asked) -> list[int]:
    """The numbers of the traces that /api/v3/traces finds; none is a 404 there."""
    reply = client.ask("/api/v3/traces", **v3_parameters(asked))
    if reply.status == 404:
        assert reply.json == {"error": {"httpCode": 404, "message": "No traces found"}}
        return []
    spans = [
        span
        for group in reply.json["result"]["resourceSpans"]
        for part in group["scopeSpans"]
        for span in part["spans"]
    ]
    return list(dict.fromkeys(int(span["traceId"], 16) for span in spans))


def v3_summed(client: Client, asked: Asked) -> list[int]:
    """The numbers of the traces that /api/v3/trace-summaries tells of."""
    found = client.get("/api/v3/trace-summaries", **v3_parameters(asked))["summaries"]
    assert all(len(one["traceId"]) == 32 for one in found)
    return [int(one["traceId"], 16) for one in found]


@pytest.fixture(scope="module")
def shop() -> Shop:
    return a_shop()


@pytest.fixture(scope="module")
def client(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with a_client(write_traces(tmp_path_factory.mktemp("shop") / "a", shop.lines)) as client:
        yield client


@pytest.mark.parametrize(
    ("found", "asked"),
    [(v1_found, slice(None)), (v3_found, slice(0, None, 2)), (v3_summed, slice(1, None, 2))],
    ids=["v1", "v3", "summaries"],
)
def test_each_parameter_alone_finds_what_it_must_and_nothing_else(
    found: Any, asked: slice, shop: Shop, client: Client
) -> None:
    """As over gRPC, through the spellings of each API; the two that are spelled alike share the questions out."""
    for one in list(each_alone(shop))[asked]:
        shop.check(one, found(client, one))


@pytest.mark.parametrize("found", [v1_found, v3_found, v3_summed], ids=["v1", "v3", "summaries"])
def test_parameters_together_must_fit_one_span(found: Any, shop: Shop, client: Client) -> None:
    """As over gRPC, through the spellings of each API."""
    for asked in together(shop, often(25, 60)):
        shop.check(asked, found(client, asked))


def test_a_trace_in_v1_has_everything_that_a_viewer_draws(tmp_path: Path) -> None:
    """Every kind of value, references of parent and links, logs of span events, tags of what OTLP has fields for."""
    said = {"s": "a", "i": 3, "big": 2**53, "f": 0.5, "b": True, "l": [1, "x"], "m": {"k": 1}, "y": b"\x01\x02"}
    span = a_whole_span(
        1, 2, "pay", parent=1, service="shop", at=1.5, took=0.25, kind="server", status="error", message="no money",
        attributes=said, resource={"host.name": "h"}, scope={"name": "lib", "version": "2"}, traceState="a=b",
        events=[("retry", {"n": 1}), ("other", {"event": "mine"})],
        links=[(9, 9, {}), (8, 8, {"opentracing.ref_type": "child_of"})],
    )  # fmt: skip
    with a_client(write_traces(tmp_path / "a", [span])) as client:
        [trace] = client.get(f"/api/traces/{trace_id(1)}")["data"]
    [drawn] = trace["spans"]
    assert (trace["traceID"], drawn["traceID"], drawn["spanID"]) == (f"{1:016x}", f"{1:016x}", span_id(2))
    assert (drawn["startTime"], drawn["duration"]) == (START // 1000 + 1_500_000, 250_000)
    assert drawn["references"] == [
        {"refType": "CHILD_OF", "traceID": f"{1:016x}", "spanID": span_id(1)},
        {"refType": "FOLLOWS_FROM", "traceID": f"{9:016x}", "spanID": span_id(9)},
        {"refType": "CHILD_OF", "traceID": f"{8:016x}", "spanID": span_id(8)},
    ]
    assert {(tag["key"], tag["type"], tag["value"]) for tag in drawn["tags"]} == {
        ("otel.scope.name", "string", "lib"), ("otel.scope.version", "string", "2"), ("s", "string", "a"),
        ("i", "int64", 3), ("big", "int64", str(2**53)), ("f", "float64", 0.5), ("b", "bool", True),
        ("l", "string", '[1,"x"]'), ("m", "string", '{"k":1}'), ("y", "binary", "AQI="),
        ("span.kind", "string", "server"), ("otel.status_code", "string", "ERROR"), ("error", "bool", True),
        ("otel.status_description", "string", "no money"), ("w3c.tracestate", "string", "a=b"),
    }  # fmt: skip
    logs = [{field["key"]: field["value"] for field in log["fields"]} for log in drawn["logs"]]
    assert logs == [{"event": "retry", "n": 1}, {"event": "mine"}]
    process = trace["processes"][drawn["processID"]]
    assert process["serviceName"] == "shop"
    assert {tag["key"]: tag["value"] for tag in process["tags"]} == {"service.name": "shop", "host.name": "h"}


def test_a_trace_is_found_by_its_id_however_it_is_written(client: Client) -> None:
    """Hex with or without its first zeros, in capitals, or base64; in v1, v3 and several at once."""
    for written in (trace_id(10), "a", "A", "0000000a", "AAAAAAAAAAAAAAAAAAAACg==", "AAAAAAAAAAAAAAAAAAAACg"):
        assert client.get(f"/api/traces/{written}")["data"][0]["traceID"] == f"{10:016x}"
        assert client.get(f"/api/v3/traces/{written}")["result"]["resourceSpans"]
    found = client.get("/api/traces", traceID=["a", "ffff", "b"])
    assert [one["traceID"] for one in found["data"]] == [f"{10:016x}", f"{11:016x}"]
    assert found["errors"] == [{"msg": "trace not found", "traceID": f"{0xFFFF:016x}"}]


def test_services_operations_and_dependencies_are_listed_in_both_forms(tmp_path: Path) -> None:
    """A service may have any name; a span without a kind is internal in v3."""
    spans = [
        a_whole_span(1, 1, "in", service="web/eu one", kind="server"),
        a_whole_span(1, 2, "in", service="web/eu one", kind="", parent=1, at=1),
        a_whole_span(1, 3, "get", service="db", kind="server", parent=2, at=2),
    ]
    with a_client(write_traces(tmp_path / "a", spans)) as client:
        assert client.get("/api/services") == _form(["db", "web/eu one"], 2)
        assert client.get("/api/v3/services") == {"services": ["db", "web/eu one"]}
        assert client.get("/api/services/web%2Feu%20one/operations") == _form(["in"], 1)
        both = [{"name": "in", "spanKind": ""}, {"name": "in", "spanKind": "server"}]
        assert client.get("/api/operations", service="web/eu one") == _form(both, 2)
        assert client.get("/api/operations", service="web/eu one", spanKind="server") == _form(both[1:], 1)
        found = client.get("/api/v3/operations", service="web/eu one")["operations"]
        assert found == [{"name": "in", "spanKind": "internal"}, {"name": "in", "spanKind": "server"}]
        call = {"parent": "web/eu one", "child": "db", "callCount": 1}
        assert client.get("/api/dependencies") == _form([call])
        after = START // 1_000_000 + 60_000
        assert client.get("/api/dependencies", endTs=after, lookback=3_600_000)["data"] == [call]
        assert client.get("/api/dependencies", endTs=after, lookback=1_000)["data"] == []
        assert client.get("/api/dependencies", service="nobody")["data"] == []


def test_a_file_dropped_on_the_ui_is_drawn_and_not_kept(tmp_path: Path) -> None:
    """OTLP JSON in, traces out; anything else is refused in Jaeger's form."""
    [span] = [a_whole_span(7, 1, "uploaded")]
    with a_client(tmp_path / "a") as client:
        reply = _post(client, "/api/transform", span.line)
        assert [one["operationName"] for one in reply.json["data"][0]["spans"]] == ["uploaded"]
        reply = _post(client, "/api/transform", re.sub(rb'("startTimeUnixNano"):"\d+"', rb'\1:"soon"', span.line))
        assert [one["startTime"] for one in reply.json["data"][0]["spans"]] == [0]
        assert client.ask("/api/traces/7").status == 404
        for wrong in (b"", b"{", b'{"resourceLogs":[]}', b"[1]"):
            reply = _post(client, "/api/transform", wrong)
            assert (reply.status, reply.json["errors"][0]["code"]) == (400, 400)


V1_WRONG = [
    ("/api/traces/nothex!", {}, "cannot parse 'nothex!'"),
    ("/api/traces", {"start": "soon"}, "unable to parse param 'start'"),
    ("/api/traces", {"limit": "many"}, "unable to parse param 'limit'"),
    ("/api/traces", {"limit": "-1"}, "cannot search for -1 traces"),
    ("/api/traces", {"minDuration": "3 weeks"}, "unable to parse param 'minDuration'"),
    ("/api/traces", {"minDuration": "2s", "maxDuration": "1s"}, "cannot search"),
    ("/api/traces", {"tags": "{"}, "malformed 'tags' parameter"),
    ("/api/traces", {"tags": '{"a":1}'}, "malformed 'tags' parameter"),
    ("/api/traces", {"tag": "justakey"}, "malformed 'tag' parameter"),
    ("/api/traces", {"traceID": "zz"}, "cannot parse 'zz'"),
    ("/api/operations", {}, "parameter 'service' is required"),
    ("/api/dependencies", {"endTs": "x"}, "unable to parse param 'endTs'"),
]


@pytest.mark.parametrize(("path", "query", "said"), V1_WRONG)
def test_what_v1_cannot_understand_is_refused_in_its_form(
    path: str, query: dict[str, str], said: str, client: Client
) -> None:
    """400, and the envelope with the reason, as text."""
    reply = client.ask(path, **query)
    assert (reply.status, reply.headers["content-type"]) == (400, PLAIN)
    assert reply.json["data"] is None
    [error] = reply.json["errors"]
    assert error["code"] == 400
    assert said in error["msg"]


WINDOW = {"query.startTimeMin": "2026-01-01T00:00:00Z", "query.startTimeMax": "2026-01-02T00:00:00.5+01:00"}
V3_WRONG = [
    ("/api/v3/traces", {}, "query.startTimeMin and query.startTimeMax are required"),
    ("/api/v3/trace-summaries", {}, "query.startTimeMin and query.startTimeMax are required"),
    ("/api/v3/traces", {**WINDOW, "query.startTimeMin": "yesterday"}, "malformed parameter query.startTimeMin"),
    ("/api/v3/traces", {**WINDOW, "query.startTimeMin": "2026-02-01T00:00:00Z"}, "must be before"),
    ("/api/v3/traces", {**WINDOW, "query.durationMin": "x"}, "'query.durationMin'"),
    ("/api/v3/traces", {**WINDOW, "query.searchDepth": "x"}, "'query.searchDepth'"),
    ("/api/v3/traces", {**WINDOW, "query.attributes": "[]"}, "'query.attributes'"),
    ("/api/v3/traces/nothex!", {}, "cannot parse 'nothex!'"),
]


@pytest.mark.parametrize(("path", "query", "said"), V3_WRONG)
def test_what_v3_cannot_understand_is_refused_in_its_form(
    path: str, query: dict[str, str], said: str, client: Client
) -> None:
    """400, and an error with its code and message, as text."""
    reply = client.ask(path, **query)
    assert (reply.status, reply.headers["content-type"]) == (400, PLAIN)
    assert reply.json["error"]["httpCode"] == 400
    assert said in reply.json["error"]["message"]


def test_what_is_not_there_is_not_found_in_each_form(client: Client) -> None:
    """404 for a trace by its id; an empty list for a search."""
    reply = client.ask("/api/traces/ffff")
    assert (reply.status, reply.headers["content-type"]) == (404, PLAIN)
    assert reply.json == _form(None, errors=[{"code": 404, "msg": "trace not found"}])
    reply = client.ask("/api/v3/traces/ffff")
    assert (reply.status, reply.json) == (404, {"error": {"httpCode": 404, "message": "No traces found"}})
    assert client.get("/api/traces", service="nobody") == _form([])


def test_older_spellings_of_v3_are_understood(shop: Shop, client: Client) -> None:
    """Snake case, and num_traces."""
    asked = {
        "query.service_name": "cart", "query.operation_name": "pay", "query.num_traces": 2,
        "query.start_time_min": "2020-01-01T00:00:00Z", "query.start_time_max": "2030-01-01T00:00:00Z",
        "query.duration_min": "250ms", "query.duration_max": "1s",
    }  # fmt: skip
    found = [int(one["traceId"], 16) for one in client.get("/api/v3/trace-summaries", **asked)["summaries"]]
    assert found == shop.expected(Asked("cart", "pay", shortest=0.25, longest=1))[:2]
    found_kinds = client.get("/api/v3/operations", service="web", span_kind="client")["operations"]
    assert {one["spanKind"] for one in found_kinds} == {"client"}


def test_answers_are_indented_and_compressed_where_that_is_asked_for(client: Client) -> None:
    """`prettyPrint`, and gzip by Accept-Encoding."""
    assert b"\n  " in client.ask("/api/traces/1", prettyPrint="true").body
    reply = client.ask("/api/traces", headers={"Accept-Encoding": "gzip"}, service="web")
    assert reply.headers["content-encoding"] == "gzip"


PATHS = ["/api/services", "/api/services/a/operations", "/api/operations?service=a", "/api/traces", "/api/traces/1",
         "/api/dependencies", "/api/v3/services", "/api/v3/operations", "/api/v3/traces/1"]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_every_path_needs_the_token_and_shows_what_it_may(path: str, tmp_path: Path) -> None:
    """None is 401; a token that may see nothing of it is told of nothing."""
    tokens = [*TOKENS, {"name": "blind", "token": "blind-token-0123456789", "where": "type = 'other'"}]
    directory = write_traces(tmp_path / "a", [a_whole_span(1, 1, "hidden", service="a")])
    where, _, query = path.partition("?")
    more = dict([query.split("=")]) if query else {}
    with a_client(directory, auth={"tokens": tokens}) as client:
        assert client.ask(where, **more).status == 401
        client.token = READER
        assert client.ask(where, **more).status == 200
        client.token = "blind-token-0123456789"
        assert b"hidden" not in client.ask(where, **more).body


def _form(data: Any, total: int = 0, errors: Any = None) -> dict[str, Any]:
    return {"data": data, "total": total, "limit": 0, "offset": 0, "errors": errors}


def _post(client: Client, path: str, body: bytes) -> Reply:
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=60)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        found = Reply(reply.status, dict(reply.getheaders()), reply.read())
        json.loads(found.body)
        return found
    finally:
        connection.close()
