"""The queue on disk: what was taken is sent after a kill, a torn file and damage, and nothing delivered is sent twice."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from build_backend import FAST, Backend, Say, a_backend, counted, stopped
from build_collect import some_logs
from whence.collect.component import Host
from whence.collect.exporters import otlp_http
from whence.collect.exporters.disk import DiskStore
from whence.collect.exporters.queue import Request
from whence.collect.exporters.sending import Sender
from whence.collect.extensions.file_storage import FileStorage, FileStorageSettings
from whence.collect.outcome import Refused
from whence.collect.telemetry import Telemetry
from whence.errors import ConfigError, StorageError

LOG = logging.getLogger("whence.collect.queue")
_KILLED = """
import sys
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from test_disk import a_kept_sender, some_logs
sender = a_kept_sender(sys.argv[3], Path(sys.argv[4]))
for number in range(30):
    sender.consume(some_logs(f"event-{number}"))
    print(number, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def backend() -> Iterator[Backend]:
    """A backend that is down."""
    with a_backend() as found:
        found.always = Say(503)
        yield found


def a_kept_sender(endpoint: str, directory: Path, process: int = 0, processes: int = 1, **queue: Any) -> Sender:
    """A started exporter, in one process of so many, whose queue is under `directory`."""
    storage = FileStorage(FileStorageSettings(directory=str(directory)), Host("s", Telemetry(), LOG, directory))
    extensions = {"file_storage": storage}
    folder = Path(f"exporter_otlp_http_p{process}" if process else "exporter_otlp_http")
    host = Host("otlp_http", Telemetry(), LOG, folder, extensions, process=process, processes=processes)
    settings = {
        "endpoint": endpoint,
        "retry_on_failure": FAST,
        "sending_queue": {"storage": "file_storage", "num_consumers": 3, **queue},
    }
    sender = otlp_http.build(otlp_http.OTLPHTTPSettings.model_validate(settings), host)
    sender.start(host)
    return sender


def queue_files(directory: Path) -> list[Path]:
    """The segment files."""
    return sorted(directory.rglob("*.queue"))


def test_what_was_taken_survives_a_kill(backend: Backend, tmp_path: Path) -> None:
    """Everything acknowledged before SIGKILL is sent by the next process, once."""
    here = Path(__file__).parent
    command = [sys.executable, "-c", _KILLED, here, here.parents[1], backend.http, tmp_path]
    with subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        acknowledged = [int(child.stdout.readline()) for _ in range(30)]
        os.kill(child.pid, signal.SIGKILL)
    with a_backend() as other:  # what the dead process sent may still be on its way to the first
        sender = a_kept_sender(other.http, tmp_path)
        other.wait(lambda: counted(sender, "sent") == 30)
        stopped(sender)
    assert sorted(other.bodies()) == sorted(f"event-{number}" for number in acknowledged)
    assert not any(path.stat().st_size for path in queue_files(tmp_path))


def test_what_is_left_at_a_stop_is_sent_after_the_next_start(backend: Backend, tmp_path: Path) -> None:
    """A stop does not wait for a backend that is down; what was delivered before is not sent again."""
    backend.answers = [Say(), Say()]
    sender = a_kept_sender(backend.http, tmp_path, num_consumers=1)
    for name in "abcd":
        sender.consume(some_logs(name))
    backend.wait(lambda: counted(sender, "sent") == 2 and not sender.health().ok)
    stopped(sender)
    backend.always = Say()
    again = a_kept_sender(backend.http, tmp_path)
    backend.wait(lambda: counted(again, "sent") == 2)
    stopped(again)
    assert sorted(backend.bodies()) == list("abcd")


def test_the_bound_counts_what_is_left_from_before(backend: Backend, tmp_path: Path) -> None:
    """A restart makes no room."""
    sender = a_kept_sender(backend.http, tmp_path, queue_size=2)
    sender.consume(some_logs("a"))
    sender.consume(some_logs("b"))
    stopped(sender)
    again = a_kept_sender(backend.http, tmp_path, queue_size=2)
    with pytest.raises(Refused):
        again.consume(some_logs("c"))
    stopped(again)


def test_fewer_processes_send_what_more_of_them_had(
    backend: Backend, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The queues of processes that are no more are taken over; those of processes that run are let be."""
    for process in range(4):
        sender = a_kept_sender(backend.http, tmp_path, process, 4)
        sender.consume(some_logs(f"{process} a"))
        sender.consume(some_logs(f"{process} b"))
        stopped(sender, 5)
    other = a_kept_sender(backend.http, tmp_path, 1, 2)
    backend.always = Say()
    caplog.set_level(logging.INFO)
    first = a_kept_sender(backend.http, tmp_path, 0, 2)
    wanted = sorted(f"{process} {name}" for process in range(4) for name in "ab")
    backend.wait(lambda: sorted(backend.bodies()) == wanted)
    stopped(first)
    stopped(other)
    assert caplog.text.count("took over 2 requests") == 2
    assert not [path for path in queue_files(tmp_path) if path.stat().st_size and "_p" in path.parent.name[-3:]]
    stopped(a_kept_sender(backend.http, tmp_path, 0, 1))
    assert len(backend.bodies()) == 8


def filled(directory: Path, *names: bytes) -> DiskStore:
    """A store with these requests, left without a close."""
    store = DiskStore(directory, LOG)
    store.open()
    for name in names:
        store.append(Request("logs", name, 1))
    return store


def found_in(directory: Path) -> list[bytes]:
    """What a new start finds."""
    store = DiskStore(directory, LOG)
    found = [store.read(entry) for entry in store.open()]
    store.close()
    return found


@pytest.mark.parametrize("cut", range(1, 18))
def test_a_torn_end_is_cut_and_told(tmp_path: Path, cut: int, caplog: pytest.LogCaptureFixture) -> None:
    """Wherever the last request was torn, those before it are there, and the queue goes on."""
    filled(tmp_path, b"first", b"second", b"third").close()
    [path] = queue_files(tmp_path)
    os.truncate(path, path.stat().st_size - cut)
    assert found_in(tmp_path) == [b"first", b"second"]
    assert "torn end" in caplog.text
    filled(tmp_path, b"fourth").close()
    assert found_in(tmp_path) == [b"first", b"second", b"fourth"]


def test_damage_is_set_aside_and_costs_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A changed bit in the middle costs no start: its bytes are kept for a human, those around it are sent."""
    filled(tmp_path, b"first", b"second", b"third").close()
    filled(tmp_path, b"fourth").close()
    path = queue_files(tmp_path)[0]
    data = path.read_bytes()
    path.write_bytes(data.replace(b"second", b"sec\xffnd"))
    for _ in range(2):
        assert found_in(tmp_path) == [b"first", b"third", b"fourth"]
    [aside] = tmp_path.glob("*.damaged")
    assert b"sec\xffnd" in aside.read_bytes()
    assert "damaged" in caplog.text


@pytest.mark.parametrize("position", [b"", b"{", b"[]", b'{"next": 0}', b'{"next": "x", "done": []}'])
def test_an_unreadable_position_sends_again(tmp_path: Path, position: bytes) -> None:
    """Twice rather than never."""
    filled(tmp_path, b"first", b"second").close()
    (tmp_path / "position").write_bytes(position)
    assert found_in(tmp_path) == [b"first", b"second"]


def test_what_is_delivered_out_of_order_is_not_sent_again(tmp_path: Path) -> None:
    """The position knows what is done after something that is not."""
    filled(tmp_path, b"first", b"second", b"third").close()
    store = DiskStore(tmp_path, LOG)
    entries = store.open()
    store.done(entries[1:2])
    store.close()
    assert found_in(tmp_path) == [b"first", b"third"]


def test_a_disk_that_takes_nothing_refuses_and_then_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed sync leaves the request with its sender, and those before it in the queue."""
    store = filled(tmp_path, b"first")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("whence.collect.exporters.disk.sync_file", full)
        with pytest.raises(Refused, match="No space left"):
            store.append(Request("logs", b"second", 1))
    store.append(Request("logs", b"third", 1))
    store.close()
    assert found_in(tmp_path) == [b"first", b"third"]


def test_two_processes_cannot_share_a_queue(tmp_path: Path) -> None:
    """They would send each other's."""
    store = filled(tmp_path, b"first")
    with pytest.raises(StorageError, match="another process"):
        DiskStore(tmp_path, LOG).open()
    store.close()


def test_waiting_for_the_result_and_storage_exclude_each_other(backend: Backend, tmp_path: Path) -> None:
    """The result of what outlives the process cannot be waited for."""
    with pytest.raises(ConfigError):
        a_kept_sender(backend.http, tmp_path, wait_for_result=True)
