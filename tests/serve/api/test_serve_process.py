"""`whence serve` as people run it: a process with signals, logs and a console mirror."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from build import START, an_archive, an_event
from build_serve_process import FREE, a_process
from waiting import until


def test_it_says_where_it_serves_and_stops_when_told(tmp_path: Path) -> None:
    """One line; SIGTERM and SIGINT end it well, also while somebody follows a stream."""
    archive = an_archive(tmp_path / "archive", [an_event(id="E1")])
    for number in (signal.SIGTERM, signal.SIGINT):
        with a_process("serve", "-a", archive, *FREE) as one:
            assert one.client.get("/api/events")["total"] == 1
            assert one.text.count("\n") <= 2
            follower = subprocess.Popen(
                ["curl", "-sN", f"http://127.0.0.1:{one.client.port}/api/stream"], stdout=subprocess.PIPE, text=True
            )
            assert follower.stdout is not None
            assert follower.stdout.readline().startswith("retry")
            assert one.stop(number) == 0, one.text
            assert "event: closing" in follower.communicate(timeout=60)[0]
        assert "leaked" not in one.text, "what is held is let go of before the process ends"


def test_a_port_that_is_taken_is_said_so(tmp_path: Path) -> None:
    """With what to do, as exit code 3, and nothing else is left running."""
    with a_process("serve", "-a", tmp_path, *FREE) as one:
        port = one.client.port
        with a_process("serve", "-a", tmp_path, "--endpoint", f"127.0.0.1:{port}", "--jaeger", "none") as two:
            assert two.process.wait(60) == 3
            assert f"127.0.0.1:{port}" in two.text
            assert "Traceback" not in two.text


def test_each_event_is_shown_as_a_log_line(tmp_path: Path) -> None:
    """Whoever writes it, at a level that suits it, on one line, masked as administrators are shown it."""
    from whence.event.kinds import Severity

    config = tmp_path / "serve.yaml"
    config.write_text("console: true\nmasks: {admin: {blocked_key_patterns: [password]}}\njaeger: {enabled: false}\n")
    archive = an_archive(tmp_path / "archive", [an_event("before", id="E0")])
    with a_process("serve", "-a", archive, *FREE, "--config", config) as one:
        assert one.client.get("/health")["status"] == "ok"
        an_archive(archive, [an_event("task.failed", id="E1", agent="a7", severity=Severity.ERROR, time=START,
                                      description="two\nlines", payload={"password": "hunter2", "n": 1})])  # fmt: skip
        until(lambda: "task.failed" in one.text)
        (line,) = [line for line in one.said if "[events]" in line]
        assert re.search(r"ERROR \[events\] task.failed run=run-1 agent=a7 .*two\\nlines", line)
        assert "hunter2" not in line
        assert '"n":1' in line


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
def test_a_token_is_in_no_list_of_processes_log_or_answer(tmp_path: Path) -> None:
    """By file or by variable; of the variable the process's own environment knows, which only its user can read."""
    secret = "very-secret-token-0123456789"
    tokens = tmp_path / "tokens.yaml"
    tokens.write_text(f"- {{name: me, token: {secret}, role: admin}}\n")
    archive = an_archive(tmp_path / "archive", [an_event(id="E1")])
    for arguments, env in ((("--tokens", tokens), {}), ((), {"WHENCE_TOKEN": secret})):
        with a_process("serve", "-a", archive, *FREE, *arguments, **env) as one:
            client = one.client
            assert client.ask("/api/events").status == 401
            wrong = client.ask("/api/events", headers={"Authorization": f"Bearer {secret}x"})
            assert wrong.status == 401
            client.token = secret
            assert client.get("/api/events")["total"] == 1
            shown = [
                client.ask(path).body.decode() for path in ("/metrics", "/health", "/openapi.json", "/api/nothing")
            ]
            listed = Path(f"/proc/{one.process.pid}/cmdline").read_text()
            assert one.stop() == 0
            for text in (*shown, listed, one.text, wrong.body.decode()):
                assert secret not in text
