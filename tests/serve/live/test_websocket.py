"""Live events over a WebSocket, with a client library that is not ours: the messages of the streams, on their paths."""

import json
import threading
from pathlib import Path
from socket import SHUT_RDWR
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from build_live import SseEar, a_writer, connect, write
from build_serve import ADMIN, READER, TOKENS, Client, a_server
from waiting import until


def messages(socket: ClientConnection, count: int) -> list[dict[str, Any]]:
    """The next so many messages that are no heartbeats."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        message = json.loads(socket.recv(timeout=60))
        if message["message"] != "heartbeat":
            found.append(message)
    return found


def url_of(url: str, path: str = "/api/stream") -> str:
    return url.replace("http", "ws", 1) + path


def test_the_messages_are_those_of_server_sent_events(tmp_path: Path) -> None:
    """The same events with places that lead to the same, told the same way; a heartbeat breaks the silence."""
    with a_server(tmp_path, stream={"heartbeat": "100ms"}) as serving, a_writer(tmp_path) as writer:
        write(writer, ["before"])
        path = "/api/runs/run-1/stream?since=2020-01-01T00:00:00Z"
        with SseEar(serving.url, path) as ear, connect(url_of(serving.url, path)) as socket:
            first, before = messages(socket, 2)
            assert first["message"] == "connected" and first["cursor"] and first["data"]["heartbeat"] == 0.1
            write(writer, ["one", "two"])
            found = [before, *messages(socket, 2)]
            until(lambda: len(ear.ids) == 3)
            same = [(one.id, one.json()) for one in ear.heard if one.event == "message"]
            assert [one["event"] for one in found] == [event for _, event in same]
            # The text of a place tells who gave it, one who reads what was there or the feed; where it leads is the same.
            for n, places in enumerate(
                zip([one["cursor"] for one in found], [place for place, _ in same], strict=True)
            ):
                for place in places:
                    rest = Client(serving.port).ask("/api/poll", cursor=place).json["events"]
                    assert [one["id"] for one in rest] == ["before", "one", "two"][n + 1 :]
            while json.loads(socket.recv(timeout=60))["message"] != "heartbeat":
                pass


def test_many_messages_may_come_in_one_text(tmp_path: Path) -> None:
    """With `lines`, a line each: the same messages, in their order."""
    with a_server(tmp_path) as serving, a_writer(tmp_path) as writer:
        names = [f"e{n:03d}" for n in range(300)]
        write(writer, names)
        with (
            connect(url_of(serving.url, "/api/stream?since=2020-01-01T00:00:00Z&lines=true")) as socket,
            connect(url_of(serving.url, "/api/stream?since=2020-01-01T00:00:00Z")) as other,
        ):
            found: list[dict[str, Any]] = []
            texts = 0
            while len(found) < len(names) + 1:
                told = [json.loads(line) for line in str(socket.recv(timeout=60)).split("\n")]
                found += [one for one in told if one["message"] != "heartbeat"]
                texts += 1
            assert texts < len(names) / 2
            same = [one["event"] for one in messages(other, len(names) + 1)[1:]]
            assert [one["event"] for one in found[1:]] == same
            assert [one["event"]["id"] for one in found[1:]] == names


def test_it_goes_on_behind_a_place(tmp_path: Path) -> None:
    """With the cursor of any message nothing is missing and nothing comes twice."""
    with a_server(tmp_path) as serving, a_writer(tmp_path) as writer:
        with connect(url_of(serving.url)) as socket:
            messages(socket, 1)
            write(writer, ["a", "b", "c"])
            given = messages(socket, 3)
        write(writer, ["d"])
        with connect(url_of(serving.url, f"/api/stream?cursor={given[0]['cursor']}")) as socket:
            assert [one["event"]["id"] for one in messages(socket, 4)[1:]] == ["b", "c", "d"]


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("cursor=nonsense", 422, "it is no cursor"),
        ("filter=turn%20%3E", 400, "turn >"),
        ("buffer=none", 422, "buffer: expected a valid integer"),
        ("fliter=x", 422, "'filter'"),
    ],
)
def test_what_cannot_be_streamed_is_refused_with_a_problem(tmp_path: Path, query: str, status: int, said: str) -> None:
    """Before there is a WebSocket, in the form of every other error."""
    with a_server(tmp_path) as serving:
        with pytest.raises(InvalidStatus) as caught, connect(url_of(serving.url, f"/api/stream?{query}")):
            pass
        response = caught.value.response
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        assert said in json.dumps(json.loads(response.body), ensure_ascii=False)


def test_a_page_gives_its_token_as_a_subprotocol(tmp_path: Path) -> None:
    """A browser's WebSocket can send no header; the token it offers beside `whence` is never said back."""
    tokens = [*TOKENS, {"name": "bob", "token": "bob-token-0123456789", "role": "read", "where": "run = 'b'"}]
    with a_server(tmp_path, auth={"tokens": tokens}) as serving, a_writer(tmp_path) as writer:
        with pytest.raises(InvalidStatus) as caught, connect(url_of(serving.url)):
            pass
        assert caught.value.response.status_code == 401
        offered: list[Any] = ["whence", "bearer.bob-token-0123456789"]
        headers = {"Authorization": f"Bearer {READER}"}
        with (
            connect(url_of(serving.url), subprotocols=offered) as bob,
            connect(url_of(serving.url), additional_headers=headers) as rita,
        ):
            assert bob.subprotocol == "whence"
            messages(bob, 1)
            messages(rita, 1)
            write(writer, ["a"], run="a")
            write(writer, ["b"], run="b")
            assert [one["event"]["id"] for one in messages(rita, 2)] == ["a", "b"]
            assert [one["event"]["id"] for one in messages(bob, 1)] == ["b"]


def test_who_leaves_gives_its_place_to_another_and_who_stops_says_so(tmp_path: Path) -> None:
    """Whether a client says good-bye or is cut off; and the server's last message says where to go on."""
    with a_server(tmp_path) as serving:
        assert serving.served is not None
        feed = serving.served.feed
        with connect(url_of(serving.url)) as socket:
            messages(socket, 1)
            assert feed.subscribers == 1
        until(lambda: feed.subscribers == 0)
        with connect(url_of(serving.url)) as cut:
            messages(cut, 1)
            cut.socket.shutdown(SHUT_RDWR)
            until(lambda: feed.subscribers == 0)
        with connect(url_of(serving.url)) as socket:
            messages(socket, 1)
            stopping = threading.Thread(target=serving.stop, args=(10.0,))
            stopping.start()
            (last,) = messages(socket, 1)
            assert last["message"] == "closing" and "stopping" in last["data"]["reason"] and last["data"]["resume"]
            with pytest.raises(ConnectionClosed):
                socket.recv(timeout=60)
            stopping.join(60)


def test_an_administrator_hears_audit_events_and_others_do_not(tmp_path: Path) -> None:
    """What may not be read may not be heard either."""
    with a_server(tmp_path, auth={"tokens": TOKENS}) as serving, a_writer(tmp_path) as writer:
        ada, rita = ({"Authorization": f"Bearer {token}"} for token in (ADMIN, READER))
        with (
            connect(url_of(serving.url), additional_headers=ada) as all_of_it,
            connect(url_of(serving.url), additional_headers=rita) as plain,
        ):
            messages(all_of_it, 1)
            messages(plain, 1)
            write(writer, ["audit"], attributes={"whence.audit": True})
            write(writer, ["plain"])
            assert [one["event"]["id"] for one in messages(all_of_it, 2)] == ["audit", "plain"]
            assert [one["event"]["id"] for one in messages(plain, 1)] == ["plain"]
