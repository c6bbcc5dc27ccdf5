"""The time a question about traces may take, at each door: refused in the door's own form, and whole where there is time."""

import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from build_jaeger import Remote, a_remote
from build_serve import Client, a_client
from build_traces import a_whole_span, many_spans, trace_id, write_traces
from whence.serve.jaeger.limit import answered_within, in_time
from whence.serve.jaeger.proto import STORAGE

AT_ONCE = "1us"
"""Over before anything is read."""
TRACE = trace_id(1)
WINDOW = {"query.startTimeMin": "2020-01-01T00:00:00Z", "query.startTimeMax": "2030-01-01T00:00:00Z"}
V1 = {
    "/api/services": {},
    "/api/operations": {"service": "shop"},
    "/api/traces": {"service": "shop"},
    f"/api/traces/{TRACE}": {},
    "/api/dependencies": {"endTs": 1_800_000_000_000, "lookback": 1_700_000_000_000},
}
V3 = {
    "/api/v3/services": {},
    f"/api/v3/traces/{TRACE}": {},
    "/api/v3/traces": WINDOW,
    "/api/v3/trace-summaries": WINDOW,
}
TEMPO = [
    f"/tempo/api/traces/{TRACE}",
    "/tempo/api/search",
    "/tempo/api/search/tags",
    "/tempo/api/search/tag/name/values",
]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spans = [a_whole_span(1, n, "work", parent=1 if n > 1 else None, attributes={"n": n}) for n in range(1, 4)]
    return write_traces(tmp_path_factory.mktemp("limit") / "a", spans)


@pytest.fixture(scope="module")
def hurried(archive: Path) -> Iterator[Client]:
    with a_client(archive, request_timeout=AT_ONCE) as client:
        yield client


@pytest.mark.parametrize("path", [*V1, *V3, *TEMPO])
def test_over_http_a_question_that_takes_too_long_is_refused_in_its_own_form(hurried: Client, path: str) -> None:
    """With the status for what may go another time, and what to do."""
    reply = hurried.ask(path, **{**V1, **V3}.get(path, {}))
    assert reply.status == 503, (path, reply)
    said = reply.body.decode()
    if path in V1:
        said = reply.json["errors"][0]["msg"]
    elif path in V3:
        said = reply.json["error"]["message"]
    assert said.startswith("cannot answer in time") and "raise request_timeout" in said


def test_over_grpc_it_fails_as_a_deadline_does(archive: Path) -> None:
    """Single answers and streams; what needs no reading is still answered."""
    with a_remote(archive, request_timeout=AT_ONCE) as remote:
        for method in ("GetServices", "FindTraces", "FindTraceSummaries", "FindTraceIDs"):
            with pytest.raises(grpc.RpcError) as refused:
                remote.ask(method, STORAGE[f"{method}Request"](**_asked(method)))
            assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED, method
            assert "raise request_timeout" in refused.value.details()
        assert remote.ask("GetCapabilities", of="Capabilities").search.without_service_name


def _asked(method: str) -> dict[str, object]:
    return {} if method == "GetServices" else {"query": STORAGE["TraceQueryParameters"](search_depth=5)}


def test_a_call_with_a_deadline_of_its_own_is_not_answered_for_longer(tmp_path: Path) -> None:
    """The server stops at the call's deadline, though it would allow itself more; the next question finds everything."""
    archive = write_traces(tmp_path / "a", many_spans(1, 20_000))
    with a_remote(archive) as remote:
        request = STORAGE["FindTracesRequest"](query=STORAGE["TraceQueryParameters"](search_depth=5))
        call = remote.channel.unary_stream(
            "/jaeger.storage.v2.TraceReader/FindTraces", type(request).SerializeToString, lambda data: data
        )
        with pytest.raises(grpc.RpcError) as refused:
            list(call(request, timeout=0.001))
        assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert _spans(remote) == 20_000


def _spans(remote: Remote) -> int:
    query = STORAGE["TraceQueryParameters"](search_depth=5)
    answers = remote.ask("FindTraces", query=query)
    return sum(len(part.spans) for answer in answers for group in answer.resource_spans for part in group.scope_spans)


def test_a_question_s_time_is_its_own() -> None:
    """Over for what is asked within it, and gone with it."""
    with answered_within(60):
        in_time()
    with answered_within(1, began=time.monotonic() - 2), pytest.raises(TimeoutError, match="1 s was over"):
        in_time()
    in_time()
