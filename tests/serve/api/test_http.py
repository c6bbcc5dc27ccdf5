"""What every route has: problems, CORS, compression, documentation, metrics; and pages that hold still while others write."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from build import START, a_run, an_archive, an_event
from build_programs import environment_with
from build_serve import Client, a_client

WRITER = """
import sys
from pathlib import Path
from build import START, an_event, append
from whence.archive.writer import ArchiveWriter, WriterOptions
name, count = sys.argv[2], int(sys.argv[3])
writer = ArchiveWriter(Path(sys.argv[1]), WriterOptions(rotate_bytes=20_000, compress_over=0, probe_seconds=0.01))
print("ready", flush=True)
for n in range(count):
    sys.stdin.readline()
    for m in range(10):
        at = n * 10 + m
        append(writer, [an_event(id=f"{name}{at:05d}", run=name, time=START + at, payload={"text": "x" * 200})])
    print("written", flush=True)
writer.close()
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Of a small archive, which pages of one other origin may ask."""
    archive = an_archive(tmp_path_factory.mktemp("http") / "archive", a_run(*(an_event(id=f"E{n}") for n in range(30))))
    cors = {"allowed_origins": ["https://app.example.com", "http://*.trusted.example"], "max_age": 60}
    with a_client(archive, cors=cors) as found:
        yield found


class Writing:
    """A process that writes ten events of its own each time it is told to."""

    def __init__(self, archive: Path, name: str, count: int) -> None:
        command = [sys.executable, "-c", WRITER, str(archive), name, str(count)]
        env = environment_with({"PYTHONPATH": str(Path(__file__).parents[2])})
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self.hear("ready")

    def hear(self, word: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"{word}\n"

    def write(self) -> None:
        assert self.process.stdin is not None
        print(file=self.process.stdin, flush=True)
        self.hear("written")

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


def test_pages_hold_still_while_processes_write_rotate_and_compress(tmp_path: Path) -> None:
    """By cursor the newest first: what is written after a page began is newer, and never moves what is still to come.

    By cursor the oldest first: every event of both processes, once. By offset: the same, where none comes in between.
    """
    archive = tmp_path / "archive"
    one, two = Writing(archive, "a", 40), Writing(archive, "b", 40)
    try:
        one.write(), two.write()
        with a_client(archive) as client:
            forward: list[str] = []
            ahead = back = None
            backward: list[str] = []
            began = sorted(f"{name}{n:05d}" for name in "ab" for n in range(10))
            for _ in range(20):
                page = client.get("/api/events", limit=9, cursor=ahead)
                forward += [event["id"] for event in page["events"]]
                ahead = page["cursor"]
                if back is None or len(backward) < len(began):
                    page = client.get("/api/events", limit=3, newest=True, cursor=back)
                    backward += [event["id"] for event in page["events"]]
                    back = page["cursor"]
                one.write(), two.write()
            assert sorted(backward) == began
            while page["has_more"] or len(forward) < 420:
                page = client.get("/api/events", limit=100, cursor=ahead)
                forward += [event["id"] for event in page["events"]]
                ahead = page["cursor"]
            assert forward == sorted(forward, key=lambda id: (id[1:], id[0]))
            assert len(set(forward)) == len(forward) == 420
            by_offset: list[str] = []
            for at in range(0, 420, 50):
                by_offset += [event["id"] for event in client.get("/api/events", limit=50, offset=at)["events"]]
            assert by_offset == forward
            assert client.get("/api/runs/a/events", limit=1)["total"] == 210
    finally:
        one.end()
        two.end()


def test_a_page_that_is_over_in_time_goes_on_at_its_cursor(tmp_path: Path) -> None:
    """What partial answers give, one behind the other, is the whole: nothing is skipped."""
    archive = an_archive(tmp_path / "archive", [an_event(id=f"E{n:05d}", time=START + n) for n in range(5_000)])
    with a_client(archive) as client:
        client.get("/api/events", limit=1)
        got: list[str] = []
        cursor, partial, times = None, 0, 0
        while True:
            times += 1
            page = client.get(
                "/api/events", limit=2_000, cursor=cursor, total=False, timeout="30s" if times % 2 else "3ms"
            )
            partial += page["partial"]
            assert page["has_more"] or not page["partial"]
            got += [event["id"] for event in page["events"]]
            cursor = page.get("cursor", cursor)
            if not page["has_more"]:
                break
        assert got == [f"E{n:05d}" for n in range(5_000)]


def test_a_page_of_an_allowed_origin_may_ask_and_no_other(client: Client) -> None:
    """The browser is told so; a preflight says what may be sent; the others are turned away."""
    for origin in ("https://app.example.com", "http://a.trusted.example"):
        reply = client.ask("/api/runs", headers={"Origin": origin})
        assert (reply.status, reply.headers["access-control-allow-origin"]) == (200, origin)
        assert "ETag" in reply.headers["access-control-expose-headers"]
        assert "Origin" in reply.headers["vary"]
        flight = client.ask(
            "/api/runs", method="OPTIONS", headers={"Origin": origin, "Access-Control-Request-Method": "GET"}
        )
        assert (flight.status, flight.headers["access-control-max-age"]) == (204, "60")
        assert "Authorization" in flight.headers["access-control-allow-headers"]
        assert "GET" in flight.headers["access-control-allow-methods"]
    for origin in ("https://evil.example", "null", "https://app.example.com.evil.example", "http://x/.trusted.example"):
        reply = client.ask("/api/runs", headers={"Origin": origin})
        assert reply.status == 403
        assert "access-control-allow-origin" not in reply.headers
        assert "cors.allowed_origins" in reply.detail
    own = f"http://127.0.0.1:{client.port}"
    assert client.ask("/api/runs", headers={"Origin": own, "Host": f"127.0.0.1:{client.port}"}).status == 200


def test_a_problem_is_readable_by_an_allowed_page_too(client: Client) -> None:
    """Else a page could not say what went wrong."""
    reply = client.ask("/api/events/none", headers={"Origin": "https://app.example.com"})
    assert (reply.status, reply.headers["access-control-allow-origin"]) == (404, "https://app.example.com")
    assert reply.detail


def test_what_another_site_loads_without_saying_so_is_turned_away(client: Client) -> None:
    """A picture or script of another site has no Origin; browsers say what they do. A link that is followed is fine."""
    sent = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert client.ask("/api/runs", headers=sent).status == 403
    assert client.ask("/docs", headers={**sent, "Sec-Fetch-Mode": "navigate"}).status == 200
    assert client.ask("/api/runs", headers={"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}).status == 200


def test_the_documentation_has_every_route_and_loads_nothing(client: Client) -> None:
    """Each path of the OpenAPI document, with its parameters; no address of anybody else."""
    described = client.get("/openapi.json")
    page = client.ask("/docs")
    text = page.body.decode()
    assert page.headers["content-type"].startswith("text/html")
    assert not re.search(r"(src|href)=.https?:", text)
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert f"<code>{method.upper()} {path}</code>" in text
            assert operation["summary"]
            assert "default" in operation["responses"], path
            for parameter in operation.get("parameters", ()):
                assert f'name="{parameter["name"]}"' in text
                assert parameter["in"] == "path" or parameter["description"], (path, parameter["name"])


def test_answers_are_what_the_documentation_says(client: Client) -> None:
    """Every model forbids what it does not name; so each answer is checked against it. schemathesis asks more."""
    import jsonschema_rs  # of schemathesis

    described = client.get("/openapi.json")
    for path in (
        "/api/events",
        "/api/runs",
        "/api/runs/run-1",
        "/api/events/E3",
        "/api/causality/E3",
        "/jobs",
        "/health",
    ):
        found = client.get(path)
        template = path.replace("run-1", "{run}").replace("E3", "{id}")
        shape = described["paths"][template]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema_rs.validate({**shape, "components": described["components"]}, found)


def test_metrics_count_requests_by_route_and_never_by_what_was_asked(client: Client) -> None:
    """So that they stay few, and tell nothing of events."""
    for _ in range(3):
        client.get("/api/events/E3")
    client.ask("/api/events/nowhere")
    client.ask("/no/such/path/secret-name")
    text = client.ask("/metrics").body.decode()
    found = re.search(r'whence_serve_requests\{[^}]*route="/api/events/\{id\}"[^}]*status="200"[^}]*\} (\d+)', text)
    assert found and int(found[1]) >= 3
    assert re.search(r'route="/api/events/\{id\}"[^}]*status="404"', text)
    assert "secret-name" not in text
    assert "E3" not in text
    assert "whence_serve_request_duration" in text


def test_many_ask_at_once(client: Client) -> None:
    """Each gets the whole answer."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda n: client.ask("/api/events", limit=1 + n % 30), range(64)))
    assert [len(json.loads(one.body)["events"]) for one in found] == [1 + n % 30 for n in range(64)]
