"""Runs and jobs over HTTP: what programs that run, ended and died leave of them, and how each job stands."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from build import START, a_run, an_archive, an_event
from build_programs import environment_with
from build_serve import Client, a_client
from waiting import until
from whence.cli.app import call
from whence.event.kinds import Severity

PROGRAM = """
import sys, whence
whence.configure(archive=sys.argv[1], run=sys.argv[2])
for n in range(3):
    whence.log("step", {"n": n})
whence.flush()
print("there", flush=True)
sys.stdin.readline()
"""


@contextmanager
def a_program(archive: Path, run: str) -> Iterator[subprocess.Popen[str]]:
    """A program that recorded three events and waits for a line."""
    command = [sys.executable, "-c", PROGRAM, str(archive), run]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment_with({})
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "there\n"
            yield process
        finally:
            process.kill()


def test_a_runs_state_is_that_of_its_program(tmp_path: Path) -> None:
    """Running while it runs; finished when it ended; crashed when it was killed. Seen by one server all the time."""
    archive = tmp_path / "archive"
    with a_program(archive, "ends") as ends, a_program(archive, "dies") as dies, a_client(archive) as client:

        def states() -> dict[str, str]:
            return {one["run"]: one["state"] for one in client.get("/api/runs")["runs"]}

        assert states() == {"ends": "running", "dies": "running"}
        assert client.get("/api/runs/ends")["state"] == client.get("/simulations/ends")["state"] == "running"
        ends.communicate("\n", timeout=60)
        dies.send_signal(signal.SIGKILL)
        dies.wait(60)
        until(lambda: states() == {"ends": "finished", "dies": "crashed"})
        assert [one["run"] for one in client.get("/api/runs", state="crashed")["runs"]] == ["dies"]
        ended = client.get("/api/runs/ends")
        assert (ended["status"], ended["errors"]) == ("ok", 0)
        assert ended["events"] == client.get("/api/runs/ends/events")["total"] >= 5
        assert not client.get("/api/runs", state="running")["runs"]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Of an archive with five runs and three jobs."""
    archive = tmp_path_factory.mktemp("runs") / "archive"
    runs = [
        one
        for n in range(4)
        for one in a_run(
            an_event(run=f"r{n}", time=START + n + 1, severity=Severity.ERROR if n == 1 else Severity.INFO),
            run=f"r{n}", finished=n != 2,
        )
    ]  # fmt: skip
    an_archive(archive, [*runs, an_event(run="bare", time=START + 10), *jobs()])
    with a_client(archive) as found:
        found.headers["x-archive"] = str(archive)
        yield found


def jobs() -> list[Any]:
    """What happened to three jobs, ten nanoseconds apart."""
    told: list[tuple[str, str, dict[str, Any]]] = [
        ("job.created", "j1", {}),
        ("job.started", "j1", {}),
        ("job.stage.started", "j1", {"stage": "fetch"}),
        ("job.heartbeat", "j1", {"progress": 0.5}),
        ("job.stage.completed", "j1", {"stage": "fetch", "duration_ms": 12.5}),
        ("job.gate.paused", "j1", {"gate": "review", "message": "who looks at it?"}),
        ("job.started", "j2", {}),
        ("job.stage.failed", "j2", {"stage": "parse", "error": "no text"}),
        ("job.failed", "j2", {"error": "no text"}),
        ("job.started", "j3", {}),
        ("job.gate.paused", "j3", {"gate": "review"}),
        ("job.gate.approved", "j3", {"gate": "review", "approved_by": "ada"}),
        ("job.completed", "j3", {}),
    ]
    return [
        an_event(type, id=f"J{n:02d}", run="jobs", time=START + 100 + 10 * n, stage=payload.pop("stage", None),
                 kind="milestone", payload={"job": job, **payload})
        for n, (type, job, payload) in enumerate(told)
    ]  # fmt: skip


def test_runs_are_told_as_the_command_line_tells_them(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    """The same JSON, whole and one by one, under both spellings."""
    page = client.get("/api/runs")
    assert call(["runs", "-a", client.headers["x-archive"], "--json"]) == 0
    assert page["runs"] == [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert page == client.get("/simulations")
    assert (page["total"], page["has_more"]) == (6, False)
    assert [one["state"] for one in page["runs"]] == [
        "finished",
        "finished",
        "crashed",
        "finished",
        "unknown",
        "unknown",
    ]
    assert [one["errors"] for one in page["runs"]] == [0, 1, 0, 0, 0, 0]
    for one in page["runs"]:
        assert client.get(f"/api/runs/{one['run']}") == client.get(f"/simulations/{one['run']}") == one


def test_runs_are_paged_and_chosen_by_state(client: Client) -> None:
    """In either order."""
    whole = [one["run"] for one in client.get("/api/runs")["runs"]]
    pages = [client.get("/api/runs", limit=2, offset=at) for at in (0, 2, 4)]
    assert [one["run"] for page in pages for one in page["runs"]] == whole
    assert [page["has_more"] for page in pages] == [True, True, False]
    assert [one["run"] for one in client.get("/api/runs", newest=True)["runs"]] == whole[::-1]
    finished = client.get("/api/runs", state="finished", limit=1)
    assert (len(finished["runs"]), finished["total"], finished["has_more"]) == (1, 3, True)
    assert client.ask("/api/runs", state="asleep").status == 422


def test_runs_are_kept_by_their_etag_until_something_happens(tmp_path: Path) -> None:
    """One that nothing was written to is not given again; afterwards it is."""
    archive = an_archive(tmp_path / "archive", a_run(an_event()))
    with a_client(archive) as client:
        for path in ("/api/runs", "/api/runs/run-1", "/simulations"):
            tag = client.ask(path).headers["etag"]
            assert client.ask(path, headers={"If-None-Match": tag}).status == 304
        tag = client.ask("/api/runs").headers["etag"]
        an_archive(archive, [an_event(run="run-2")])
        again = client.ask("/api/runs", headers={"If-None-Match": tag})
        assert (again.status, again.json["total"]) == (200, 2)
        assert again.headers["etag"] != tag


def test_each_job_stands_as_its_events_say(client: Client) -> None:
    """With its stages and gates; one that waits at a gate is paused."""
    page = client.get("/jobs")
    assert [(one["job"], one["status"]) for one in page["jobs"]] == [
        ("j3", "completed"), ("j2", "failed"), ("j1", "paused"),
    ]  # fmt: skip
    assert (page["total"], page["has_more"], page["partial"]) == (3, False, False)
    third, second, first = page["jobs"]
    assert first["gates"] == [
        {"gate": "review", "status": "paused", "event": "J05", "time": "2026-01-01T00:00:00.000000150Z",
         "message": "who looks at it?"}
    ]  # fmt: skip
    assert [(one["stage"], one["status"], one["duration_ms"]) for one in first["stages"]] == [
        ("fetch", "completed", 12.5)
    ]
    assert (first["progress"], first["events"], first["run"]) == (0.5, 6, "jobs")
    assert (second["error"], second["stages"][0]["error"]) == ("no text", "no text")
    assert (third["gates"][0]["status"], third["gates"][0]["by"]) == ("approved", "ada")
    for one in page["jobs"]:
        assert client.get(f"/jobs/{one['job']}") == one


def test_jobs_are_chosen_by_status_and_run_and_paged(client: Client) -> None:
    """And one that no event tells of is not there."""
    assert [one["job"] for one in client.get("/jobs", status="paused")["jobs"]] == ["j1"]
    assert client.get("/jobs", run="r0")["total"] == 0
    assert client.get("/jobs", run="jobs", limit=1, offset=1)["jobs"][0]["job"] == "j2"
    assert client.get("/jobs", limit=2)["has_more"] is True
    assert "/jobs" in client.ask("/jobs/none").detail


def test_a_jobs_events_are_those_that_name_it_and_those_of_the_run_of_its_name(client: Client) -> None:
    """So that a job that is a run of its own is found whole."""
    named = client.get("/jobs/j1/events")
    assert [one["id"] for one in named["events"]] == ["J00", "J01", "J02", "J03", "J04", "J05"]
    assert client.get("/jobs/r0/events")["events"] == client.get("/api/runs/r0/events")["events"]
