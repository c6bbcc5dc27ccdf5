"""A collector under load that is killed, stopped, reloaded and started again: what it acknowledged is in the archive, once.

Points 21 and 22 of the checklist (`receivers/test_checklist.py`). Senders come over both transports and send each record again
until it is taken; with WHENCE_TORTURE=1 it happens to them more often.
"""

import os
import random
import signal
import sys
import threading
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GRPCExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HTTPExporter

from build_examples import TORTURE
from build_load import Load, Served, a_served, is_running
from build_otlp import a_log
from waiting import until

ROUNDS = 10 if TORTURE else 1
A_WHILE = 20
"""Records that each sender gets acknowledged between two blows."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")


@pytest.mark.parametrize("processes", [1, 2])
def test_killed_under_load_it_has_what_it_acknowledged(tmp_path: Path, processes: int) -> None:
    """SIGKILL again and again: every acknowledged record is there once; one whose sender heard nothing, as often as it was sent
    at most. With several processes the parent is killed; its children end by themselves, and the ports are served at once."""
    with a_served(tmp_path, "--processes", str(processes)) as served:
        with Load(served) as load:
            for _ in range(ROUNDS):
                load.wait(A_WHILE)
                children = served.children()
                assert len(children) == (0 if processes == 1 else processes)
                served.end(signal.SIGKILL)
                served.start()
                load.wait(A_WHILE)
                until(lambda children=children: not any(map(is_running, children)))
        assert served.end() == 0
        load.check(answered=False)


def test_a_killed_process_of_several_is_replaced_under_load(tmp_path: Path) -> None:
    """Again and again: the other one goes on, a new one takes its place, and nothing acknowledged is lost or doubled."""
    chance = random.Random(1)
    with a_served(tmp_path, "--processes", "2") as served:
        with Load(served) as load:
            for n in range(ROUNDS):
                load.wait(A_WHILE)
                os.kill(chance.choice(served.children()), signal.SIGKILL)
                until(lambda n=n: served.said("runs again") == n + 1)
                assert len(served.children()) == 2
                load.wait(A_WHILE)
        assert served.end() == 0
        load.check(answered=False)


@pytest.mark.parametrize("processes", [1, 2])
def test_stopped_under_load_it_answers_whom_it_takes_from(tmp_path: Path, processes: int) -> None:
    """SIGTERM and a new start: the archive has exactly what was acknowledged; whoever was not, was not taken from."""
    with a_served(tmp_path, "--processes", str(processes)) as served:
        with Load(served) as load:
            for _ in range(ROUNDS):
                load.wait(A_WHILE)
                assert served.end() == 0, served.log.read_text()
                served.start()
            load.wait(A_WHILE)
        assert served.end() == 0
        assert served.said("stopped: nothing is left") == ROUNDS + 1
        load.check(answered=True)


@pytest.mark.parametrize("processes", [1, 2])
def test_reloaded_under_load_it_loses_nothing_in_flight(tmp_path: Path, processes: int) -> None:
    """SIGHUP with another listener, another archive writer, or both, in turn: exactly what was acknowledged is there."""
    with a_served(tmp_path, "--processes", str(processes)) as served:
        with Load(served) as load:
            for n in range(3 * ROUNDS):
                load.wait(A_WHILE // 2)
                listener = (
                    f'response_headers: {{X-Round: "{n}"}}'
                    if n % 3 != 1
                    else f'response_headers: {{X-Round: "{n - 1}"}}'
                )
                served.write(listener, f"rotate_seconds: {1000 + n - (n % 3 == 0)}")
                served.process.send_signal(signal.SIGHUP)
                until(lambda n=n: served.said("reloaded: ") == n + 1)
            load.wait(A_WHILE)
        assert served.said("reload refused") == 0
        assert served.end() == 0
        load.check(answered=True)


def test_official_exporters_get_everything_through_stops_and_starts(tmp_path: Path) -> None:
    """They are told to come again, or find nobody, and send again: each record is there exactly once."""
    with a_served(tmp_path) as served:
        url = f"http://127.0.0.1:{served.http}/v1/logs"
        exporters = [
            HTTPExporter(url, timeout=90),
            HTTPExporter(url, timeout=90, compression=Compression.Gzip),
            GRPCExporter(f"127.0.0.1:{served.grpc}", insecure=True, timeout=90),
        ]
        over = threading.Event()
        sent: list[list[str]] = [[] for _ in exporters]
        failed: list[str] = []

        def send(n: int) -> None:
            while not over.is_set():
                bodies = [f"{n} {len(sent[n]) + k}" for k in range(5)]
                sent[n].extend(bodies)
                if exporters[n].export([a_log(body=body) for body in bodies]).name != "SUCCESS":
                    failed.extend(bodies)

        threads = [threading.Thread(target=send, args=(n,), daemon=True) for n in range(len(exporters))]
        for thread in threads:
            thread.start()
        for _ in range(ROUNDS):
            before = [len(one) for one in sent]
            until(lambda before=before: all(len(one) > some + 50 for one, some in zip(sent, before, strict=True)))
            assert served.end() == 0, served.log.read_text()
            served.start()
        over.set()
        for thread in threads:
            thread.join(90)
        for one in exporters:
            one.shutdown()
        assert served.end() == 0
        assert failed == []
        kept = served.bodies()
        assert kept == {body: 1 for bodies in sent for body in bodies}


def test_the_ports_are_free_again_after_a_kill(tmp_path: Path) -> None:
    """A collector of one process starts where one of two was killed, as soon as that one's children are gone."""
    with a_served(tmp_path, "--processes", "2") as served:
        children = served.children()
        served.end(signal.SIGKILL)
        until(lambda: not any(map(is_running, children)))
        alone = Served(tmp_path)
        alone.http, alone.grpc, alone.starts = served.http, served.grpc, served.starts
        alone.write()
        alone.start()
        assert alone.end() == 0
