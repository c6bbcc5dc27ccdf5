"""Requests as Grafana's data sources make them, header for header, and what their code takes for granted in the answers.

Recorded from Grafana's own plugins, run as Grafana runs them: Jaeger 13.0.1 and Tempo 13.1.5.
"""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from ruamel.yaml import YAML

from build import START
from build_serve import Client, Reply, a_client
from build_traces import SECOND, a_whole_span, trace_id, write_traces

DEPLOY = Path(__file__).parents[3] / "deploy"
PLUGIN = {"User-Agent": "Go-http-client/1.1", "Accept-Encoding": "gzip"}
"""What a plugin asks by itself."""
PASSED_ON = {
    "User-Agent": "Mozilla/5.0", "Accept": "application/json, text/plain, */*", "Accept-Encoding": "gzip, deflate, br, zstd",
    "Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin", "X-Forwarded-For": "127.0.0.1",
    "X-Grafana-Org-Id": "1", "X-Grafana-Device-Id": "abc",
}  # fmt: skip
"""What Tempo's plugin passes on of a browser's request for tags."""
FIRST, LAST = START // SECOND, START // SECOND + 5
LONG = "abc0000000000000000000000000dead"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    spans = [
        a_whole_span(1, 1, "GET /", service="web x", attributes={"http.status": 200}, links=[(2, 3, {"why": "so"})]),
        a_whole_span(1, 2, "q", service="a/b", parent=1, attributes={f"key-{n}": n for n in range(100)}),
        a_whole_span(int(LONG, 16), 3, "far", service="a/b", at=100),
    ]
    with a_client(write_traces(tmp_path_factory.mktemp("grafana") / "a", spans)) as client:
        yield client


def asked(client: Client, url: str, headers: dict[str, str]) -> Reply:
    """The answer to a request for a path with its parameters."""
    path, _, query = url.partition("?")
    return client.ask(path, headers=headers, **dict(parse_qsl(query)))


def answered(client: Client, url: str, headers: dict[str, str]) -> Any:
    """The JSON of an answer, as Go's client unpacks it."""
    reply = asked(client, url, headers)
    assert reply.status == 200, reply
    body = gzip.decompress(reply.body) if reply.headers.get("content-encoding") == "gzip" else reply.body
    return json.loads(body)


def test_jaegers_data_source_is_answered(client: Client) -> None:
    """Save & test, services, operations, search, a trace by id however it was pasted, dependencies."""
    assert answered(client, "/api/services", PLUGIN)["data"] == ["a/b", "web x"]
    for path in ("/api/services/a/b/operations", "/api/services/a%2Fb/operations"):
        assert answered(client, path, PLUGIN)["data"] == ["far", "q"]
    window = f"start={FIRST * 1_000_000}&end={LAST * 1_000_000}"
    tags = "tags=%7B%22http.status%22%3A%22200%22%7D"
    search = f"/api/traces?{window}&limit=20&operation=GET+%2F&service=web+x&{tags}&minDuration=100ms&maxDuration=1h"
    [trace] = answered(client, search, PLUGIN)["data"]
    assert trace["spans"]  # a trace without any would end the plugin's process
    assert answered(client, search.replace("web", "no"), PLUGIN)["data"] == []
    milliseconds = f"end={LAST * 1_000}&start={FIRST * 1_000}"
    for id in ("1", "+1+", trace_id(1)):
        [trace] = answered(client, f"/api/traces/{id}?{milliseconds}", PLUGIN)["data"]
        assert len(trace["spans"]) == 2
    assert len(answered(client, f"/api/traces/{LONG.upper()}?{milliseconds}", PLUGIN)["data"]) == 1
    assert client.ask("/api/traces/ffff", headers=PLUGIN).status == 404
    calls = answered(client, f"/api/dependencies?endTs={LAST * 1_000}&lookback=5000", PLUGIN)
    assert (calls["data"], calls["errors"]) == ([{"parent": "web x", "child": "a/b", "callCount": 1}], None)


def test_jaegers_data_source_by_version_3_is_answered(client: Client) -> None:
    """With the feature toggle `jaegerEnableGrpcEndpoint`."""
    assert answered(client, "/api/v3/services", PLUGIN)["services"] == ["a/b", "web x"]
    assert [one["name"] for one in answered(client, "/api/v3/operations?service=a%2Fb", PLUGIN)["operations"]] == [
        "far",
        "q",
    ]
    window = "start_time=2020-01-01T00:00:00Z&end_time=2020-01-01T00:00:01.5Z"
    assert answered(client, f"/api/v3/traces/1?{window}", PLUGIN)["result"]["resourceSpans"]


def test_tempos_data_source_is_answered(client: Client) -> None:
    """Save & test, search, tags and values as a browser's request is passed on, a trace by id in both ways."""
    assert client.ask("/tempo/api/echo", headers=PLUGIN).status == 200
    search = f"/tempo/api/search?end={LAST}&limit=20&q=%7Bname%3D%22q%22%7D&spss=3&start={FIRST}"
    found = answered(client, search, {**PLUGIN, "Accept": "application/json"})
    assert set(found) <= {"traces", "metrics"}
    for trace in found["traces"]:  # names that are not Tempo's would fail the whole answer
        assert set(trace) <= {
            "traceID", "rootServiceName", "rootTraceName", "startTimeUnixNano", "durationMs", "spanSet", "spanSets",
            "serviceStats",
        }  # fmt: skip
        for of in trace["spanSets"]:
            assert set(of) <= {"spans", "matched", "attributes"}
            for span in of["spans"]:
                assert set(span) <= {"spanID", "name", "startTimeUnixNano", "durationNanos", "attributes"}
    [trace] = found["traces"]
    assert trace["spanSets"][0]["spans"][0]["name"] == "q"
    scopes = answered(client, "/tempo/api/v2/search/tags?limit=5000", PASSED_ON)["scopes"]
    assert {one["name"] for one in scopes} == {"resource", "span", "instrumentation", "intrinsic"}
    values = answered(client, "/tempo/api/v2/search/tag/span.key-7/values?limit=5000&tag=span.key-7", PASSED_ON)
    assert values["tagValues"] == [{"type": "int", "value": "7"}]
    protobuf = {**PLUGIN, "Accept": "application/protobuf"}
    for path in ("traces/1", f"v2/traces/{trace_id(1).upper()}", f"v2/traces/1?end={LAST}&start={FIRST}"):
        assert asked(client, f"/tempo/api/{path}", protobuf).status == 200
    for path in ("v2/traces/ffff", "traces/ffff"):
        assert client.ask(f"/tempo/api/{path}", headers=protobuf).status == 404


def test_the_data_sources_of_the_page_are_those_of_the_server() -> None:
    """Their addresses are the server's, and what whence does not speak is switched off."""
    for file in ("whence.yaml", "datasources.yaml"):
        sources = YAML(typ="safe").load((DEPLOY / "grafana" / file).read_text())["datasources"]
        for source in sources:
            if source["type"] == "tempo":
                assert not any(source["jsonData"]["streamingEnabled"].values())
            if ":8642" in source["url"]:
                assert source["url"].endswith(":8642/tempo" if source["type"] == "tempo" else ":8642")
