"""The Remote Storage API v2 over real gRPC: what Jaeger asks is found, summed up and given whole, and nothing is written."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from build import an_event
from build_examples import often
from build_jaeger import Remote, a_remote
from build_serve import READER, TOKENS, a_certificate, a_server
from build_shop import Asked, Shop, a_shop, each_alone, ns, together
from build_traces import SECOND, a_whole_span, many_spans, trace_id, write_traces
from whence.errors import ConfigError, StorageError
from whence.serve.jaeger.proto import STORAGE
from whence.serve.jaeger.storage import CAPABILITIES, DEPENDENCIES
from whence.serve.jaeger.storage import READER as TRACES

MOST = 2 << 20
"""Bytes of a message: half of what gRPC takes unless told otherwise."""


def query_of(asked: Asked) -> Any:
    """A search as Jaeger sends it: attributes as texts."""
    query = STORAGE["TraceQueryParameters"](
        service_name=asked.service, operation_name=asked.operation, search_depth=asked.limit
    )
    for key, text in asked.attributes.items():
        query.attributes.add(key=key).value.string_value = text
    for name, value in (("start_time_min", asked.start), ("start_time_max", asked.end)):
        if value is not None:
            getattr(query, name).FromNanoseconds(ns(value))
    for name, value in (("duration_min", asked.shortest), ("duration_max", asked.longest)):
        getattr(query, name).FromNanoseconds(round(value * SECOND))
    return query


def numbers(found: Any) -> list[int]:
    """The numbers of the traces in the answer of FindTraceIDs."""
    return [int.from_bytes(one.trace_id, "big") for one in found.trace_ids]


@pytest.fixture(scope="module")
def shop() -> Shop:
    return a_shop()


@pytest.fixture(scope="module")
def remote(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    directory = write_traces(tmp_path_factory.mktemp("shop") / "a", shop.lines)
    with a_remote(directory) as remote:
        yield remote


def test_each_parameter_alone_finds_what_it_must_and_nothing_else(shop: Shop, remote: Remote) -> None:
    """Services, operations, attributes of every type in every place, special keys, windows, durations and limits."""
    for asked in each_alone(shop):
        shop.check(asked, numbers(remote.ask("FindTraceIDs", query=query_of(asked))))


def test_parameters_together_must_fit_one_span(shop: Shop, remote: Remote) -> None:
    """What two spans of a trace say between them finds nothing."""
    for asked in together(shop, often(60, 150)):
        shop.check(asked, numbers(remote.ask("FindTraceIDs", query=query_of(asked))))


def test_summaries_and_whole_traces_are_those_of_the_ids(shop: Shop, remote: Remote) -> None:
    """Each with all its spans, also those that did not fit, and counts that are those of the spans given."""
    asked = Asked(service="cart", limit=8)
    ids = numbers(remote.ask("FindTraceIDs", query=query_of(asked)))
    summaries = [one for part in remote.ask("FindTraceSummaries", query=query_of(asked)) for one in part.summaries]
    traces = remote.ask("FindTraces", query=query_of(asked))
    assert [int.from_bytes(one.trace_id, "big") for one in summaries] == ids
    assert [_trace_of(one) for one in traces] == [trace_id(n) for n in ids]
    for summary, whole in zip(summaries, traces, strict=True):
        spans = _spans_of(whole)
        assert summary.span_count == len(spans)
        assert summary.error_span_count == sum(span.status.code == 2 for span in spans)
        assert summary.min_start_time_unix_nano == min(span.start_time_unix_nano for span in spans)
        assert summary.max_end_time_unix_nano == max(span.end_time_unix_nano for span in spans)
        assert summary.root_operation_name == next(span.name for span in spans if not span.parent_span_id)


def test_values_of_every_type_arrive_as_they_were_written(tmp_path: Path) -> None:
    """Also bytes, whole numbers beyond 2^53, lists and maps; resource, scope and status are there even when empty."""
    said = {"s": "a", "i": 2**53 + 1, "f": 0.5, "b": True, "l": [1, "x"], "m": {"k": None}, "y": b"\x00\xff"}
    spans = [a_whole_span(1, 1, service=None, scope={}, attributes=said, events=[("e", said)], links=[(2, 3, said)])]
    with a_remote(write_traces(tmp_path / "a", spans)) as remote:
        [whole] = remote.ask("GetTraces", query=[{"trace_id": bytes.fromhex(trace_id(1))}])
    [group] = whole.resource_spans
    [span] = _spans_of(whole)
    assert group.HasField("resource")
    assert group.scope_spans[0].HasField("scope")
    assert span.HasField("status")
    assert (span.links[0].trace_id.hex(), span.events[0].name) == (trace_id(2), "e")
    for attributes in (span.attributes, span.events[0].attributes, span.links[0].attributes):
        found = {pair.key: pair.value for pair in attributes}
        assert (found["i"].int_value, found["f"].double_value) == (2**53 + 1, 0.5)
        assert (found["y"].bytes_value, found["l"].array_value.values[1].string_value) == (b"\x00\xff", "x")
        assert found["m"].kvlist_value.values[0].key == "k"


def test_services_operations_and_dependencies_are_listed(tmp_path: Path) -> None:
    """Of one kind where it is asked for; the window is of the time when the call began."""
    spans = [
        a_whole_span(1, 1, "in", service="web", kind="server"),
        a_whole_span(1, 2, "out", service="web", kind="client", parent=1, at=1),
        a_whole_span(1, 3, "get", service="db", kind="server", parent=2, at=2),
    ]
    with a_remote(write_traces(tmp_path / "a", spans)) as remote:
        assert list(remote.ask("GetServices").services) == ["db", "web"]
        found = remote.ask("GetOperations", service="web").operations
        assert [(one.name, one.span_kind) for one in found] == [("in", "server"), ("out", "client")]
        found = remote.ask("GetOperations", service="web", span_kind="client").operations
        assert [one.name for one in found] == ["out"]
        assert not remote.ask("GetOperations", service="nobody").operations
        [call] = remote.ask("GetDependencies", of="DependencyReader").dependencies
        assert (call.parent, call.child, call.call_count) == ("web", "db", 1)
        late = STORAGE["GetDependenciesRequest"]()
        late.start_time.FromNanoseconds(ns(3))
        assert not remote.ask("GetDependencies", late, of="DependencyReader").dependencies


def test_a_large_trace_comes_in_messages_of_bounded_size_each_of_one_trace(tmp_path: Path) -> None:
    """10,008 spans and a small trace: every span once, no message empty, a trace's messages one behind the other."""
    spans = [*many_spans(3, 10_008), a_whole_span(4, 1, at=99)]
    with a_remote(write_traces(tmp_path / "a", spans)) as remote:
        ids = [{"trace_id": bytes.fromhex(trace_id(n))} for n in (4, 3)]
        chunks = remote.ask("GetTraces", query=ids)
    assert len(chunks) > 2
    assert all(0 < chunk.ByteSize() <= MOST for chunk in chunks)
    assert [_trace_of(chunk) for chunk in chunks] == [trace_id(4)] + [trace_id(3)] * (len(chunks) - 1)
    found = [span.span_id for chunk in chunks[1:] for span in _spans_of(chunk)]
    assert len(found) == len(set(found)) == 10_008


def test_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    """Unknown traces, ids that are none and an archive still to come: empty answers, status OK."""
    with a_remote(tmp_path / "to come") as remote:
        assert remote.ask("GetTraces", query=[{"trace_id": bytes(16)}, {"trace_id": b"short"}, {}]) == []
        assert remote.ask("FindTraces", query=query_of(Asked())) == []
        assert remote.ask("FindTraceSummaries", query=query_of(Asked())) == []
        assert list(remote.ask("GetServices").services) == []
        assert not remote.ask("GetDependencies", of="DependencyReader").dependencies


def test_a_query_that_cannot_be_meant_is_refused_by_name(remote: Remote) -> None:
    """A window or durations the wrong way round: INVALID_ARGUMENT, with what to do."""
    for asked in (Asked(start=9, end=3), Asked(shortest=2, longest=1), Asked(shortest=-1), Asked(limit=-1)):
        for method in ("FindTraceIDs", "FindTraces", "FindTraceSummaries"):
            with pytest.raises(grpc.RpcError) as caught:
                remote.ask(method, query=query_of(asked))
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert caught.value.details().startswith("cannot search")


def test_a_limit_that_is_not_said_is_a_hundred(tmp_path: Path) -> None:
    """And what was recorded since the last question is found."""
    directory = write_traces(tmp_path / "a", [a_whole_span(n, n, at=n) for n in range(1, 121)])
    with a_remote(directory) as remote:
        assert len(numbers(remote.ask("FindTraceIDs"))) == 100
        write_traces(directory, [a_whole_span(500, 500, at=500)])
        assert numbers(remote.ask("FindTraceIDs"))[0] == 500


def test_events_that_are_no_spans_appear_by_projection(tmp_path: Path) -> None:
    """On the span they happened in, or as a span of no duration in the trace of their run."""
    spans = [a_whole_span(1, 1), an_event("on_it", trace=trace_id(1), span=f"{1:016x}"), an_event("alone", run="r")]
    with a_remote(write_traces(tmp_path / "a", spans)) as remote:
        found = remote.ask("FindTraces", query=query_of(Asked(operation="alone")))
        [alone] = [span for one in found for span in _spans_of(one)]
        [whole] = remote.ask("GetTraces", query=[{"trace_id": bytes.fromhex(trace_id(1))}])
    assert alone.start_time_unix_nano == alone.end_time_unix_nano
    assert [event.name for event in _spans_of(whole)[0].events] == ["on_it"]


def test_it_says_what_it_can_and_that_it_is_well(remote: Remote) -> None:
    """All services in one search, one span for all conditions, no filter language; health by name, as Jaeger's own server."""
    search = remote.ask("GetCapabilities", of="Capabilities").search
    assert (search.without_service_name, search.same_span_conjunction) == (True, True)
    assert [remote.health(name) for name in ("", TRACES, DEPENDENCIES, CAPABILITIES)] == [1] * 4
    with pytest.raises(grpc.RpcError) as caught:
        remote.health("jaeger.storage.v2.TraceWriter")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_writing_is_refused_with_where_to_send_instead(remote: Remote) -> None:
    """An archive is written by its recorder or collector."""
    call = remote.channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
    with pytest.raises(grpc.RpcError) as caught:
        call(b"", timeout=60)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "whence collect" in caught.value.details()


METHODS = [
    ("TraceReader", "GetTraces"), ("TraceReader", "GetServices"), ("TraceReader", "GetOperations"),
    ("TraceReader", "FindTraces"), ("TraceReader", "FindTraceIDs"), ("TraceReader", "FindTraceSummaries"),
    ("DependencyReader", "GetDependencies"), ("Capabilities", "GetCapabilities"),
]  # fmt: skip


@pytest.mark.parametrize(("service", "method"), METHODS)
def test_every_method_needs_the_token(service: str, method: str, tmp_path: Path) -> None:
    """None, or a wrong one, is UNAUTHENTICATED; the right one is answered. Health says nothing and needs none."""
    directory = write_traces(tmp_path / "a", [a_whole_span(1, 1)])
    with a_remote(directory, auth={"tokens": TOKENS}) as remote:
        for token in (None, "not-the-token-at-all"):
            remote.token = token
            with pytest.raises(grpc.RpcError) as caught:
                remote.ask(method, of=service)
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        remote.token = READER
        remote.ask(method, of=service)
        assert remote.health(TRACES) == 1


def test_a_token_shows_only_what_it_may(tmp_path: Path) -> None:
    """What its filter keeps back is not found, listed, counted or given; what is masked is hidden."""
    spans = [
        a_whole_span(1, 1, "open", service="a", attributes={"password": "hunter2"}),
        a_whole_span(1, 2, "hidden", service="b", parent=1),
    ]
    tokens = [{"name": "one", "token": READER, "where": "NOT type = 'hidden'"}]
    masks = {"read": {"blocked_key_patterns": ["password"]}}
    directory = write_traces(tmp_path / "a", spans)
    with a_remote(directory, token=READER, auth={"tokens": tokens}, masks=masks) as remote:
        assert list(remote.ask("GetServices").services) == ["a"]
        assert numbers(remote.ask("FindTraceIDs", query=query_of(Asked(operation="hidden")))) == []
        [whole] = remote.ask("FindTraces", query=query_of(Asked()))
        assert [span.name for span in _spans_of(whole)] == ["open"]
        assert b"hunter2" not in whole.SerializeToString()
        assert not remote.ask("GetDependencies", of="DependencyReader").dependencies


def test_over_tls_as_http_is(tmp_path: Path) -> None:
    """The server's certificate is that of both doors."""
    cert, key = a_certificate(tmp_path)
    directory = write_traces(tmp_path / "a", [a_whole_span(1, 1, service="s")])
    with a_server(directory, tls={"cert_file": cert, "key_file": key}, jaeger={"endpoint": "127.0.0.1:0"}) as serving:
        trusted = grpc.ssl_channel_credentials(Path(cert).read_bytes())
        with grpc.secure_channel(f"localhost:{serving.beside[0].address[1]}", trusted) as channel:
            call = channel.unary_unary(f"/{TRACES}/GetServices")
            answer = STORAGE["GetServicesResponse"].FromString(call(b"", timeout=60))
    assert list(answer.services) == ["s"]


def test_beyond_this_machine_only_with_tokens(tmp_path: Path) -> None:
    """As HTTP; and where the port is taken, it says which setting to change. Nothing listens then."""
    with (
        pytest.raises(ConfigError, match="for Jaeger: whoever reaches it"),
        a_server(tmp_path, jaeger={"endpoint": "0.0.0.0:0"}),
    ):
        pass
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = f"127.0.0.1:{taken.getsockname()[1]}"
        with (
            pytest.raises(StorageError, match=r"choose another `jaeger\.endpoint`"),
            a_server(tmp_path, jaeger={"endpoint": endpoint}),
        ):
            pass


def _spans_of(whole: Any) -> list[Any]:
    return [span for group in whole.resource_spans for part in group.scope_spans for span in part.spans]


def _trace_of(whole: Any) -> str:
    """The one trace of a message."""
    [trace] = {span.trace_id.hex() for span in _spans_of(whole)}
    return str(trace)
