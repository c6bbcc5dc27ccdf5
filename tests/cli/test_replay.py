"""`whence replay` as it is typed: what it shows, sends and keeps."""

import json
import signal
import subprocess
from pathlib import Path

from build_backend import a_backend
from build_cli import Ask
from build_programs import WHENCE
from build_replay import SECOND, an_archive, events_apart
from waiting import until


def test_events_are_shown_again_as_chosen(tmp_path: Path, whence: Ask) -> None:
    """As JSON the same as everywhere, as lines for people, and how many at the end."""
    an_archive(tmp_path / "a", [*events_apart(3, run="a"), *events_apart(2, run="b")])
    answer = whence("replay", "-a", tmp_path / "a", "--run", "b", "--speed", "max", "--json")
    assert [json.loads(line)["id"] for line in answer.out.splitlines()] == ["b-0000", "b-0001"]
    assert "replayed 2 events" in answer.err
    assert len(whence("replay", "-a", tmp_path / "a", "--speed", "1000").out.splitlines()) == 5


def test_wrong_usage_is_told_before_anything_is_given(tmp_path: Path, whence: Ask) -> None:
    """A speed, an endpoint, a name."""
    an_archive(tmp_path / "a", events_apart(1))
    for wrong in (["--speed", "fast"], ["--otlp", "nowhere"], ["--checkpoint", "a/b"]):
        answer = whence("replay", "-a", tmp_path / "a", *wrong)
        assert answer.code != 0 and answer.out == "" and answer.err.count("\n") == 1


def test_a_checkpoint_survives_ctrl_c_and_another_process_goes_on(tmp_path: Path, whence: Ask) -> None:
    """Interrupted in the middle, it is begun again behind what was shown."""
    an_archive(tmp_path / "a", [*events_apart(5, 1), *events_apart(2, 3600 * SECOND, run="later")])
    command = [WHENCE, "replay", "-a", str(tmp_path / "a"), "--checkpoint", "mine", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = [json.loads(process.stdout.readline())["id"] for _ in range(6)]
        until(
            lambda: (
                (tmp_path / "a" / ".replay-mine").exists()
                and first[-1] in (tmp_path / "a" / ".replay-mine").read_text()
            )
        )
        process.send_signal(signal.SIGINT)
        process.wait(60)
    answer = whence("replay", "-a", tmp_path / "a", "--checkpoint", "mine", "--speed", "max", "--json")
    assert "going on at the checkpoint mine" in answer.err
    rest = [json.loads(line)["id"] for line in answer.out.splitlines()]
    assert sorted(first + rest) == sorted([f"run-1-{n:04d}" for n in range(5)] + ["later-0000", "later-0001"])
    again = whence("replay", "-a", tmp_path / "a", "--checkpoint", "mine", "--again", "--speed", "max", "--json")
    assert len(again.out.splitlines()) == 7


def test_events_are_sent_as_otlp(tmp_path: Path, whence: Ask) -> None:
    """To an endpoint, with the time shifted to now."""
    an_archive(tmp_path / "a", events_apart(3))
    with a_backend() as backend:
        answer = whence("replay", "-a", tmp_path / "a", "--speed", "max", "--otlp", backend.http, "--now")
        assert answer.code == 0 and f"replayed 3 events to {backend.http}" in answer.err
        assert [signal for signal, _ in backend.kept] == ["logs"]
