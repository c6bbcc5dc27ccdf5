"""Server-Sent Events over a real socket, read by a client library that is not ours."""

import json
import socket
import threading
from pathlib import Path

import pytest

from build_live import SseEar, a_writer, write
from build_serve import ADMIN, READER, TOKENS, Client, a_client, a_server
from waiting import until
from whence.archive.writer import ArchiveWriter


def test_a_stream_begins_with_where_it_is_and_how_to_read_it(tmp_path: Path) -> None:
    """The opening message confirms the connection and has a place to come back to; no proxy may keep or change what follows."""
    with a_server(tmp_path) as serving, SseEar(serving.url) as ear:
        until(lambda: bool(ear.heard))
        first = ear.heard[0]
        assert (first.event, first.retry) == ("connected", 1000)
        assert first.id and first.json()["heartbeat"] == 5.0
        assert ear.headers["content-type"].startswith("text/event-stream")
        assert "no-transform" in ear.headers["cache-control"] and "no-cache" in ear.headers["cache-control"]
        assert ear.headers["x-accel-buffering"] == "no"
        assert "content-encoding" not in ear.headers


def test_what_comes_is_given_as_it_is_everywhere_else(tmp_path: Path) -> None:
    """What was recorded before the connection is not given; an event is the JSON that /api/events gives."""
    with a_server(tmp_path) as serving, a_writer(tmp_path) as writer:
        write(writer, ["before"])
        with SseEar(serving.url) as ear:
            until(lambda: bool(ear.heard))
            write(writer, ["one", "two"])
            until(lambda: ear.ids == ["one", "two"])
            told = [one.json() for one in ear.heard if one.event == "message"]
        assert told == Client(serving.port).get("/api/events", filter="id IN ('one', 'two')")["events"]


def test_silence_is_broken_by_heartbeats_whose_ids_move_on(tmp_path: Path) -> None:
    """A client that gets nothing knows that the connection stands, and comes back behind what was not for it."""
    with a_server(tmp_path, stream={"heartbeat": "50ms"}) as serving, a_writer(tmp_path) as writer:
        with SseEar(serving.url, "/api/stream?run=other") as ear:
            until(lambda: bool(ear.heard))
            write(writer, ["one"])
            begun = ear.heard[0].id
            until(lambda: any(one.event == "heartbeat" and one.id != begun for one in ear.heard))
            assert ear.ids == []
        with SseEar(serving.url, headers={"Last-Event-ID": ear.heard[-1].id}) as again:
            write(writer, ["two"])
            until(lambda: again.ids == ["two"])


def test_a_filter_and_named_parameters_choose_what_is_given(tmp_path: Path) -> None:
    """All that /api/events takes, on every spelling of the path."""
    with a_server(tmp_path) as serving, a_writer(tmp_path) as writer:
        paths = {
            "/api/stream?run=b": ["b1", "b2"],
            "/api/events/stream?filter=id%20LIKE%20'%2A1'": ["a1", "b1"],
            "/api/stream?type=other": [],
            "/api/runs/b/stream": ["b1", "b2"],
            "/api/runs/b/events/stream?filter=id%20LIKE%20'%2A1'": ["b1"],
            "/simulations/b/stream": ["b1", "b2"],
            "/simulations/b/events/stream": ["b1", "b2"],
            "/jobs/b/events/stream": ["b1", "b2"],
            "/jobs/b/stream": ["b1", "b2"],
            "/api/stream": ["a1", "b1", "b2", "end"],
        }
        ears = {path: SseEar(serving.url, path) for path in paths}
        until(lambda: all(ear.heard for ear in ears.values()))
        for name in ("a1", "b1", "b2"):
            write(writer, [name], run=name[0])
        write(writer, ["end"], run="end")
        until(lambda: all(ears[path].ids == ids for path, ids in paths.items()))
        for ear in ears.values():
            ear.stop()
        until(lambda: serving.served is not None and serving.served.feed.subscribers == 0)


def test_it_begins_where_it_is_told(tmp_path: Path) -> None:
    """At a time, behind a message by its id as a parameter or as browsers send it, whatever came meanwhile."""
    with a_server(tmp_path) as serving, a_writer(tmp_path) as writer:
        write(writer, ["a", "b", "c"])
        with SseEar(serving.url, "/api/stream?since=2020-01-01T00:00:00Z") as ear:
            until(lambda: ear.ids == ["a", "b", "c"])
        place = next(one.id for one in ear.heard if one.event == "message")
        write(writer, ["d"])
        with SseEar(serving.url, f"/api/stream?cursor={place}") as ear:
            until(lambda: ear.ids == ["b", "c", "d"])
        with SseEar(serving.url, f"/api/stream?cursor={place}", headers={"Last-Event-ID": ear.heard[-1].id}) as ear:
            write(writer, ["e"])
            until(lambda: ear.ids == ["e"])


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"cursor": "nonsense"}, "it is no cursor; give the id of a message"),
        ({"filter": "turn >"}, "turn >"),
        ({"filter": "CAUSED_BY (type = 'a')"}, "only a whole archive knows them"),
        ({"buffer": "100000"}, "at most 10,000"),
        ({"fliter": "x"}, "filter"),
        ({"since": "tomorrow"}, "is not a time"),
    ],
)
def test_what_cannot_be_streamed_is_refused_before_it_begins(tmp_path: Path, query: dict[str, str], said: str) -> None:
    """A problem, not a stream that breaks off."""
    with a_client(tmp_path) as client:
        reply = client.ask("/api/stream", **query)
        assert 400 <= reply.status < 500
        assert said in json.dumps(reply.json)


def test_no_more_subscribers_than_there_is_room_for(tmp_path: Path) -> None:
    """One more is told to come back later, and finds room once another has left."""
    with a_server(tmp_path) as serving:
        assert serving.served is not None
        feed = serving.served.feed
        while feed.subscribers < feed.most:
            feed.hold()
        reply = Client(serving.port).ask("/api/stream")
        assert reply.status == 503 and "try again later" in reply.detail


def test_callers_hear_only_what_they_may_see(tmp_path: Path) -> None:
    """The wall of a token holds on streams; without a token there is none."""
    tokens = [*TOKENS, {"name": "bob", "token": "bob-token-0123456789", "role": "read", "where": "run = 'b'"}]
    masks = {"read": {"blocked_key_patterns": ["secret"]}}
    with a_server(tmp_path, auth={"tokens": tokens}, masks=masks) as serving, a_writer(tmp_path) as writer:
        assert Client(serving.port).ask("/api/stream").status == 401
        ears = [SseEar(serving.url, token=token) for token in (ADMIN, READER, "bob-token-0123456789")]
        until(lambda: all(ear.heard for ear in ears))
        write(writer, ["a"], run="a")
        write(writer, ["b"], run="b", payload={"secret": "hush"})
        until(lambda: [ear.ids for ear in ears] == [["a", "b"], ["a", "b"], ["b"]])
        secrets = [one.json()["payload"]["secret"] for ear in ears for one in ear.heard if '"hush"' in one.data]
        assert secrets == ["hush"]
        for ear in ears:
            ear.stop()


def test_a_stream_ends_with_its_token(tmp_path: Path) -> None:
    """A token that is taken out of the file opens nothing any more, also what it had opened before."""
    file = tmp_path / "tokens.yaml"
    file.write_text(f"- {{name: rita, token: {READER}}}\n- {{name: ada, token: {ADMIN}, role: admin}}\n")
    with (
        a_server(tmp_path / "a", auth={"file": str(file)}, stream={"heartbeat": "50ms"}) as serving,
        SseEar(serving.url, token=READER) as ear,
        SseEar(serving.url, token=ADMIN) as other,
    ):
        until(lambda: bool(ear.heard and other.heard))
        file.write_text(f"- {{name: ada, token: {ADMIN}, role: admin}}\n")
        until(lambda: not ear.alive)
        assert ear.heard[-1].event == "closing" and "token is not known" in ear.heard[-1].json()["reason"]
        assert other.alive


def test_a_server_that_stops_says_so_and_where_to_go_on(tmp_path: Path) -> None:
    """The last message is told before the connection ends, and another server goes on from its place."""
    with a_writer(tmp_path) as writer:
        with a_server(tmp_path) as serving, SseEar(serving.url) as ear:
            until(lambda: bool(ear.heard))
            write(writer, ["one"])
            until(lambda: ear.ids == ["one"])
            assert serving.stop(10.0)
            until(lambda: not ear.alive)
            last = ear.heard[-1]
            assert last.event == "closing" and "stopping" in last.json()["reason"]
        write(writer, ["two"])
        with a_server(tmp_path) as serving, SseEar(serving.url, f"/api/stream?cursor={last.json()['resume']}") as ear:
            until(lambda: ear.ids == ["two"])


def test_who_takes_nothing_is_let_go_and_delays_nobody(tmp_path: Path) -> None:
    """A client that reads no byte loses its place after the time it has; one beside it gets everything."""
    big = {"text": "x" * 20_000}
    with a_server(tmp_path, stream={"slow_timeout": "1s", "buffer": 50}) as serving, a_writer(tmp_path) as writer:
        assert serving.served is not None
        feed = serving.served.feed
        with SseEar(serving.url) as ear, socket.create_connection(("127.0.0.1", serving.port)) as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.sendall(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            until(lambda: feed.subscribers == 2 and bool(ear.heard))
            names = [f"e{n:04d}" for n in range(1_000)]
            thread = threading.Thread(target=lambda: _paced(writer, names, ear, big))
            thread.start()
            until(lambda: feed.subscribers == 1)
            thread.join(60)
            until(lambda: len(ear.ids) == len(names))
            assert ear.ids == names
            assert not [one for one in ear.heard if one.event in ("missed", "slow", "closing")]


def _paced(writer: ArchiveWriter, names: list[str], ear: SseEar, payload: dict[str, str]) -> None:
    """Write no faster than somebody hears it."""
    for n, name in enumerate(names):
        until(lambda n=n: len(ear.ids) > n - 20)  # type: ignore[misc]
        write(writer, [name], payload=payload)
