"""A real Jaeger, v2, where one is installed: it reads an archive through whence, and answers as whence does of the same."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from build import START, an_event
from build_jaeger import Jaeger, a_jaeger, both_doors, needs_jaeger, v1_parameters, v3_parameters
from build_serve import READER, TOKENS, Client
from build_shop import Asked, Shop, a_shop, each_alone, together
from build_traces import a_whole_span, many_spans, span_id, trace_id, write_traces

pytestmark = needs_jaeger
ALL = {"endTs": START // 1_000_000 + 10**9, "lookback": 2 * 10**9}


@pytest.fixture(scope="module")
def shop() -> Shop:
    return a_shop()


@pytest.fixture(scope="module")
def reading(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Jaeger]]:
    """whence, and a Jaeger that has it for its storage."""
    folder = tmp_path_factory.mktemp("reading")
    with both_doors(write_traces(folder / "a", shop.lines)) as (client, port), a_jaeger(folder / "j", port) as jaeger:
        yield client, jaeger


@pytest.fixture
def recent(reading: tuple[Client, Jaeger]) -> tuple[Client, Jaeger]:
    """The same, of a Jaeger that whence's forms are those of."""
    if reading[1].ask("/api/v3/trace-summaries").status != 400:  # older ones have no such path, and give their page
        pytest.skip("this `jaeger` is older than v2.19, and answers a little otherwise")
    return reading


@pytest.fixture(scope="module")
def keeping(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jaeger]:
    """A Jaeger that keeps the same spans itself."""
    with a_jaeger(tmp_path_factory.mktemp("keeping")) as jaeger:
        for line in shop.lines:
            request = urllib.request.Request(
                f"http://127.0.0.1:{jaeger.otlp}/v1/traces", line.line, {"Content-Type": "application/json"}
            )
            assert urllib.request.urlopen(request, timeout=60).status == 200
        yield jaeger


def drawn(trace: Any) -> Any:
    """A trace in v1 as it can be compared: spans by their id with their process inside, tags in one order."""

    def tags(found: Any) -> Any:
        return sorted((tag["key"], tag["type"], str(tag["value"])) for tag in found)

    spans = {}
    for span in trace["spans"]:
        process = trace["processes"][span["processID"]]
        around = process["serviceName"], [tag for tag in tags(process["tags"]) if tag[0] != "service.name"]
        logs = [(log["timestamp"], tags(log["fields"])) for log in span["logs"]]
        spans[span["spanID"]] = {**span, "tags": tags(span["tags"]), "logs": logs, "processID": around}
    return trace["traceID"], trace["warnings"], spans


def check_drawn(theirs: Any, ours: Any, but: str = "") -> None:
    """Fails at the first field that differs, but for one."""
    left, right = drawn(theirs), drawn(ours)
    assert left[:2] == right[:2]
    assert set(left[2]) == set(right[2])
    for id, span in left[2].items():
        for name, value in span.items():
            assert name == but or value == right[2][id][name], (id, name)


def v1_found(client: Client, asked: Asked) -> set[str]:
    """The traces that /api/traces finds."""
    found = client.get("/api/traces", **v1_parameters(asked))
    assert found["errors"] is None
    return {one["traceID"] for one in found["data"]}


def test_jaeger_shows_what_is_in_the_archive(shop: Shop, recent: tuple[Client, Jaeger]) -> None:
    """Services, operations and dependencies in both versions of its API, and every trace, field by field as whence gives it."""
    client, jaeger = recent
    assert jaeger.get("/api/services") == client.get("/api/services")
    assert jaeger.get("/api/v3/services") == client.get("/api/v3/services")
    for service in ("web", "cart", "db"):
        both = [asked.get(f"/api/services/{service}/operations") for asked in (jaeger, client)]
        assert sorted(both[0]["data"]) == both[1]["data"]  # Jaeger gives them in any order
        assert both[0]["total"] == both[1]["total"]
        assert jaeger.get("/api/operations", service=service) == client.get("/api/operations", service=service)
        v3 = [asked.get("/api/v3/operations", service=service)["operations"] for asked in (jaeger, client)]
        assert v3[0] == v3[1]
    calls = [asked.get("/api/dependencies", **ALL)["data"] for asked in (jaeger, client)]
    assert calls[0]
    assert sorted(map(str, calls[0])) == sorted(map(str, calls[1]))
    for trace in {span.trace for span in shop.spans}:
        [theirs], [ours] = (asked.get(f"/api/traces/{trace:x}", raw="true")["data"] for asked in (jaeger, client))
        check_drawn(theirs, ours)


def test_every_search_of_jaeger_is_answered(shop: Shop, reading: tuple[Client, Jaeger]) -> None:
    """Each parameter alone and many together, through Jaeger's own parsing of our messages, find what they must."""
    _, jaeger = reading
    for asked in (*each_alone(shop), *together(shop, 60)):
        if asked.service:  # v1 of Jaeger needs one
            assert v1_found(jaeger, asked) == {f"{n:016x}" for n in shop.expected(asked)[: asked.limit]}, asked


def test_summaries_are_those_of_the_index(shop: Shop, recent: tuple[Client, Jaeger]) -> None:
    """What Jaeger's search page shows, also of all services, is what whence says itself."""
    client, jaeger = recent
    for asked in (Asked(limit=7), Asked(service="cart"), Asked(attributes={"error": "true"}, limit=3)):
        theirs, ours = (
            jaeger.get("/api/v3/trace-summaries", **v3_parameters(asked))["summaries"],
            client.get("/api/v3/trace-summaries", **v3_parameters(asked))["summaries"],
        )
        assert [one["traceId"] for one in theirs] == [one["traceId"] for one in ours]
        for one, other in zip(theirs, ours, strict=True):
            services = [{name: count for name, count in service.items() if count} for service in other["services"]]
            assert {**one, "services": one["services"]} == {
                name: value for name, value in {**other, "services": services}.items() if value
            }


def test_otlp_of_both_is_the_same(shop: Shop, recent: tuple[Client, Jaeger]) -> None:
    """/api/v3/traces through Jaeger and without it: the same spans with the same attributes."""
    client, jaeger = recent
    for trace in range(1, 12):
        found = [asked.get(f"/api/v3/traces/{trace_id(trace)}", rawTraces="true") for asked in (jaeger, client)]
        spans = [
            {
                span["spanId"]: {key: value for key, value in span.items() if value not in ([], {}, "", None)}
                for group in one["result"]["resourceSpans"]
                for part in group["scopeSpans"]
                for span in part["spans"]
            }
            for one in found
        ]
        assert set(spans[0]) == set(spans[1])
        for id, span in spans[0].items():
            ours = spans[1][id]
            assert (span["name"], span["startTimeUnixNano"]) == (ours["name"], ours["startTimeUnixNano"])
            assert span.get("attributes", []) == ours.get("attributes", [])
            assert len(span.get("links", [])) == len(ours.get("links", []))


def test_whence_answers_as_a_jaeger_that_has_the_spans_itself(
    shop: Shop, recent: tuple[Client, Jaeger], keeping: Jaeger
) -> None:
    """The same searches find the same traces, and each is drawn with the same fields."""
    client, _ = recent
    assert sorted(keeping.get("/api/services")["data"]) == client.get("/api/services")["data"]
    for trace in {span.trace for span in shop.spans}:
        [theirs], [ours] = (asked.get(f"/api/traces/{trace:x}", raw="true")["data"] for asked in (keeping, client))
        check_drawn(theirs, ours, but="warnings")  # it warns of what it changed while it was written
    for asked in (*each_alone(shop), *together(shop, 60)):
        if asked.service and asked.limit == 1_000:
            assert v1_found(keeping, asked) == v1_found(client, asked), asked


def test_events_that_are_no_spans_and_large_traces_show_in_jaeger(tmp_path: Path) -> None:
    """A log event on its span, one of no span linked to its cause, and 10,008 spans in one trace."""
    cause = an_event("asked", run="r1")
    spans = [
        a_whole_span(1, 1), an_event("on_it", trace=trace_id(1), span=span_id(1)), cause,
        an_event("answered", cause, run="r1"), *many_spans(3, 10_008),
    ]  # fmt: skip
    with both_doors(write_traces(tmp_path / "a", spans)) as (_, port), a_jaeger(tmp_path / "j", port) as jaeger:
        [trace] = jaeger.get("/api/traces/1")["data"]
        assert trace["spans"][0]["logs"][0]["fields"][0]["value"] == "on_it"
        [run] = jaeger.get("/api/traces", service="tests", operation="answered", start=0)["data"]
        by_name = {span["operationName"]: span for span in run["spans"]}
        assert by_name["answered"]["references"][0]["spanID"] == by_name["asked"]["spanID"]
        [large] = jaeger.get("/api/traces/3")["data"]
        assert len(large["spans"]) == 10_008


def test_jaeger_with_a_token_reads_and_without_one_does_not(tmp_path: Path) -> None:
    """The token stands in its configuration, as a header of its storage."""
    directory = write_traces(tmp_path / "a", [a_whole_span(1, 1, service="s")])
    with both_doors(directory, auth={"tokens": TOKENS}) as (_, port):
        with a_jaeger(tmp_path / "with", port, READER) as jaeger:
            assert jaeger.get("/api/services")["data"] == ["s"]
        with a_jaeger(tmp_path / "without", port) as jaeger:
            reply = jaeger.ask("/api/services")
            assert reply.status == 500
            assert b"there is no token" in reply.body
