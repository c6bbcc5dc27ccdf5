"""The examples, run as a user runs them; then their archives are asked what the examples promise."""

import re
import sys
from collections import Counter
from pathlib import Path

import orjson
import pytest

from build_programs import ROOT, WHENCE, causes_of, events_in, run_program, running
from ports import free_port
from whence.event.model import Event

EXAMPLES = ROOT / "examples"


def why(output: str, cwd: Path) -> list[Event]:
    """Ask what the example says to ask, and load the answer's events from root to effect."""
    asked = re.search(r"whence (why .*)$", output, re.MULTILINE)
    assert asked, output
    answer = orjson.loads(run_program(WHENCE, *asked[1].split(), "--json", cwd=cwd))
    events = {event.id: event for event in events_in(Path(asked[1].split()[-1]))}
    return [events[hop["id"]] for hop in answer["hops"]]


def assert_whole(events: list[Event]) -> None:
    """Every cause is there, and every number of the run once, in the order of the ids."""
    ids = {event.id for event in events}
    assert [event.id for event in events for cause in event.caused_by if cause not in ids] == []
    own = sorted((event for event in events if event.seq is not None), key=lambda event: event.id)
    assert [event.seq for event in own] == list(range(1, len(own) + 1))


# --- the task graph ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Event], Path]:
    """The example's output, its events, and where it ran."""
    folder = tmp_path_factory.mktemp("graph")
    output = run_program(sys.executable, EXAMPLES / "task_graph.py", folder / "archive", cwd=folder)
    return output, events_in(folder / "archive"), folder


def test_the_task_graph_records_every_event_of_every_task(graph: tuple[str, list[Event], Path]) -> None:
    """298 tasks: 293 completed, one failed, four failed with it, one was tried again; no number is missing."""
    _, events, _ = graph
    assert_whole(events)
    counted = Counter(event.type for event in events)
    del counted["whence.run.started"], counted["whence.run.finished"]
    assert counted == {
        "workflow.started": 1,
        "task.scheduled": 298,
        "task.inputs_resolved": 294,
        "task.started": 295,
        "system": 1,
        "task.completed": 293,
        "exception": 1,
        "task.failed": 5,
        "workflow.failed": 1,
    }


def test_one_tasks_events_are_complete_and_in_order(graph: tuple[str, list[Event], Path]) -> None:
    """By their numbers: scheduled, inputs, started, completed, each but the first two caused by the one before."""
    _, events, _ = graph
    own = sorted((event for event in events if event.task == "shelf:3"), key=lambda event: event.seq or 0)
    assert [event.type for event in own] == ["task.scheduled", "task.inputs_resolved", "task.started", "task.completed"]
    assert own[2].caused_by == (own[1].id,)
    assert own[3].caused_by == (own[2].id,)
    assert own[0].payload["dependencies"] == sorted(own[1].payload["inputs"])
    by_id = {event.id: event for event in events}
    made_by = {by_id[cause].task: by_id[cause] for cause in own[1].caused_by}
    assert {event.type for event in made_by.values()} == {"task.completed"}
    assert {task: event.payload["output"] for task, event in made_by.items()} == own[1].payload["inputs"]
    assert own[3].payload["duration_ms"] >= 0


def test_a_task_that_was_tried_again_says_why(graph: tuple[str, list[Event], Path]) -> None:
    """Its second start is caused by the trouble of the first."""
    _, events, _ = graph
    own = sorted((event for event in events if event.task == "verify:017"), key=lambda event: event.seq or 0)
    assert [event.type for event in own[2:]] == ["task.started", "system", "task.started", "task.completed"]
    assert own[4].payload["attempt"] == 2
    assert own[4].caused_by == (own[3].id,)
    assert own[3].payload["error_type"] == "OSError"


def test_the_missing_report_leads_back_to_the_bad_byte(graph: tuple[str, list[Event], Path]) -> None:
    """Through library, shelf and rank to the book that cannot be read, and to the start."""
    output, _, folder = graph
    chain = why(output, folder)
    failed = [event.task for event in chain if event.type == "task.failed"]
    assert failed == ["read:058", "rank:058", "shelf:2", "library", "report"]
    assert chain[0].type == "workflow.started"
    (bad_byte,) = [event for event in chain if event.type == "exception"]
    assert bad_byte.attributes["exception.type"] == "UnicodeDecodeError"
    assert "def read" not in bad_byte.attributes["exception.stacktrace"]
    assert "in read" in bad_byte.attributes["exception.stacktrace"]


# --- the market ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Event], Path]:
    """The example's output, its events, and where it ran."""
    pytest.importorskip("mesa")
    folder = tmp_path_factory.mktemp("market")
    output = run_program(sys.executable, EXAMPLES / "mesa_market.py", folder / "archive", cwd=folder)
    return output, events_in(folder / "archive"), folder


def test_the_market_records_turns_decisions_actions_and_state(market: tuple[str, list[Event], Path]) -> None:
    """All of a model's kinds of event, of 30 turns and 47 agents."""
    _, events, _ = market
    assert_whole(events)
    counted = Counter(event.type for event in events)
    assert counted["turn_start"] == counted["turn_end"] == 30
    assert counted["simulation_start"] == counted["simulation_end"] == 1
    assert counted["phase_transition"] == 1
    assert counted["action"] > 2000
    assert counted["state"] > 2000
    assert counted["decision"] > 5
    assert {event.turn for event in events if event.kind == "action"} == set(range(1, 31))
    assert len({event.agent for event in events} - {None}) == 47
    uncaused = {event.type for event in events if not event.caused_by}
    assert uncaused == {"simulation_start", "whence.run.started", "whence.run.finished"}


def test_the_bankruptcy_leads_back_to_the_frost_and_the_hoarder(market: tuple[str, list[Event], Path]) -> None:
    """Dear goods, by the frost; and a price that follows a shop which bought before it."""
    output, events, folder = market
    chain = why(output, folder)
    assert chain[-1].type == "phase_transition"
    assert chain[-1].agent == "discounter"
    told = {(event.agent, event.payload.get("action_type") or event.payload.get("variable_name")) for event in chain}
    assert {
        ("weather", "frost"),
        (None, "wholesale"),
        ("hoarder", "restock"),
        ("hoarder", "price"),
        ("discounter", "price"),
        ("discounter", "restock"),
        ("discounter", "cash"),
    } <= told
    by_id = {event.id: event for event in events}
    assert {event.id for event in chain[:-1]} == causes_of(chain[-1], by_id)


# --- the shop ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    """What is recorded of two services and their customers, none of which knows of whence."""
    folder = tmp_path_factory.mktemp("shop")
    archive, shop_port, stock_port = folder / "archive", free_port(), free_port()
    stock_url, shop_url = f"http://127.0.0.1:{stock_port}", f"http://127.0.0.1:{shop_port}"

    def uvicorn(name: str, port: int) -> list[object]:
        app = ["uvicorn", "--app-dir", EXAMPLES / "shop", f"{name}:app", "--port", port]
        return [WHENCE, "run", "-a", archive, "--run", name, "--", sys.executable, "-m", *app]

    with (
        running(*uvicorn("stock", stock_port), cwd=folder, port=stock_port, OTEL_SERVICE_NAME="stock"),
        running(*uvicorn("shop", shop_port), cwd=folder, port=shop_port, OTEL_SERVICE_NAME="shop", STOCK_URL=stock_url),
    ):
        customers = [sys.executable, EXAMPLES / "shop" / "customers.py"]
        run_program(WHENCE, "run", "-a", archive, "--run", "customers", "--", *customers, cwd=folder, SHOP_URL=shop_url)
    return events_in(archive)


def test_the_shop_is_recorded_with_no_code_of_its_own(shop: list[Event]) -> None:
    """Requests, calls, queries and log lines, each with the run of its service; both services ended in order."""
    spans = Counter((event.run, event.type) for event in shop if event.signal == "span")
    assert spans["shop", "POST /orders"] == 5
    assert spans["shop", "GET /orders"] == 1
    assert spans["shop", "POST"] == 5
    assert spans["shop", "INSERT"] == 4
    assert spans["shop", "SELECT"] == 1
    assert spans["stock", "POST /reservations"] == 5
    assert spans["stock", "UPDATE"] == 5
    assert spans["customers", "POST"] == 5
    (insert, *_) = (event for event in shop if event.type == "INSERT")
    assert insert.attributes["db.system"] == "sqlite"
    lines = [
        (event.run, event.severity and event.severity.name, event.description)
        for event in shop
        if event.source == "shop"
    ]
    assert ("shop", "INFO", "order 1: 4 x chair") in lines
    assert ("shop", "WARN", "refused 5 x lamp: 2 left") in lines
    assert Counter(event.run for event in shop if event.type == "whence.run.finished") == {
        "shop": 1,
        "stock": 1,
        "customers": 1,
    }
    assert {event.resource["service.name"] for event in shop if event.run == "stock"} == {"stock"}


def test_the_refused_order_is_one_trace_through_three_programs(shop: list[Event]) -> None:
    """From the stock's complaint up through parents to the customer's request."""
    (complaint,) = (
        event for event in shop if event.source == "stock" and event.severity and event.severity.name == "ERROR"
    )
    spans = {event.span_id: event for event in shop if event.signal == "span"}
    path = [spans[complaint.span_id]]
    while path[-1].parent_span_id:
        path.append(spans[path[-1].parent_span_id])
    assert [(span.run, span.type) for span in path] == [
        ("stock", "POST /reservations"),
        ("shop", "POST"),
        ("shop", "POST /orders"),
        ("customers", "POST"),
    ]
    assert {span.trace_id for span in path} == {complaint.trace_id}
    refused = next(event for event in shop if event.description == "refused 5 x lamp: 2 left")
    assert refused.trace_id == complaint.trace_id
