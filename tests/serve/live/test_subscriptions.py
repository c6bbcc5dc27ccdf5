"""Named subscriptions: at least once, from where they were acknowledged, across restarts."""

import json
from pathlib import Path
from typing import Any

import pytest

from build_live import SseEar, a_writer, connect, send, write
from build_serve import ADMIN, READER, TOKENS, WRITER, Client, a_client, a_server
from waiting import until


def put(client: Client, name: str, **wanted: Any) -> Any:
    return send(client, "PUT", f"/api/subscriptions/{name}", wanted)


def ack(client: Client, name: str, cursor: str) -> Any:
    return send(client, "POST", f"/api/subscriptions/{name}/ack", {"cursor": cursor})


def ids(answer: dict[str, list[dict[str, str]]]) -> list[str]:
    return [one["id"] for one in answer["events"]]


def test_what_was_not_acknowledged_is_given_again_also_by_another_server(tmp_path: Path) -> None:
    """The position moves by acknowledgements alone, and the next server knows it."""
    path = "/api/subscriptions/mine"
    with a_writer(tmp_path) as writer:
        write(writer, ["before"])
        with a_client(tmp_path) as client:
            assert put(client, "mine", filter="run = 'run-1'").status == 201
            write(writer, ["a", "b"])
            write(writer, ["other"], run="run-2")
            first = client.get(f"{path}/poll", limit=1)
            assert (ids(first), first["has_more"]) == (["a"], True)
            assert ids(client.get(f"{path}/poll")) == ["a", "b"]
            assert ack(client, "mine", first["cursor"]).status == 200
        write(writer, ["c"])
        with a_server(tmp_path) as serving, SseEar(serving.url, f"{path}/stream") as ear:
            until(lambda: ear.ids == ["b", "c"])
            last = ear.heard[-1].id
            assert ack(Client(serving.port), "mine", last).status == 200
        with a_client(tmp_path) as client:
            assert client.get(f"{path}/poll")["events"] == []
            found = client.get(path)
            assert (found["cursor"], found["filter"]) == (last, "run = 'run-1'") and found["acknowledged"]


def test_it_can_begin_with_what_was_there_or_behind_a_place(tmp_path: Path) -> None:
    """From a time, a cursor, or now; making it again changes nothing, making another of its name is refused."""
    with a_client(tmp_path) as client, a_writer(tmp_path) as writer:
        write(writer, ["a", "b"])
        all_of_it = client.get("/api/poll", since="2020-01-01T00:00:00Z", limit=1)
        assert put(client, "time", since="2020-01-01T00:00:00Z").status == 201
        assert put(client, "place", cursor=all_of_it["cursor"]).status == 201
        assert put(client, "now").status == 201
        assert ids(client.get("/api/subscriptions/time/poll")) == ["a", "b"]
        assert ids(client.get("/api/subscriptions/place/poll")) == ["b"]
        assert ids(client.get("/api/subscriptions/now/poll")) == []
        write(writer, ["c"])
        assert put(client, "now").status == 200
        assert ids(client.get("/api/subscriptions/now/poll")) == ["c"]
        assert put(client, "now", filter="turn = 1").status == 409
        assert [one["name"] for one in client.get("/api/subscriptions")["subscriptions"]] == ["now", "place", "time"]
        assert client.ask("/api/subscriptions/now", method="DELETE").status == 204
        assert client.ask("/api/subscriptions/now").status == 404
        assert client.ask("/api/subscriptions/now", method="DELETE").status == 404


def test_a_websocket_acknowledges_on_its_own_connection(tmp_path: Path) -> None:
    """What it says is answered, what cannot be understood too."""
    with a_server(tmp_path) as serving, a_writer(tmp_path) as writer:
        client = Client(serving.port)
        put(client, "mine")
        write(writer, ["a", "b"])
        with connect(serving.url.replace("http", "ws") + "/api/subscriptions/mine/stream") as socket:
            told = [json.loads(socket.recv(timeout=60)) for _ in range(3)]
            socket.send(json.dumps({"ack": told[1]["cursor"]}))
            assert json.loads(socket.recv(timeout=60)) == {
                "message": "acknowledged", "cursor": told[1]["cursor"], "data": {},
            }  # fmt: skip
            for text in ("nonsense", "[]", '{"ack": "nonsense"}'):
                socket.send(text)
                assert json.loads(socket.recv(timeout=60))["message"] == "refused"
        assert ids(client.get("/api/subscriptions/mine/poll")) == ["b"]


def test_a_subscription_is_of_its_owner_and_shows_no_more_than_they_may_see(tmp_path: Path) -> None:
    """To others it is not there; making one takes the role write; audit events stay with those who may see them."""
    with a_client(tmp_path, auth={"tokens": TOKENS}) as client, a_writer(tmp_path) as writer:
        client.token = READER
        assert put(client, "mine").status == 403
        client.token = WRITER
        assert put(client, "mine").status == 201
        write(writer, ["audit"], attributes={"whence.audit": True})
        write(writer, ["plain"])
        assert ids(client.get("/api/subscriptions/mine/poll")) == ["plain"]
        client.token = READER
        assert client.ask("/api/subscriptions/mine").status == 404
        assert client.ask("/api/subscriptions/mine/poll").status == 404
        assert client.ask("/api/subscriptions/mine/stream").status == 404
        assert client.get("/api/subscriptions")["subscriptions"] == []
        client.token = ADMIN
        assert ids(client.get("/api/subscriptions/mine/poll")) == ["audit", "plain"]


@pytest.mark.parametrize(
    ("name", "wanted", "status"),
    [
        (".hidden", {}, 400),
        ("a b", {}, 400),
        ("x" * 101, {}, 400),
        ("x.tmp", {}, 400),
        ("ok", {"filter": "turn >"}, 400),
        ("ok", {"filter": "CAUSED_BY (turn = 1)"}, 400),
        ("ok", {"cursor": "nonsense"}, 422),
        ("ok", {"since": "soon"}, 400),
        ("ok", {"fliter": ""}, 422),
    ],
)
def test_what_cannot_be_subscribed_to_is_refused(
    tmp_path: Path, name: str, wanted: dict[str, str], status: int
) -> None:
    """With a problem, and nothing is kept."""
    with a_client(tmp_path) as client:
        assert put(client, name, **wanted).status == status
        assert client.get("/api/subscriptions")["subscriptions"] == []


def test_a_damaged_note_is_none_and_can_be_made_anew(tmp_path: Path) -> None:
    """What cannot be read is no subscription, and is never taken for a place."""
    with a_client(tmp_path) as client:
        put(client, "mine")
        (file,) = tmp_path.glob(".subscription-*")
        for text in ("", "{", "[]", '{"name": "mine"}', file.read_text().replace('"1.', '"9.').replace('"2.', '"9.')):
            file.write_text(text)
            assert client.get("/api/subscriptions")["subscriptions"] == []
            assert client.ask("/api/subscriptions/mine/poll").status == 404
        assert put(client, "mine").status == 201
