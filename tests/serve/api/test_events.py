"""Events over HTTP: what matches, in the order of time and id, page by page, the same as the command line says."""

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from build import START, a_span, an_archive, an_event, append
from build_serve import Client, a_client
from whence.archive.writer import ArchiveWriter
from whence.cli.app import call
from whence.event.kinds import Severity


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Of an archive of two runs."""
    archive = tmp_path_factory.mktemp("events") / "archive"
    events = [
        an_event(
            ("task.started", "task.failed", "note")[n % 3], id=f"E{n:02d}", agent=f"a{n % 4}", turn=n // 5, kind="state",
            run="one" if n < 20 else "two", time=START + n // 2, correlation="c" if n % 2 else None,
            severity=Severity.ERROR if n % 3 == 1 else Severity.INFO, description=f"it is {n}",
        )
        for n in range(30)
    ]  # fmt: skip
    an_archive(archive, [*events, a_span(span="00000000000000aa", run="two", time=START + 1_000)])
    with a_client(archive) as found:
        found.headers["x-archive"] = str(archive)
        yield found


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ({}, []),
        ({"type": "task.*"}, ["--type", "task.*"]),
        ({"type": ["note", "task.failed"], "agent": ["a1", "a2"]},
         ["--type", "note", "--type", "task.failed", "--agent", "a1", "--agent", "a2"]),
        ({"kind": "state", "turn": "1..3"}, ["--kind", "state", "--turn", "1..3"]),
        ({"severity": "error", "run": "two"}, ["--severity", "error", "--run", "two"]),
        ({"since": "2026-01-01T00:00:00.000000005Z", "until": "2026-01-01T00:00:00.000000007Z"},
         ["--since", "2026-01-01T00:00:00.000000005Z", "--until", "2026-01-01T00:00:00.000000007Z"]),
        ({"filter": "agent = 'a1' OR turn = 0", "correlation": "c"}, ["agent = 'a1' OR turn = 0", "--correlation", "c"]),
        ({"text": "is 2"}, ["'is 2'"]),
        ({"trace": "0AF7651916CD43DD8448EB211C80319C"}, ["--trace", "0AF7651916CD43DD8448EB211C80319C"]),
        ({"filter": "CAUSED (type = note)"}, ["CAUSED (type = note)"]),
    ],
)  # fmt: skip
def test_http_answers_what_the_command_line_answers(
    client: Client, query: dict[str, object], options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The same parameters, the same events, the same JSON."""
    page = client.get("/api/events", **query)
    assert call(["log", "-a", client.headers["x-archive"], "--json", *options]) == 0
    assert page["events"] == [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert page["total"] == len(page["events"])
    assert page["has_more"] is page["partial"] is False


@pytest.mark.parametrize("newest", [False, True])
@pytest.mark.parametrize("limit", [1, 4, 31])
def test_pages_are_the_whole_by_offset_and_by_cursor(client: Client, limit: int, newest: bool) -> None:
    """Nothing twice, nothing left out, though several events have one time."""
    whole = client.get("/api/events", newest=newest)["events"]
    assert [one["id"] for one in whole] == sorted((one["id"] for one in whole), key=str, reverse=newest)
    by_cursor, by_offset, cursor = [], [], None
    while True:
        page = client.get("/api/events", limit=limit, newest=newest, cursor=cursor, total=cursor is None)
        assert ("total" in page) is (cursor is None)
        by_cursor += page["events"]
        by_offset += client.get("/api/events", limit=limit, newest=newest, offset=len(by_offset))["events"]
        cursor = page["cursor"]
        if not page["has_more"]:
            break
    assert by_cursor == by_offset == whole
    assert client.get("/api/events", newest=newest, cursor=cursor)["events"] == []


def test_a_run_and_users_own_spellings_are_the_same_answer(client: Client) -> None:
    """`/simulations` and `/jobs` are the same functions."""
    page = client.get("/api/runs/two/events", type="note", limit=2)
    assert page == client.get("/simulations/two/events", type="note", limit=2)
    assert page == client.get("/jobs/two/events", type="note", limit=2)
    assert page["events"] == client.get("/api/events", run="two", type="note", limit=2)["events"]
    assert {one["run"] for one in page["events"]} == {"two"}
    one = page["events"][0]
    assert client.get(f"/api/events/{one['id']}") == one
    assert client.get(f"/api/runs/two/events/{one['id']}") == client.get(f"/simulations/two/events/{one['id']}") == one
    assert client.ask(f"/api/runs/one/events/{one['id']}").status == 404


def test_one_event_is_kept_by_its_etag(client: Client) -> None:
    """A span too, whose id has colons in it."""
    span = next(one for one in client.get("/api/events")["events"] if one["signal"] == "span")
    reply = client.ask(f"/api/events/{span['id']}")
    assert reply.json == span
    again = client.ask(f"/api/events/{span['id']}", headers={"If-None-Match": f'"x", {reply.headers["etag"]}'})
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", reply.headers["etag"])
    assert client.ask(f"/api/events/{span['id']}", headers={"If-None-Match": '"x"'}).status == 200


def test_answers_are_compressed_where_that_is_asked_for(client: Client) -> None:
    """And only there."""
    plain = client.ask("/api/events")
    assert "content-encoding" not in plain.headers
    small = client.ask("/api/events", headers={"Accept-Encoding": "gzip"})
    assert small.headers["content-encoding"] == "gzip"
    assert gzip.decompress(small.body) == plain.body
    assert len(small.body) < len(plain.body) / 3


@pytest.mark.parametrize(
    ("path", "query", "status", "said"),
    [
        ("/api/events", {"agnet": "a"}, 422, "'agnet'.*did you mean 'agent'"),
        ("/api/events", {"filter": ["agent = 'a'", "turn = 1"]}, 422, "'filter': it was given several times"),
        ("/api/events", {"limit": "ten"}, 422, "limit: expected .*integer.*'ten'"),
        ("/api/events", {"limit": 10_001}, 422, "at most 10,000; go on with `cursor`"),
        ("/api/events", {"limit": -1}, 422, "limit"),
        ("/api/events", {"cursor": "rubbish"}, 422, "parameter cursor: it was not given out here"),
        ("/api/events", {"turn": "x"}, 400, "is not a turn"),
        ("/api/events", {"severity": "bad"}, 400, "is not a severity"),
        ("/api/events", {"since": "yesterday"}, 400, "is not a time"),
        ("/api/events", {"timeout": "soon"}, 422, "is not a duration"),
        ("/api/events", {"filter": "agnt = 'a'"}, 400, "agnt.*agent"),
        ("/api/runs/none/events", {}, 404, "cannot find the run 'none'.*/api/runs"),
        ("/jobs/none/events", {}, 404, "cannot find the job 'none'.*/jobs"),
        ("/api/events/none", {}, 404, "cannot find the event 'none'"),
        ("/api/event", {}, 404, "no such path; did you mean '/api/events'"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_a_problem_that_says_what_to_do(
    client: Client, path: str, query: dict[str, object], status: int, said: str
) -> None:
    """As application/problem+json."""
    reply = client.ask(path, **query)
    assert reply.status == status
    assert re.search(said, reply.detail), reply.detail


def test_a_wrong_filter_is_shown_with_a_caret(client: Client) -> None:
    """Under the place of the fault."""
    found = client.ask("/api/events", filter="agent = = 'a'").json
    text, caret = found["place"]
    assert text.strip() == "agent = = 'a'"
    assert text[caret.index("^")] == "="


def test_a_cursor_of_the_other_order_is_refused(client: Client) -> None:
    """It would give neither order."""
    cursor = client.get("/api/events", limit=1)["cursor"]
    assert "other order" in client.ask("/api/events", cursor=cursor, newest=True).detail


def test_a_path_takes_only_its_methods(client: Client) -> None:
    """And says which."""
    reply = client.ask("/api/events", method="DELETE")
    assert (reply.status, reply.headers["allow"]) == (405, "GET")
    assert "use GET" in reply.detail


def test_pages_are_stable_while_events_are_written(tmp_path: Path) -> None:
    """What comes behind a cursor is found by it; what is before it is not given again."""
    archive = tmp_path / "archive"
    writer = ArchiveWriter(archive)
    append(writer, [an_event(id=f"E{n:03d}", time=START + n) for n in range(10)])
    with a_client(archive) as client:
        got: list[str] = []
        cursor = None
        for written in range(10, 200, 10):
            page = client.get("/api/events", limit=7, cursor=cursor)
            got += [one["id"] for one in page["events"]]
            cursor = page["cursor"]
            append(writer, [an_event(id=f"E{n:03d}", time=START + n) for n in range(written, written + 10)])
        while page["has_more"] or len(got) < 200:
            page = client.get("/api/events", limit=50, cursor=cursor)
            got += [one["id"] for one in page["events"]]
            cursor = page["cursor"]
        assert got == [f"E{n:03d}" for n in range(200)]
    writer.close()


def test_an_archive_may_come_after_its_server(tmp_path: Path) -> None:
    """Until then there is nothing in it, and the directory is not made."""
    archive = tmp_path / "later" / "archive"
    with a_client(archive) as client:
        assert client.get("/health")["status"] == "waiting"
        assert client.get("/api/events") == {"events": [], "total": 0, "has_more": False, "partial": False}
        assert client.get("/api/runs") == {"runs": [], "total": 0, "has_more": False}
        assert not archive.parent.exists()
        an_archive(archive, [an_event(id="E1")])
        assert client.get("/health")["status"] == "ok"
        assert [one["id"] for one in client.get("/api/events")["events"]] == ["E1"]


def test_a_question_whose_time_is_over_is_answered_in_part(tmp_path: Path) -> None:
    """Marked as such, never as the whole."""
    archive = an_archive(tmp_path / "archive", [an_event(id=f"E{n:05d}", time=START + n) for n in range(3_000)])
    with a_client(archive) as client:
        client.get("/api/events", limit=1)  # what the first question waits for
        page = client.get("/api/events", limit=10_000, timeout="1us")
        assert page["partial"] is True
        assert page["has_more"] is True or page["total"] == 3_000
        assert client.get("/api/events", limit=10_000)["partial"] is False
