"""Who may ask what: every route of the application, with every role and every state of a token.

A route that is not in `ASKED` fails here: whoever adds one says whom it is for, and how it is asked.
"""

import json
import re
import socket
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from build import START, TRACE, a_run, a_span, an_archive, an_event
from build_serve import ADMIN, READER, TOKENS, WRITER, Client, a_client
from waiting import until
from whence.serve.app import routers

RANK = {"nobody": 0, "read": 1, "write": 2, "admin": 3}


class Asked(NamedTuple):
    """How a route is asked for: whom it is for, what it needs, and whether its answer is without end."""

    role: str = "read"
    query: str = ""
    body: str = ""
    endless: bool = False
    status: int = 200


LIVE = Asked(query="since=2020-01-01T00:00:00Z", endless=True)
POLL = Asked(query="since=2020-01-01T00:00:00Z")
SOCKET = LIVE._replace(status=101)
WINDOW = "query.service_name=tests&query.start_time_min=2020-01-01T00:00:00Z&query.start_time_max=2030-01-01T00:00:00Z"
ASKED = {
    "GET /health": Asked("nobody"),
    "GET /docs": Asked("nobody"),
    "GET /openapi.json": Asked("nobody"),
    "GET /metrics": Asked(),
    "GET /api/events": Asked(),
    "GET /api/events/{id}": Asked(),
    "GET /api/causality/{id}": Asked(),
    "GET /api/query": Asked(query="q=%7C+count+by+type,run,agent,description,payload.text"),
    **{f"GET {base}": Asked() for base in ("/api/runs", "/simulations")},
    **{
        f"GET {base}/{{run}}{rest}": Asked()
        for base in ("/api/runs", "/simulations")
        for rest in ("", "/events", "/events/{id}", "/causality/{id}")
    },
    "GET /jobs": Asked(),
    "GET /jobs/{job}": Asked(),
    "GET /jobs/{job}/events": Asked(),
    **{
        f"{method} {base}{between}/{last}": asked
        for base in ("/api", "/api/runs/{run}", "/simulations/{run}", "/jobs/{job}")
        for between in ("", "/events")
        for method, last, asked in (("GET", "stream", LIVE), ("WS", "stream", SOCKET), ("GET", "poll", POLL))
    },
    "GET /api/subscriptions": Asked(),
    "GET /api/subscriptions/{name}": Asked(),
    "PUT /api/subscriptions/{name}": Asked("write", body="{}"),  # 200: it was made before
    "POST /api/subscriptions/{name}/ack": Asked("write", body='{"cursor": "CURSOR"}'),
    "DELETE /api/subscriptions/{name}": Asked("write", status=204),
    "GET /api/subscriptions/{name}/poll": Asked(),
    "GET /api/subscriptions/{name}/stream": Asked(endless=True),
    "WS /api/subscriptions/{name}/stream": Asked(endless=True, status=101),
    "GET /api/services": Asked(),
    "GET /api/services/{service:path}/operations": Asked(),
    "GET /api/operations": Asked(query="service=tests"),
    "GET /api/traces": Asked(query="service=tests&limit=1000&lookback=custom&start=1577836800000000&end=1893456000000000"),
    "GET /api/traces/{trace}": Asked(),
    "GET /api/dependencies": Asked(query="endTs=1893456000000&lookback=315360000000"),
    "POST /api/transform": Asked(body="{}", status=400),
    "GET /api/v3/services": Asked(),
    "GET /api/v3/operations": Asked(query="service=tests"),
    "GET /api/v3/traces/{trace}": Asked(),
    "GET /api/v3/traces": Asked(query=WINDOW),
    "GET /api/v3/trace-summaries": Asked(query=WINDOW),
    "GET /api/replays": Asked(),
    "POST /api/replays": Asked("write", body='{"speed": "none"}', status=400),
    "GET /api/replays/{id}": Asked(status=404),
    "POST /api/replays/{id}": Asked("write", body="{}", status=404),
    "DELETE /api/replays/{id}": Asked("write", status=404),
    "GET /api/replays/{id}/stream": Asked(endless=True, status=404),
    "WS /api/replays/{id}/stream": Asked(endless=True, status=404),
    "GET /tempo/api/echo": Asked(),
    "GET /tempo/api/traces/{trace}": Asked(),
    "GET /tempo/api/v2/traces/{trace}": Asked(),
    "GET /tempo/api/search": Asked(query="q=%7B%7D&limit=1000&start=1577836800&end=1893456000"),
    "GET /tempo/api/search/tags": Asked(),
    "GET /tempo/api/v2/search/tags": Asked(),
    "GET /tempo/api/search/tag/{tag:path}/values": Asked(),
    "GET /tempo/api/v2/search/tag/{tag:path}/values": Asked(),
    "GET /tempo/api/metrics/query": Asked(query="q=%7B%7D", status=400),
    "GET /tempo/api/metrics/query_range": Asked(query="q=%7B%7D", status=400),
}  # fmt: skip
"""Every route. `nobody`: needs no token."""


def routes() -> Iterator[str]:
    """`METHOD path` of every route of the application, and of FastAPI's own."""
    yield "GET /openapi.json"
    for router in routers():
        for route in router.routes:
            for method in getattr(route, "methods", None) or ("WS",):
                yield f"{method} {route.path}"  # type: ignore[attr-defined]


ROUTES = {route: ASKED[route] for route in dict.fromkeys(routes()) if route in ASKED}
TOKEN_OF = {"read": READER, "write": WRITER, "admin": ADMIN}
EXPIRED, REVOKED, WALLED = "expired-token-0123456789", "revoked-token-012345678", "walled-token-0123456789"
STATES = {
    "absent": None,
    "wrong": "wrong-token-0123456789",
    "almost": ADMIN[:-1],
    "longer": ADMIN + "0",
    "another case": ADMIN.upper(),
    "empty": "",
    "expired": EXPIRED,
    "revoked": REVOKED,
}
HIDDEN = "hidden-marker"
SECRET = "hunter2-marker"
SEEN = "seen-marker"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Of an archive with what may be seen, what is behind a wall, audit events, and secrets."""
    folder = tmp_path_factory.mktemp("matrix")
    seen = [
        an_event("job.started", id="E1", run="R", payload={"job": "R", "password": SECRET, "text": SEEN}, time=START + 1,
                 description=f"key {SECRET} {SEEN}", span="00000000000000aa"),
        an_event("job.heartbeat", "E1", id="E2", run="R", payload={"job": "R", "message": f"is {SECRET}"}, time=START + 2),
    ]  # fmt: skip
    hidden = [
        an_event(f"job.{HIDDEN}", "E1", id="H-1", run=f"run-{HIDDEN}", agent=HIDDEN, payload={"job": HIDDEN},
                 time=START + 3, span="00000000000000aa", description=HIDDEN),
        an_event("job.progress", "H-1", id="E4", run="R", payload={"job": "R"}, time=START + 4),
        an_event(f"secret.{HIDDEN}", "E1", id="H-2", run="R", payload={"job": "R", "who": HIDDEN}, time=START + 5),
        an_event(f"audit.{HIDDEN}", "E1", id="H-3", run="R", attributes={"whence.audit": True}, time=START + 6),
    ]  # fmt: skip
    span = a_span(f"work {SEEN}", span="00000000000000aa", run="R", time=START, attributes={"password": SECRET})
    other = a_span(f"work {HIDDEN}", span="00000000000000bb", trace="b" * 32, run=f"run-{HIDDEN}", time=START + 7)
    last = an_event("job.last", id="LAST", run="R", payload={"job": "R"}, time=START + 9)
    archive = an_archive(folder / "archive", a_run(*seen, *hidden, span, other, last, run="R"))
    file = folder / "tokens.yaml"
    file.write_text(f"- {{name: gone, token: {REVOKED}, role: admin}}\n- {{name: stays, token: {REVOKED}x}}\n")
    tokens = [
        *TOKENS,
        {"name": "old", "token": EXPIRED, "role": "admin", "expires": "2020-01-01T00:00:00Z"},
        {"name": "behind a wall", "token": WALLED, "role": "read",
         "where": "NOT type STARTSWITH 'secret.' AND run = 'R'"},
    ]  # fmt: skip
    masks = {"read": {"blocked_key_patterns": ["password"], "blocked_values": [SECRET]}}
    with a_client(archive, auth={"tokens": tokens, "file": str(file)}, masks=masks) as found:
        assert found.ask("/api/runs", headers={"Authorization": f"Bearer {REVOKED}"}).status == 200
        file.write_text(f"- {{name: stays, token: {REVOKED}x}}\n")
        until(lambda: found.ask("/api/runs", headers={"Authorization": f"Bearer {REVOKED}"}).status == 401)
        assert Client(found.port, ADMIN).ask("/api/subscriptions/S", method="PUT", body={}).status == 201
        yield found


def filled(path: str, **values: str) -> str:
    """The path of something that is there."""
    known = {
        "run": "R",
        "id": "E1",
        "job": "R",
        "name": "S",
        "service": "tests",
        "trace": TRACE,
        "tag": "name",
    } | values
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: known[found[1]], path)


def ask(port: int, route: str, token: str | None, *, end: str = "", **values: str) -> tuple[int, str]:
    """The status and the body of an answer; of one without end what comes until a text is in it."""
    method, path = route.split(" ", 1)
    asked = ROUTES[route]
    sent = asked.body.replace("CURSOR", values.get("cursor", ""))
    lines = [
        f"{'GET' if method == 'WS' else method} {filled(path, **values)}{'?' if asked.query else ''}{asked.query} HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        f"Content-Length: {len(sent)}",
        *([f"Authorization: Bearer {token}"] if token is not None else []),
        *(["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="] if method == "WS" else ["Connection: close"]),
    ]  # fmt: skip
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n" + sent).encode())
        got = b""
        while not (asked.endless and b"\r\n\r\n" in got and got.startswith(b"HTTP/1.1 %d" % asked.status)
                   and end.encode() in got):  # fmt: skip
            more = connection.recv(65536)
            if not more:
                break
            got += more
    return int(got.split(b" ", 2)[1]), got.partition(b"\r\n\r\n")[2].decode(errors="replace")


def test_every_route_is_in_the_matrix() -> None:
    """Whoever adds one says whom it is for."""
    assert set(routes()) <= set(ASKED)


@pytest.mark.parametrize("route", ROUTES)
def test_no_route_answers_a_token_that_opens_nothing(client: Client, route: str) -> None:
    """401 for each, with what to do and how to authenticate, the same whether the thing asked for is there or not."""
    open_to_all = ROUTES[route].role == "nobody"
    for state, token in STATES.items():
        status, body = ask(client.port, route, token)
        assert status == (200 if open_to_all else 401), (state, body)
        if not open_to_all:
            assert json.loads(body)["detail"].startswith("cannot answer: "), body
            assert SEEN not in body
            nowhere = dict.fromkeys(("id", "run", "job", "name", "trace"), "none")
            assert status == ask(client.port, route, token, **nowhere)[0]


@pytest.mark.parametrize("route", ROUTES)
def test_each_role_may_ask_what_is_for_it_and_for_those_below(client: Client, route: str) -> None:
    """All others are told which role that takes; what was refused has not happened."""
    needed = ROUTES[route].role
    for role, token in TOKEN_OF.items():
        name, cursor = f"by-{role}", ""
        if "{name}" in route:
            made = Client(client.port, token).ask(f"/api/subscriptions/{name}", method="PUT", body={})
            cursor = made.json.get("cursor", "")
        status, body = ask(client.port, route, token, name=name, cursor=cursor)
        if RANK[role] >= RANK[needed]:
            theirs = 404 if "{name}" in route and role == "read" else ROUTES[route].status
            assert status == theirs, (role, body)
        else:
            assert status == 403, (role, body)
            assert f"that takes {needed}" in json.loads(body)["detail"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_whoever_may_only_read_sends_nothing_that_changes_anything(client: Client, method: str) -> None:
    """On any path, known or not."""
    for path in ("/api/events", "/api/subscriptions/S", "/nothing", "/api/runs/R"):
        assert client.ask(path, method=method, headers={"Authorization": f"Bearer {READER}"}).status == 403


GIVING = [route for route, asked in ROUTES.items() if route.split()[0] in ("GET", "WS") and "{name}" not in route]
"""Routes that give events, or what is made of them."""


@pytest.mark.parametrize("route", GIVING)
def test_what_a_caller_may_not_see_is_nowhere(client: Client, route: str) -> None:
    """By type, by run, audit events, and secrets by mask: not in events, counts by name, chains, lists, streams or traces."""
    end = "LAST" if ROUTES[route].endless else ""
    status, body = ask(client.port, route, WALLED, end=end)
    assert status == ROUTES[route].status, body
    for text in (HIDDEN, SECRET):
        assert text not in body, body
    # a test that can fail: who may see all does find it there
    _, whole = ask(client.port, route, ADMIN, end=end)
    if route.partition(" ")[2] in ("/api/events", "/api/runs/{run}/events", "/api/stream", "/api/poll", "/api/query"):
        assert HIDDEN in whole
        assert SECRET in whole


@pytest.mark.parametrize("route", [route for route in GIVING if "{" in route])
def test_asking_for_what_is_hidden_by_its_name_is_as_if_it_were_not_there(client: Client, route: str) -> None:
    """The answer is that for a thing that is nowhere."""
    hidden = {"id": "H-1", "run": f"run-{HIDDEN}", "job": HIDDEN, "trace": "b" * 32, "service": "tests"}
    nowhere = {"id": "N-1", "run": "run-none-12345678", "job": "none-12345678", "trace": "c" * 32, "service": "tests"}
    if ROUTES[route].endless:
        return  # nothing comes of it: see the test above
    status, told = ask(client.port, route, WALLED, **hidden)
    other, nothing = ask(client.port, route, WALLED, **nowhere)
    assert status == other, told
    for name, value in hidden.items():
        told = told.replace(value, nowhere[name])
    assert re.sub('"cursor":"[^"]*"', "", told) == re.sub('"cursor":"[^"]*"', "", nothing)


def test_totals_and_chains_do_not_count_what_is_hidden(client: Client) -> None:
    """Nor lead through it: what a hidden event caused has a cause that is missing."""
    walled, admin = Client(client.port, WALLED), Client(client.port, ADMIN)
    assert walled.get("/api/events")["total"] == len(walled.get("/api/events")["events"])
    assert admin.get("/api/events")["total"] - walled.get("/api/events")["total"] == 4
    assert walled.get("/api/runs")["total"] == 1
    chain = walled.get("/api/causality/E1", direction="downstream")["downstream"]
    assert {hop["id"] for hop in chain["hops"]} == {"E1", "E2"}
    assert "E4" in {hop["id"] for hop in admin.get("/api/causality/E1")["downstream"]["hops"]}
    up = walled.get("/api/causality/E4", follow="recorded")["upstream"]
    assert [hop["id"] for hop in up["hops"]] == ["E4"]
    assert walled.get("/api/events", filter=f"CAUSED_BY (type LIKE '*{HIDDEN}')")["total"] == 0
    assert walled.get("/api/events", filter=f"'{HIDDEN}'")["total"] == 0


@pytest.mark.parametrize(("token", "sees"), [(READER, False), (WRITER, False), (ADMIN, True)])
def test_audit_events_are_for_those_who_may_see_them(client: Client, token: str, sees: bool) -> None:
    """By default administrators only."""
    one = Client(client.port, token)
    assert bool(one.get("/api/events", type="audit.*")["events"]) is sees
    assert one.ask("/api/events/H-3").status == (200 if sees else 404)
    assert one.get("/api/query", q="type LIKE 'audit.*' | count")["rows"] == ([[1]] if sees else [[0]])


ABOUT_HIDDEN = [
    ("/api/events", {"filter": "payload.password STARTSWITH 's'"}),
    ("/api/events", {"filter": "NOT payload.password = 'x'"}),
    ("/api/events", {"filter": "CAUSED_BY (EXISTS attributes.password)"}),
    ("/api/poll", {"filter": "payload.user.password IN ('x', 'y')"}),
    ("/api/query", {"q": "payload.password CONTAINS 's' | count"}),
    ("/api/query", {"q": "| sort payload.password"}),
    ("/api/query", {"q": "| count by payload.password"}),
    ("/api/query", {"q": "| top 3 payload.password"}),
]


@pytest.mark.parametrize(("path", "asked"), ABOUT_HIDDEN)
def test_what_a_mask_hides_by_its_key_cannot_be_asked_about(client: Client, path: str, asked: dict[str, str]) -> None:
    """Nor guessed, sorted or counted by; whoever has no mask may."""
    answered = Client(client.port, READER).ask(path, **asked)
    assert answered.status == 403
    assert "password" in answered.json["detail"]
    assert Client(client.port, ADMIN).ask(path, **asked).status == 200
