"""The queue on disk through kills, torn files and a full disk, in a real `whence collect`: what it acknowledged arrives."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from build_backend import Backend
from build_chaos import Load, Proxy, a_collect, a_proxy, missing
from build_disks import a_disk
from build_examples import TORTURE
from waiting import until

ROUNDS = 8 if TORTURE else 2
QUEUE = "storage: file_storage, queue_size: 1000000"
RETRY = "retry_on_failure: {initial_interval: 20ms, max_interval: 200ms}, timeout: 1500ms"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 400 KiB."""
    with a_disk(tmp_path / "disk", "size=400k") as disk:
        yield disk


def exporter(by: str, proxy: Proxy) -> str:
    """An exporter behind the proxy whose queue is on disk."""
    tls = "tls: {insecure: true}, " if by == "grpc" else ""
    return f'otlp_{by}: {{endpoint: "{getattr(proxy, by)}", {tls}sending_queue: {{{QUEUE}}}, {RETRY}}}'


def storage(folder: Path) -> str:
    """The extension."""
    return f'file_storage: {{directory: "{folder}"}}'


def queue_files(folder: Path) -> list[Path]:
    """The queue's files that have something in them."""
    return sorted(path for path in folder.rglob("*.queue") if path.stat().st_size)


@pytest.mark.timeout(1200 if TORTURE else 180)
def test_what_was_acknowledged_in_an_outage_survives_kills(
    tmp_path: Path, by: str, backend: Backend, proxy: Proxy
) -> None:
    """SIGKILL under load, several times: nothing that was acknowledged is missing, and only what was in flight comes twice."""
    folder = tmp_path / "queue"
    with a_collect(tmp_path / "c", exporter(by, proxy), storage(folder)) as collect, Load(collect.http) as load:
        for _ in range(ROUNDS):
            load.more()
            proxy.go("refuse")
            load.more()
            collect.kill()
            assert queue_files(folder)
            collect.begin()
            load.more()
            proxy.go("through")
            load.more()
            collect.kill()  # while what was queued is on its way
            collect.begin()
        load.end()
        until(lambda: not missing(load, backend.bodies))
        assert collect.stop() == 0
        assert "gives up" not in collect.log()
    twice = [body for body, count in Counter(backend.bodies()).items() if count > 1]
    assert len(twice) < len(load.taken), "everything was sent again"


def test_a_torn_file_needs_nobody(tmp_path: Path, backend: Backend) -> None:
    """Garbage behind the last request, as a power cut leaves it, and a cut in its middle: the rest is sent by the next start."""
    folder = tmp_path / "queue"
    for tear in ("zeros", "part"):
        with (
            a_proxy(backend.http) as proxy,
            a_collect(tmp_path / tear, exporter("http", proxy), storage(folder)) as collect,
        ):
            proxy.go("refuse")
            with Load(collect.http) as load:
                load.more()
            collect.kill()
            last = queue_files(folder)[-1]
            with last.open("ab") as file:
                file.write(bytes(4096) if tear == "zeros" else last.read_bytes()[:50])
            proxy.go("through")
            collect.begin()
            until(lambda load=load: not missing(load, backend.bodies))  # type: ignore[misc]
            assert collect.stop() == 0
            assert "torn end" in collect.log()
        assert not queue_files(folder)
        backend.kept.clear()


def test_a_full_disk_refuses_until_it_is_freed(
    tmp_path: Path, small_disk: Path, by: str, backend: Backend, proxy: Proxy
) -> None:
    """Senders keep what does not fit; what was acknowledged before and after arrives, and nobody restarts anything."""
    proxy.go("refuse")
    with a_collect(tmp_path / "c", exporter(by, proxy), storage(small_disk)) as collect:
        with Load(collect.http, records=100) as load:
            until(lambda: load.refused >= 3)
            assert "No space left" in collect.log()
            before = len(load.taken)
            proxy.go("through")  # what is delivered is deleted
            until(lambda: len(load.taken) > before + 1000)
        until(lambda: not missing(load, backend.bodies))
        assert collect.stop() == 0
        assert "gives up" not in collect.log()
