"""Polling: what streams give, by asking again and again."""

from pathlib import Path

import pytest

from build_live import SseEar, a_writer, forget, write
from build_serve import READER, TOKENS, Client, a_client, a_server
from waiting import until

LONG_AGO = "2020-01-01T00:00:00Z"


def ids(answer: dict[str, list[dict[str, str]]]) -> list[str]:
    return [one["id"] for one in answer["events"]]


def test_polling_gives_the_events_of_a_stream_in_its_form_and_order(tmp_path: Path) -> None:
    """However few are asked for at once."""
    names = [f"e{n}" for n in range(23)]
    with a_server(tmp_path) as serving, a_writer(tmp_path) as writer, SseEar(serving.url) as ear:
        client = Client(serving.port)
        until(lambda: bool(ear.heard))
        answer = client.get("/api/poll")
        assert (ids(answer), answer["has_more"]) == ([], False)
        write(writer, names)
        found = []
        until(lambda: ear.ids == names)
        for limit in (1, 4, 5, 100):
            answer = client.get("/api/poll", cursor=answer["cursor"], limit=limit)
            assert len(answer["events"]) <= limit and answer["has_more"] == (limit != 100)
            found += answer["events"]
        assert found == [one.json() for one in ear.heard if one.event == "message"]
        assert client.get("/api/poll", cursor=answer["cursor"])["events"] == []


def test_a_place_of_a_stream_is_a_place_for_polling_and_the_other_way_round(tmp_path: Path) -> None:
    """Whoever cannot keep a connection goes on by asking, and comes back."""
    with a_server(tmp_path) as serving, a_writer(tmp_path) as writer:
        client = Client(serving.port)
        with SseEar(serving.url) as ear:
            until(lambda: bool(ear.heard))
            write(writer, ["a"])
            until(lambda: ear.ids == ["a"])
        write(writer, ["b"])
        answer = client.get("/api/poll", cursor=ear.heard[-1].id)
        assert ids(answer) == ["b"]
        write(writer, ["c"])
        with SseEar(serving.url, f"/api/stream?cursor={answer['cursor']}") as ear:
            until(lambda: ear.ids == ["c"])


def test_polling_since_a_time_and_with_a_filter(tmp_path: Path) -> None:
    """On every spelling of the path, what the parameters of /api/events choose."""
    with a_client(tmp_path) as client, a_writer(tmp_path) as writer:
        for name in ("a1", "b1", "b2"):
            write(writer, [name], run=name[0])
        assert ids(client.get("/api/poll", since=LONG_AGO)) == ["a1", "b1", "b2"]
        assert ids(client.get("/api/events/poll", since=LONG_AGO, filter="id LIKE '*1'")) == ["a1", "b1"]
        assert ids(client.get("/api/poll", since="2030-01-01T00:00:00Z")) == []
        for path in (
            "/api/runs/b",
            "/api/runs/b/events",
            "/simulations/b",
            "/simulations/b/events",
            "/jobs/b",
            "/jobs/b/events",
        ):
            assert ids(client.get(f"{path}/poll", since=LONG_AGO)) == ["b1", "b2"]


def test_an_answer_can_wait_for_the_first_event(tmp_path: Path) -> None:
    """What comes while it waits ends the waiting; where nothing comes the time does, and the place is still good."""
    with a_client(tmp_path) as client, a_writer(tmp_path) as writer:
        answer = client.get("/api/poll", wait="50ms")
        assert ids(answer) == []
        write(writer, ["one"])
        answer = client.get("/api/poll", cursor=answer["cursor"], wait="60s", run="run-1")
        assert ids(answer) == ["one"]


def test_what_retention_removed_before_it_was_asked_for_is_told(tmp_path: Path) -> None:
    """How many, and from when to when; what is left is given."""
    with a_client(tmp_path) as client:
        place = client.get("/api/poll")["cursor"]
        with a_writer(tmp_path) as writer:
            write(writer, ["a", "b"])
        forget(tmp_path)
        with a_writer(tmp_path) as writer:
            write(writer, ["c"])
            answer = client.get("/api/poll", cursor=place)
            assert ids(answer) == ["c"]
            (notice,) = answer["notices"]
            assert notice["message"] == "missed"
            assert (notice["data"]["reason"], notice["data"]["count"]) == ("removed", 2)
            assert client.get("/api/poll", cursor=answer["cursor"])["notices"] == []


@pytest.mark.parametrize(
    "query", [{"cursor": "nonsense"}, {"limit": 0}, {"limit": 10**6}, {"wait": "soon"}, {"since": "never"}, {"x": 1}]
)
def test_what_cannot_be_asked_is_refused(tmp_path: Path, query: dict[str, object]) -> None:
    """A problem that says what to do."""
    with a_client(tmp_path) as client:
        assert 400 <= client.ask("/api/poll", **query).status < 500


def test_pollers_get_only_what_they_may_see(tmp_path: Path) -> None:
    """The wall of a token holds here too."""
    with a_client(tmp_path, auth={"tokens": TOKENS}) as client, a_writer(tmp_path) as writer:
        assert client.ask("/api/poll").status == 401
        write(writer, ["audit"], attributes={"whence.audit": True})
        write(writer, ["plain"])
        client.token = READER
        assert ids(client.get("/api/poll", since=LONG_AGO)) == ["plain"]
