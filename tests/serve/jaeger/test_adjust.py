"""What a trace is given before a person sees it: ids, order and warnings, each alone and beside a real Jaeger on one archive."""

import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from build import Built
from build_jaeger import Remote, a_jaeger, both_doors, needs_jaeger
from build_serve import READER, TOKENS, a_client
from build_traces import a_whole_span, many_spans, span_id, trace_id, write_traces
from whence.serve.jaeger.adjust import adjusted
from whence.serve.jaeger.fields import WARNINGS
from whence.serve.jaeger.untangle import drawable
from whence.serve.jaeger.v1_json import v1_trace
from whence.serve.jaeger.whole import Trace


def a_trace(spans: Iterable[Built]) -> Trace:
    """The trace of these spans."""
    made = Trace(trace_id(1))
    for one in spans:
        for group in one.data["resourceSpans"]:
            for part in group["scopeSpans"]:
                for span in part["spans"]:
                    made.add((group["resource"], "", part["scope"], ""), span)
    return made


def drawn(*spans: Built) -> list[Any]:
    """The spans as Jaeger's UI draws them, in the order of their start."""
    return list(v1_trace(adjusted(a_trace(spans)))["spans"])


def warnings(*spans: Built) -> list[list[str]]:
    """What is said of each span."""
    return [span["warnings"] or [] for span in drawn(*spans)]


def test_a_servers_span_with_its_clients_id_gets_one_of_its_own() -> None:
    """The first that is free; it stands below the client's, and what was below both stands below it."""
    client, server, below = drawn(
        a_whole_span(1, 1, "call", kind="client", at=0, took=9),
        a_whole_span(1, 1, "serve", kind="server", at=1, took=7),
        a_whole_span(1, 3, "work", parent=1, at=2, took=5),
    )
    assert [one["spanID"] for one in (client, server, below)] == [span_id(1), span_id(2), span_id(3)]
    assert client["references"] == []
    assert [one["references"][0]["spanID"] for one in (server, below)] == [span_id(1), span_id(2)]
    assert not any(one["warnings"] for one in (client, server, below))


def test_two_spans_of_one_id_that_are_no_call_are_both_there() -> None:
    """With a warning on the second."""
    first, second = drawn(a_whole_span(1, 1, "a", at=0), a_whole_span(1, 1, "b", at=1))
    assert (first["warnings"], second["warnings"]) == (None, ["another span of this trace has the same id"])


def test_keys_are_in_order_and_once_and_events_in_the_order_of_time() -> None:
    """Of equal keys the last holds; addresses in numbers are written as addresses."""
    one = a_whole_span(1, 1, attributes={"b": 1, "peer.ipv4": 0x7F000001, "a": 2}, resource={"a": 1, "ip": 16909060})
    record = one.data["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    record["attributes"].append({"key": "b", "value": {"intValue": "3"}})
    record["events"] = [
        {"timeUnixNano": "2000", "name": "late", "attributes": [{"key": key, "value": {}} for key in "zy"]},
        {"timeUnixNano": "1000", "name": "soon"},
    ]
    before = repr(one.data)
    [span] = v1_trace(adjusted(a_trace([one])))["spans"]
    process = v1_trace(adjusted(a_trace([one])))["processes"]["p1"]["tags"]
    tags = [(tag["key"], tag["value"]) for tag in span["tags"]]
    assert tags == [
        ("otel.scope.name", "tests"), ("a", 2), ("b", 3), ("peer.ipv4", "127.0.0.1"), ("span.kind", "internal")
    ]  # fmt: skip
    assert [(tag["key"], tag["value"]) for tag in process] == [("a", 1), ("ip", "1.2.3.4"), ("service.name", "shop")]
    assert [[field["key"] for field in log["fields"]] for log in span["logs"]] == [["event"], ["event", "y", "z"]]
    assert repr(one.data) == before


def test_missing_parents_and_links_to_nowhere_are_warned_of() -> None:
    """A parent is named; a link without a trace is left out."""
    [span] = drawn(a_whole_span(1, 1, parent=7, links=[(0, 0, {}), (2, 3, {})]))
    assert span["warnings"] == [
        f"its parent {span_id(7)} is not in this trace",
        "a link that names no trace is left out",
    ]
    assert [one["traceID"] for one in span["references"]] == [span_id(1), span_id(2)]


SKEWED = [
    ({"at": 1, "took": 2}, []),
    ({"at": -1, "took": 2}, ["it seems to be 5 s early beside its parent"]),
    ({"at": 9, "took": 2}, ["it seems to be 5 s late beside its parent"]),
    ({"at": 1, "took": 20}, []),
    ({"at": -0.5, "took": 20}, ["it seems to be 500 ms early beside its parent"]),
]


@pytest.mark.parametrize(("times", "said"), SKEWED)
def test_a_span_outside_of_its_parents_time_is_warned_of_and_stays_where_it_is(
    times: dict[str, float], said: list[str]
) -> None:
    """By how much it would have to move to lie in the middle of it; one that is longer need only not begin before it."""
    parent, child = a_whole_span(1, 1, at=0, took=10), a_whole_span(1, 2, parent=1, **times)  # type: ignore[arg-type]
    found = {span["spanID"]: span for span in drawn(parent, child)}
    assert (found[span_id(1)]["warnings"], found[span_id(2)]["warnings"] or []) == (None, said)
    assert found[span_id(2)]["startTime"] == child.time // 1_000


def test_spans_of_one_host_share_its_clock() -> None:
    """What is below a span on its host differs by as much as it does; a span on its parent's host may be anywhere."""
    spans = [
        a_whole_span(1, 1, at=0, took=10, resource={"host.name": "a"}),
        a_whole_span(1, 2, parent=1, at=20, took=2, resource={"host.name": "a"}),
        a_whole_span(1, 3, parent=1, at=30, took=2, resource={"host.id": "b", "host.name": "a"}),
        a_whole_span(1, 4, parent=3, at=31, took=1, resource={"host.id": "b"}),
        a_whole_span(1, 5, parent=3, at=31, took=1, resource={"host.ip": ["c"]}),
    ]
    assert warnings(*spans) == [
        [], [], ["it seems to be 26 s late beside its parent"], ["the clock of its host seems to be 26 s late"], []
    ]  # fmt: skip


def below(spans: Sequence[Any]) -> dict[str, str]:
    """What each span is drawn below, as Jaeger's UI finds it: the first it refers to, in whichever way, that is there."""
    there = {span["spanID"] for span in spans}
    above = (
        (span["spanID"], [one["spanID"] for one in span["references"] if one["spanID"] in there]) for span in spans
    )
    return {own: found[0] for own, found in above if found}


def is_drawn(spans: Sequence[Any]) -> bool:
    """Whether every span is below one that is below none."""
    above = below(spans)
    for own in [span["spanID"] for span in spans]:
        at, steps = own, 0
        while at in above and steps <= len(spans):
            at, steps = above[at], steps + 1
        if at in above:
            return False
    return True


def test_a_span_that_links_to_what_came_of_it_is_drawn() -> None:
    """An agent's turn, caused by what one of its own tools found: viewers would take the turn to be below the tool."""
    turn = a_whole_span(1, 1, "turn", links=[(1, 3, {}), (2, 9, {}), (1, 2, {})])
    tools = a_whole_span(1, 2, "tools", parent=1, at=0.1), a_whole_span(1, 3, "tool", parent=2, at=0.2)
    assert not is_drawn(v1_trace(a_trace([turn, *tools]))["spans"])
    shown = drawn(turn, *tools)
    assert below(shown) == {span_id(2): span_id(1), span_id(3): span_id(2)}
    assert [one["spanID"] for one in shown[0]["references"]] == [span_id(9)]
    assert [said.split(",")[0] for said in shown[0]["warnings"]] == [f"its link to {span_id(n)}" for n in (3, 2)]


def test_a_link_to_a_span_that_is_elsewhere_in_the_trace_stays() -> None:
    """Also where a viewer draws the one below the other."""
    spans = drawn(a_whole_span(1, 1, "cause", at=0), a_whole_span(1, 2, "effect", at=1, links=[(1, 1, {})]))
    assert below(spans) == {span_id(2): span_id(1)}
    assert not any(span["warnings"] for span in spans)
    whole = a_trace([a_whole_span(1, 1)])
    assert drawable(whole) is whole


def test_circles_of_any_kind_are_opened_in_one_place() -> None:
    """Of parents, of links and of both: then a link goes rather than a parent."""
    chance = random.Random(7)
    for _ in range(300):
        ids = range(1, chance.randint(2, 8))
        spans = [
            a_whole_span(
                1, n, at=chance.randint(0, 3), parent=chance.choice([None, *ids, 9]),
                links=[(1, chance.choice(ids), {}) for _ in range(chance.randint(0, 3))],
            )
            for n in ids
        ]  # fmt: skip
        for whole in (adjusted(a_trace(spans)), drawable(a_trace(spans))):
            shown = v1_trace(whole)["spans"]
            assert is_drawn(shown)
            told = sum("below it" in said for span in shown for said in span["warnings"] or ())
            refers = [sum(len(span["references"]) for span in of) for of in (v1_trace(a_trace(spans))["spans"], shown)]
            assert refers[0] - refers[1] <= told
            assert (told > 0) == (not is_drawn(v1_trace(a_trace(spans))["spans"]))


def test_what_goes_to_viewers_by_other_doors_can_be_drawn_too(tmp_path: Path) -> None:
    """Tempo's and the Remote Storage's answers, with the same warnings; v1 and v3 where raw traces are wanted do not."""
    spans = [a_whole_span(1, 1, links=[(1, 2, {})]), a_whole_span(1, 2, parent=1, at=0.1)]
    said = b"viewers would draw neither"
    with both_doors(write_traces(tmp_path / "a", spans)) as (client, port):
        assert said in client.ask("/tempo/api/v2/traces/1", headers={"Accept": "application/protobuf"}).body
        [answer] = Remote(port).ask("GetTraces", query=[{"trace_id": bytes.fromhex(trace_id(1))}])
        assert said in answer.SerializeToString()
        for path, raw in (("/api/traces/1", "raw"), ("/api/v3/traces/1", "rawTraces")):
            assert said in client.ask(path).body
            assert said not in client.ask(path, **{raw: "true"}).body


def test_loops_and_chains_of_ten_thousand_come_to_an_end() -> None:
    """Spans that are each other's parents, or their own, are all given, and drawn."""
    loop = [a_whole_span(1, n, parent=n % 3 + 1, at=n) for n in (1, 2, 3)]
    shown = drawn(*loop, a_whole_span(1, 4, parent=4, at=9))
    assert len(shown) == 4
    assert is_drawn(shown)
    assert shown[0]["warnings"] == [f"its parent {span_id(2)} is below it, in a circle"]
    chain = [a_whole_span(1, n, parent=n - 1 or None, at=n, took=20_000 - n) for n in range(1, 10_009)]
    assert sum(map(len, warnings(*chain))) == 0


def test_warnings_that_a_span_has_stay_before_ours() -> None:
    """Those that another Jaeger wrote, as a list or a text; none of them among its tags."""
    for value in (["old"], "old"):
        [span] = drawn(a_whole_span(1, 1, parent=9, attributes={WARNINGS: value, "x": 1}))
        assert span["warnings"] == ["old", f"its parent {span_id(9)} is not in this trace"]
        assert [tag["key"] for tag in span["tags"]] == ["otel.scope.name", "x", "span.kind"]


def test_raw_traces_are_given_as_they_were_written(tmp_path: Path) -> None:
    """In both versions of the API; what is neither yes nor no is refused."""
    spans = [a_whole_span(1, 1, kind="client"), a_whole_span(1, 1, "serve", kind="server", parent=9)]
    with a_client(write_traces(tmp_path / "a", spans)) as client:
        [raw], [shown] = (client.get("/api/traces/1", raw=raw)["data"] for raw in ("true", "0"))
        assert [span["spanID"] for span in raw["spans"]] == [span_id(1)] * 2
        assert {span["spanID"] for span in shown["spans"]} == {span_id(1), span_id(2)}
        for name in ("rawTraces", "raw_traces"):
            found = client.ask(f"/api/v3/traces/{trace_id(1)}", **{name: "true"}).body
            assert WARNINGS.encode() not in found
            assert client.ask(f"/api/v3/traces/{trace_id(1)}", **{name: "maybe"}).status == 400
        assert client.ask("/api/traces/1", raw="maybe").status == 400


def test_both_sides_of_a_call_with_one_id_are_found_and_counted(tmp_path: Path) -> None:
    """By what only the server's says, though it was written later; what was sent twice counts once."""
    call = a_whole_span(1, 1, "call", service="web", kind="client")
    spans = [call, a_whole_span(1, 1, "serve", service="api", kind="server", attributes={"side": "server"}), call]
    with a_client(write_traces(tmp_path / "a", spans)) as client:
        assert client.get("/api/services")["data"] == ["api", "web"]
        assert client.get("/api/services/api/operations")["data"] == ["serve"]
        [trace] = client.get("/api/traces", service="api", tags='{"side":"server"}')["data"]
        assert sorted(span["operationName"] for span in trace["spans"]) == ["call", "serve"]
        window = {"query.startTimeMin": "2020-01-01T00:00:00Z", "query.startTimeMax": "2040-01-01T00:00:00Z"}
        [summary] = client.get("/api/v3/trace-summaries", **window)["summaries"]
        assert (summary["spanCount"], sorted(one["name"] for one in summary["services"])) == (2, ["api", "web"])


def test_of_two_spans_with_one_id_only_those_that_may_be_seen_are_given(tmp_path: Path) -> None:
    """Also where both stand in one line."""
    open_, hidden = a_whole_span(1, 1, "open", kind="client"), a_whole_span(1, 1, "hidden", kind="server", at=1)
    open_.data["resourceSpans"].extend(hidden.data["resourceSpans"])
    tokens = [*TOKENS[:2], {"name": "one", "token": READER, "where": "NOT type = 'hidden'"}]
    with a_client(write_traces(tmp_path / "a", [open_]), auth={"tokens": tokens}) as client:
        client.token = READER
        [trace] = client.get("/api/traces/1")["data"]
        assert [span["operationName"] for span in trace["spans"]] == ["open"]
        client.token = TOKENS[0]["token"]
        assert len(client.get("/api/traces/1")["data"][0]["spans"]) == 2


# --- beside a real Jaeger ---------------------------------------------------------------------------------------------------

HOSTS: Sequence[dict[str, Any]] = ({}, {"host.name": "a"}, {"host.id": "b"}, {"host.ip": ["c", "d"]}, {"host.ip": "c"})


def odd_traces(seed: int, count: int) -> list[Built]:
    """Traces with shared ids, missing parents, clocks that differ, links to nowhere, attributes in any order."""
    chance = random.Random(seed)
    spans = []
    for trace in range(1, count + 1):
        hosts = [{**chance.choice(HOSTS), "z": 1, "a": 2} for _ in range(3)]
        for n in range(1, chance.randint(2, 12)):
            shared = chance.random() < 0.2 and n > 1
            spans.append(
                a_whole_span(
                    trace, n - 1 if shared else n, f"op-{n}", service=f"s{n % 3}",
                    parent=chance.choice([None, 13, *range(1, n)]), kind=chance.choice(["client", "server", "internal"]),
                    at=chance.randint(0, 50), took=chance.choice([0.000001, 1, 5, 20, 100]), resource=hosts[n % 3],
                    attributes=dict.fromkeys(chance.sample("abcdef", 3), n) | {"ip": chance.randint(0, 1 << 32)},
                    events=[("e2", {"z": 1, "a": 2}), ("e1", {})][: chance.randint(0, 2)],
                    links=[(0, 0, {}), (trace, 77, {}), (99, 78, {})][chance.randint(0, 3) :],
                )
            )  # fmt: skip
    return spans


def compared(trace: Any) -> dict[Any, Any]:
    """The spans in v1 by name, as they can be compared: with how many warnings their id has, for we say them otherwise.

    Jaeger gives the warnings of all spans of one id to one of them, and leaves them among the tags of the others.
    """
    found = {}
    warned: dict[str, int] = {}
    for span in trace["spans"]:
        warned[span["spanID"]] = warned.get(span["spanID"], 0) + len(span["warnings"] or ())
    for span in trace["spans"]:
        process = trace["processes"][span["processID"]]
        span["tags"] = [tag for tag in span["tags"] if tag["key"] != WARNINGS]
        tags = sorted((tag["key"], str(tag["value"])) for tag in span["tags"])
        own = [tag["key"] for tag in span["tags"] if tag["key"] in "abcdef"]
        logs = sorted((log["timestamp"], str(log["fields"])) for log in span["logs"])
        around = [tag for tag in process["tags"] if tag["key"] != "service.name"]
        rest = [span[name] for name in ("references", "startTime", "duration")]
        found[span["operationName"]] = (span["spanID"], tags, own, logs, around, rest, warned[span["spanID"]])
    return found


@needs_jaeger
def test_traces_are_adjusted_as_jaeger_adjusts_them(tmp_path: Path) -> None:
    """Every span of odd traces, read by a real Jaeger from the same archive: ids, references, order, and where it warns."""
    spans = [*odd_traces(20261121, 60), *many_spans(77, 10_008)]
    with both_doors(write_traces(tmp_path / "a", spans)) as (client, port), a_jaeger(tmp_path / "j", port) as jaeger:
        same = warned = 0
        for trace in [*range(1, 61), 77]:
            [theirs], [ours] = (asked.get(f"/api/traces/{trace:x}")["data"] for asked in (jaeger, client))
            assert len(theirs["spans"]) == len(ours["spans"])
            if "below it" in str(
                (theirs, ours)
            ):  # whence opened a circle, in what Jaeger reads before it tells ids apart
                continue
            same += 1
            left, right = compared(theirs), compared(ours)
            warned += sum(span[-1] for span in right.values())
            assert set(left) == set(right)
            for name, span in left.items():
                for mine, other in zip(span, right[name], strict=True):
                    assert mine == other, (trace, name)
        assert (same > 20, warned > 30) == (True, True), (same, warned)
