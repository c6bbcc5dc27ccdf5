"""Causes across processes: two services over real HTTP with stock instrumentation, and pools of processes."""

import sys
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from build_examples import often
from build_programs import WHENCE, events_in, run_program, running
from ports import free_port
from whence.archive.reader import Archive
from whence.event import names
from whence.event.model import Event

SERVICES = Path(__file__).parent / "services"


@pytest.fixture(scope="module")
def ordered(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], Path]:
    """What the order service answered to one order, and the archive of both services."""
    folder = tmp_path_factory.mktemp("services")
    archive, orders, warehouse = folder / "archive", free_port(), free_port()

    def service(name: str, port: int) -> list[object]:
        app = ["uvicorn", "--app-dir", SERVICES, f"{name}:app", "--port", port]
        return [WHENCE, "run", "-a", archive, "--run", name, "--", sys.executable, "-m", *app]

    url = f"http://127.0.0.1:{warehouse}"
    with (
        running(*service("warehouse", warehouse), cwd=folder, port=warehouse),
        running(*service("orders", orders), cwd=folder, port=orders, WAREHOUSE_URL=url),
    ):
        answer = httpx.post(f"http://127.0.0.1:{orders}/orders/lamp", timeout=30)
        assert answer.status_code == 200, answer.text
    return answer.json(), archive


@pytest.fixture(scope="module")
def by_type(ordered: tuple[dict[str, str], Path]) -> dict[tuple[str | None, str], Event]:
    """The events and spans of both services, by run and type."""
    return {(event.run, event.type): event for event in events_in(ordered[1])}


def test_a_cause_said_in_one_service_is_a_cause_in_the_other(
    ordered: tuple[dict[str, str], Path], by_type: dict[tuple[str | None, str], Event]
) -> None:
    """The event there, its plain log line, and the spans on both sides; and back, by an id in the answer."""
    answer, _ = ordered
    accepted = by_type["orders", "order.accepted"]
    assert accepted.id == answer["accepted"]
    reserved = by_type["warehouse", "stock.reserved"]
    assert reserved.id == answer["reserved"]
    assert reserved.caused_by == (accepted.id,)
    line = by_type["warehouse", ""]
    assert line.description == "only one lamp left"
    assert line.caused_by == (accepted.id,)
    assert accepted.id in by_type["orders", "POST"].caused_by
    assert accepted.id in by_type["warehouse", "POST /reserve/{item}"].caused_by
    assert by_type["orders", "order.packed"].caused_by == (reserved.id,)


def test_the_correlation_goes_along(by_type: dict[tuple[str | None, str], Event]) -> None:
    """It is in the other service's events too."""
    assert by_type["warehouse", "stock.reserved"].correlation == "order of lamp"


def test_the_cause_is_a_span_link_in_the_other_service(
    ordered: tuple[dict[str, str], Path], by_type: dict[tuple[str | None, str], Event]
) -> None:
    """From the span that the request is there to the span in which the cause happened here, naming the cause."""
    accepted = by_type["orders", "order.accepted"]
    request = by_type["warehouse", "POST /reserve/{item}"]
    links = links_of(ordered[1], request.span_id)
    assert {(link["traceId"], link["spanId"]) for link in links} == {(accepted.trace_id, accepted.span_id)}
    attributes = {item["key"]: item["value"]["stringValue"] for item in links[0]["attributes"]}
    assert attributes[names.LINK] == names.LINK_CAUSED_BY
    assert attributes[names.CAUSE] == accepted.id


def links_of(archive: Path, span_id: str | None) -> list[dict[str, Any]]:
    """The links of a span, as they stand in the archive's OTLP JSON."""
    for segment in Archive(archive).segments(signal="traces"):
        for line in segment.lines():
            for resource in orjson.loads(line.data)["resourceSpans"]:
                for scope in resource["scopeSpans"]:
                    for span in scope["spans"]:
                        if span["spanId"] == span_id:
                            return list(span.get("links", []))
    raise AssertionError(f"span {span_id} is not in the archive")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_pool_of_processes_carries_causes_and_loses_nothing(tmp_path: Path, method: str) -> None:
    """Each worker's events are caused by, and in the span of, what the parent carried over; and cause what comes after."""
    archive = tmp_path / "archive"
    run_program(sys.executable, SERVICES / "pool.py", method, archive, cwd=tmp_path)
    events = events_in(archive)
    (asked,) = (event for event in events if event.type == "squares.asked")
    (span,) = (event for event in events if event.signal == "span")
    (summed,) = (event for event in events if event.type == "squares.summed")
    squares = [event for event in events if event.type == "square"]
    assert sorted(event.payload["of"] for event in squares) == list(range(20))
    assert {event.caused_by for event in squares} == {(asked.id,)}
    assert {(event.trace_id, event.span_id) for event in squares} == {(span.trace_id, span.span_id)}
    assert set(summed.caused_by) == {event.id for event in squares}
    assert asked.id in span.caused_by
    assert {event.run for event in events} == {"pool"}
    pids = {event.payload["pid"] for event in squares}
    ended = {event.payload["pid"] for event in events if event.type == names.TYPE_RUN_FINISHED}
    assert pids <= ended
    if method != "fork":  # a fork goes on with its parent's run; a new process begins it anew
        assert pids <= {event.payload["pid"] for event in events if event.type == names.TYPE_RUN_STARTED}


def test_forks_at_any_moment_neither_hang_nor_lose_anything(tmp_path: Path) -> None:
    """Whatever locks the parent's threads hold when it forks, each child records, and so does the parent."""
    forks = often(20, 300)
    run_program(sys.executable, SERVICES / "forks.py", tmp_path / "archive", forks, cwd=tmp_path)
    events = events_in(tmp_path / "archive")
    said = sorted((event.payload["number"], event.payload["step"]) for event in events if event.type == "child")
    assert said == [(number, step) for number in range(forks) for step in range(5)]
    ids = [event.id for event in events]
    assert len(ids) == len(set(ids))
    chatter = sorted(event.seq or 0 for event in events if event.type == "chatter")
    assert len(chatter) == len(set(chatter))
