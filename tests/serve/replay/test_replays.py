"""Replays over HTTP: begun, listened to, paused, stepped, moved and ended."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from build import START, an_event
from build_backend import a_backend
from build_live import SseEar, connect, send
from build_replay import SECOND, an_archive, events_apart
from build_serve import ADMIN, READER, TOKENS, WRITER, Client, a_client, a_server
from waiting import until

IDS = [f"run-1-{n:04d}" for n in range(10)]
HOUR = 3600 * SECOND


def begin(client: Client, **wanted: Any) -> str:
    """A replay; its id."""
    reply = send(client, "POST", "/api/replays", wanted)
    assert reply.status == 201, reply
    return str(reply.json["id"])


def change(client: Client, id: str, **wanted: Any) -> Any:
    reply = send(client, "POST", f"/api/replays/{id}", wanted)
    assert reply.status == 200, reply
    return reply.json


@contextmanager
def paused(directory: Path) -> Iterator[tuple[Any, Client, str]]:
    """A server, a client of it, and a replay that stands still before ten events, an hour apart."""
    an_archive(directory, events_apart(10, HOUR))
    with a_server(directory) as serving:
        client = Client(serving.port)
        yield serving, client, begin(client, paused=True)


def stepped(serving: Any, client: Client, id: str, steps: int) -> list[str]:
    """The ids of the messages that a listener heard who went away after so many steps."""
    with SseEar(serving.url, f"/api/replays/{id}/stream") as ear:
        until(lambda: bool(ear.heard))
        change(client, id, step=steps)
        until(lambda: ear.ids == IDS[:steps])
        return [str(one.id) for one in ear.heard]


def test_listeners_hear_what_is_replayed_as_they_hear_live_events(tmp_path: Path) -> None:
    """Two over Server-Sent Events, one of them with a filter, one over WebSocket; from the first on, if it waits for them."""
    an_archive(tmp_path, [*events_apart(10), *events_apart(3, run="other")])
    with a_server(tmp_path) as serving:
        client = Client(serving.port)
        id = begin(client, run="run-1", speed="max", paused=True)
        path = f"/api/replays/{id}/stream"
        with (
            SseEar(serving.url, path) as all_of_it,
            SseEar(serving.url, f"{path}?filter=id%20LIKE%20'%2A3'") as some,
            connect(serving.url.replace("http", "ws") + path) as socket,
        ):
            assert json.loads(socket.recv(timeout=60))["message"] == "connected"
            until(lambda: bool(all_of_it.heard and some.heard))
            assert client.get(f"/api/replays/{id}")["state"] == "paused"
            change(client, id, paused=False)
            until(lambda: all_of_it.ids == IDS and some.ids == ["run-1-0003"])
            assert [json.loads(socket.recv(timeout=60))["event"]["id"] for _ in range(10)] == IDS
            told = [one.json() for one in all_of_it.heard if one.event == "message"]
            assert told == client.get("/api/events", run="run-1")["events"]
            until(lambda: client.get(f"/api/replays/{id}")["state"] == "finished")
            assert client.get(f"/api/replays/{id}")["given"] == 10
            assert client.ask(f"/api/replays/{id}", method="DELETE").status == 204
            until(lambda: not all_of_it.alive)
            assert all_of_it.heard[-1].event == "closing"
        assert client.get("/api/replays")["replays"] == []
        assert client.ask(path).status == 404


def test_it_is_stepped_moved_and_hurried(tmp_path: Path) -> None:
    """Events an hour apart, in a moment."""
    with paused(tmp_path) as (serving, client, id), SseEar(serving.url, f"/api/replays/{id}/stream") as ear:
        until(lambda: bool(ear.heard))
        change(client, id, step=2)
        until(lambda: ear.ids == IDS[:2])
        change(client, id, seek="2026-01-01T07:00:00Z", step=1)
        until(lambda: ear.ids == [*IDS[:2], IDS[7]])
        assert client.get(f"/api/replays/{id}")["at"] == "2026-01-01T07:00:00.000000000Z"
        change(client, id, seek="start", speed="max", paused=False)
        until(lambda: ear.ids[3:] == IDS)


def test_who_comes_back_goes_on_behind_the_message_it_heard_last(tmp_path: Path) -> None:
    """By Last-Event-ID as browsers send it, or by cursor, whichever way the replay was moved meanwhile; a place that is none of
    this replay is refused."""
    with paused(tmp_path) as (serving, client, id):
        path = f"/api/replays/{id}/stream"
        last = stepped(serving, client, id, 3)[-2]
        change(client, id, seek="2026-01-01T07:00:00Z", step=2)
        until(lambda: client.get(f"/api/replays/{id}")["given"] == 5)
        with SseEar(serving.url, path, headers={"Last-Event-ID": last}) as ear:
            until(lambda: ear.ids == [IDS[2], IDS[7], IDS[8]])
            change(client, id, step=1)
            until(lambda: ear.ids[3:] == [IDS[9]])
        with connect(f"{serving.url.replace('http', 'ws')}{path}?cursor={last}&filter=id%20LIKE%20'%2A8'") as socket:
            assert json.loads(socket.recv(timeout=60))["message"] == "connected"
            assert json.loads(socket.recv(timeout=60))["event"]["id"] == IDS[8]
        for place in ("x", "1.0.AAAAAAAA", f"{id}.7", f"{id}.-1", "other.1"):
            reply = client.ask(path, cursor=place)
            assert reply.status == 422 and "no place of the replay" in reply.detail


def test_what_is_not_kept_for_who_comes_back_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many events the replay gave meanwhile that cannot be had again, and then those that can."""
    monkeypatch.setattr("whence.serve.replay.stage.KEPT", 4)
    with paused(tmp_path) as (serving, client, id):
        path = f"/api/replays/{id}/stream"
        last = stepped(serving, client, id, 1)[-1]
        change(client, id, step=9)
        until(lambda: client.get(f"/api/replays/{id}")["given"] == 10)
        with SseEar(serving.url, f"{path}?cursor={last}") as ear:
            until(lambda: ear.ids == IDS[6:])
            (said,) = [one.json() for one in ear.heard if one.event == "missed"]
            assert (said["reason"], said["count"]) == ("gone", 5)


def test_a_checkpoint_survives_the_server(tmp_path: Path) -> None:
    """The next server's replay of the same goes on behind what was given."""
    an_archive(tmp_path, events_apart(10, HOUR))
    with a_client(tmp_path) as client:
        id = begin(client, paused=True, checkpoint="mine")
        change(client, id, step=4)
        until(lambda: client.get(f"/api/replays/{id}")["given"] == 4)
    with a_server(tmp_path) as serving:
        client = Client(serving.port)
        id = begin(client, paused=True, checkpoint="mine", speed="max")
        with SseEar(serving.url, f"/api/replays/{id}/stream") as ear:
            until(lambda: bool(ear.heard))
            change(client, id, paused=False)
            until(lambda: ear.ids == IDS[4:])


def test_it_goes_to_an_otlp_endpoint_as_well_for_who_may_administer(tmp_path: Path) -> None:
    """A server must not be made to send anywhere by anybody."""
    an_archive(tmp_path, events_apart(3))
    with a_client(tmp_path, auth={"tokens": TOKENS}) as client, a_backend() as backend:
        client.token = WRITER
        assert send(client, "POST", "/api/replays", {"otlp": backend.http}).status == 403
        client.token = ADMIN
        for endpoint in (backend.http, f"grpc://{backend.grpc}"):
            backend.kept = []
            id = begin(client, otlp=endpoint, speed="max")
            until(lambda id=id: client.get(f"/api/replays/{id}")["given"] == 3)  # type: ignore[misc]
            assert backend.kept


def test_who_may_do_what(tmp_path: Path) -> None:
    """Reading is listening; beginning takes the role write; changing is for its maker, and nobody hears what they may not see."""
    an_archive(tmp_path, [*events_apart(2), an_event(id="audit", attributes={"whence.audit": True}, time=START + HOUR)])
    with a_server(tmp_path, auth={"tokens": TOKENS}) as serving:
        client = Client(serving.port, READER)
        assert send(client, "POST", "/api/replays", {}).status == 403
        client.token = ADMIN
        id = begin(client, speed="max", paused=True)
        with (
            SseEar(serving.url, f"/api/replays/{id}/stream", token=READER) as rita,
            SseEar(serving.url, f"/api/replays/{id}/stream", token=ADMIN) as ada,
        ):
            until(lambda: bool(rita.heard and ada.heard))
            client.token = WRITER
            assert send(client, "POST", f"/api/replays/{id}", {"paused": False}).status == 403
            assert client.ask(f"/api/replays/{id}", method="DELETE").status == 403
            client.token = ADMIN
            change(client, id, paused=False)
            until(lambda: ada.ids == [*IDS[:2], "audit"])
            assert client.ask(f"/api/replays/{id}", method="DELETE").status == 204
            until(lambda: not rita.alive)
            assert rita.ids == IDS[:2]
        client.token = WRITER
        mine = begin(client, speed="max")
        until(lambda: client.get(f"/api/replays/{mine}")["state"] == "finished")
        assert client.get(f"/api/replays/{mine}")["given"] == 2


@pytest.mark.parametrize(
    "wanted",
    [
        {"speed": 5000},
        {"speed": "fast"},
        {"filter": "turn >"},
        {"since": "soon"},
        {"checkpoint": "a/b"},
        {"otlp": "x"},
        {"x": 1},
    ],
)
def test_what_cannot_be_replayed_is_refused(tmp_path: Path, wanted: dict[str, Any]) -> None:
    """With a problem; nothing is begun."""
    an_archive(tmp_path, events_apart(1))
    with a_client(tmp_path) as client:
        assert 400 <= send(client, "POST", "/api/replays", wanted).status < 500
        assert client.get("/api/replays")["replays"] == []
