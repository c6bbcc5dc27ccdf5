"""`whence collect` as a process: signals, reloads, several processes, metrics and health, from outside."""

import os
import re
import resource
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from build_lines import RunningCollector, a_collector


def _senders(
    collector: RunningCollector, over: threading.Event, count: int = 4
) -> tuple[list[threading.Thread], list[str]]:
    """Threads that send until it is over; what was acknowledged. A connection that breaks is tried again, as senders do."""
    acknowledged: list[str] = []

    def send(who: int) -> None:
        number = 0
        while not over.is_set():
            body = f"{who}-{number}"
            try:
                if collector.send(body).startswith("ok"):
                    acknowledged.append(body)
                    number += 1
            except OSError:
                time.sleep(0.01)

    threads = [threading.Thread(target=send, args=(who,), daemon=True) for who in range(count)]
    for thread in threads:
        thread.start()
    return threads, acknowledged


def _send_into_the_void(collector: RunningCollector) -> None:
    """One request from a sender that does not mind getting no answer."""

    def send() -> None:
        with suppress(OSError):
            collector.send("held")

    threading.Thread(target=send, daemon=True).start()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_with_everything_acknowledged_kept(tmp_path: Path, number: signal.Signals) -> None:
    """Under load: it ends with 0, says that nothing is left, and has what it acknowledged."""
    with a_collector(tmp_path) as collector:
        over = threading.Event()
        threads, acknowledged = _senders(collector, over)
        collector.until(lambda: len(acknowledged) > 20)
        assert collector.end(number) == 0, collector.log.read_text()
        over.set()
        for thread in threads:
            thread.join(60)
        assert set(acknowledged) <= set(collector.lines())
        assert collector.said("stopped: nothing is left")


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """While it waits for an exporter that does not come back, one more signal is enough."""
    with a_collector(tmp_path) as collector:
        Path(f"{collector.kept}.hold").touch()
        _send_into_the_void(collector)
        collector.until(lambda: Path(f"{collector.kept}.held").exists())
        collector.process.send_signal(signal.SIGTERM)
        collector.until(lambda: collector.said("stopping"))
        assert collector.end(signal.SIGTERM) == 128 + signal.SIGTERM
        assert "stopped at once" in collector.log.read_text()


def test_what_is_not_finished_in_time_is_said(tmp_path: Path) -> None:
    """A request that never gets through is named, and the exit code says that something was left."""
    with a_collector(tmp_path, "--stop-timeout", "200ms") as collector:
        Path(f"{collector.kept}.hold").touch()
        _send_into_the_void(collector)
        collector.until(lambda: Path(f"{collector.kept}.held").exists())
        assert collector.end() == 3
        assert collector.said("1 requests were not answered; their senders keep them")


def test_sighup_reads_the_configuration_again_under_load(tmp_path: Path) -> None:
    """Ten reloads while four senders send: nothing is refused, nothing acknowledged is lost, and the new label is used."""
    with a_collector(tmp_path) as collector:
        over = threading.Event()
        threads, acknowledged = _senders(collector, over)
        for n in range(10):
            collector.write(label=f"{n}:")
            collector.process.send_signal(signal.SIGHUP)
            collector.until(
                lambda n=n: len(collector.said("reloaded: restarted exporter append; 3 untouched")) == n + 1
            )
        over.set()
        for thread in threads:
            thread.join(60)
        kept = [line.rpartition(":")[2] for line in collector.lines()]
        assert sorted(kept) == sorted(acknowledged)
        collector.send("last")
        assert "9:last" in collector.lines()
        assert collector.end() == 0


def test_a_bad_new_configuration_is_refused_and_the_old_one_goes_on(tmp_path: Path) -> None:
    """Every fault is in the log with its line; data flows as before."""
    with a_collector(tmp_path) as collector:
        collector.write(more="  telemtry: {}\n")
        collector.process.send_signal(signal.SIGHUP)
        collector.until(lambda: collector.said("reload refused"))
        assert collector.said("otel.yaml:13: service::telemtry: no such key; did you mean 'telemetry'?")
        assert collector.send("after").startswith("ok")
        assert collector.health()[0] == 200
        assert collector.end() == 0


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_new_configuration_that_cannot_start_leaves_the_old_one_serving(tmp_path: Path, processes: str) -> None:
    """Its port is somebody else's: the reload is refused, and the old port answers again, with all it has kept."""
    with a_collector(tmp_path, "--processes", processes) as collector, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        old = collector.port
        collector.port = taken.getsockname()[1]
        collector.write(label="new:")
        collector.port = old
        collector.process.send_signal(signal.SIGHUP)
        collector.until(lambda: collector.said("reload refused"))
        assert collector.said("cannot start the receiver line: Address already in use")
        for n in range(10):
            assert collector.send(str(n)).startswith("ok")
        assert collector.lines() == [str(n) for n in range(10)]
        assert collector.health()[0] == 200
        assert collector.end() == 0


def test_health_says_which_component_is_not_well_and_why(tmp_path: Path) -> None:
    """200 while all work, 503 with the exporter's own words while it does not, and 200 again."""
    with a_collector(tmp_path) as collector:
        status, body = collector.health()
        assert (status, body["status"], body["unhealthy"]) == (200, "Server available", {})
        assert body["components"] == [
            "exporter append",
            "extension health_check",
            "processor doubled of logs",
            "receiver line",
        ]
        sick = Path(f"{collector.kept}.sick")
        sick.write_text("the disk is full")
        assert collector.health()[0] == 503
        assert collector.health()[1]["unhealthy"] == {"exporter append": "the disk is full"}
        sick.unlink()
        assert collector.health()[0] == 200


def _samples(collector: RunningCollector) -> list[Sample]:
    """As Prometheus's own library reads them; it lets every counter end in `_total`."""
    return [sample for family in text_string_to_metric_families(collector.metrics()) for sample in family.samples]


def test_metrics_are_prometheus_text_with_the_collectors_names(tmp_path: Path) -> None:
    """What dashboards for the Collector ask for is there, and a real parser reads it."""
    with a_collector(tmp_path) as collector:
        for n in range(3):
            collector.send(f"{n}")
        samples = {sample.name.removesuffix("_total"): sample for sample in _samples(collector)}
        accepted = samples["otelcol_receiver_accepted_log_records"]
        assert accepted.value == 3
        assert accepted.labels["receiver"] == "line" and accepted.labels["transport"] == "line"
        assert accepted.labels["service_name"] == "whence" and accepted.labels["service_instance_id"]
        assert samples["otelcol_processor_incoming_items"].labels["processor"] == "doubled"
        assert samples["otelcol_process_memory_rss"].value > 1_000_000


def test_several_processes_share_the_port_and_are_looked_after(tmp_path: Path) -> None:
    """Both serve; one that is killed under load is started again; nothing acknowledged is lost; metrics come from each."""
    with a_collector(tmp_path, "--processes", "2") as collector:
        assert len(collector.children()) == 2
        over = threading.Event()
        threads, acknowledged = _senders(collector, over)
        collector.until(lambda: len({collector.send("who").split()[1] for _ in range(20)}) == 2)
        victim = collector.children()[0]
        os.kill(victim, signal.SIGKILL)
        collector.until(lambda: collector.said("runs again"))
        assert len(collector.children()) == 2 and victim not in collector.children()
        before = len(acknowledged)
        collector.until(lambda: len(acknowledged) > before + 20)
        over.set()
        for thread in threads:
            thread.join(60)
        assert set(acknowledged) <= set(collector.lines())
        samples = [sample for sample in _samples(collector) if "otelcol_process_uptime" in sample.name]
        assert sorted(sample.labels["service_instance_id"].rpartition("/")[2] for sample in samples) == ["0", "1"]
        assert "process 1: exporter append" in collector.health()[1]["components"]
        assert collector.end() == 0
        assert collector.said("stopped: nothing is left")


def test_several_processes_reload_one_after_the_other(tmp_path: Path) -> None:
    """SIGHUP reaches each, and health is asked of all of them."""
    with a_collector(tmp_path, "--processes", "2") as collector:
        collector.write(label="new:")
        collector.process.send_signal(signal.SIGHUP)
        collector.until(lambda: collector.said("in each of 2 processes"))
        bodies = [f"{n}" for n in range(20)]
        pids = {collector.send(body).split()[1] for body in bodies}
        assert collector.lines() == [f"new:{body}" for body in bodies]
        assert len(pids) == 2
        Path(f"{collector.kept}.sick").write_text("full")
        assert set(collector.health()[1]["unhealthy"]) == {"process 0: exporter append", "process 1: exporter append"}


def test_a_reload_beside_a_process_that_dies_leaves_all_with_one_configuration(tmp_path: Path) -> None:
    """The new one in each, or the old one in each: in the one that is started again, and in those already changed."""
    with a_collector(tmp_path, "--processes", "2") as collector:
        for n in range(3):
            collector.write(label=f"{n}:")
            os.kill(collector.children()[-1], signal.SIGKILL)
            collector.process.send_signal(signal.SIGHUP)
            collector.until(lambda n=n: len(collector.said("reloaded: ") + collector.said("reload refused")) == n + 1)
            collector.until(lambda n=n: len(collector.said("runs again")) == n + 1)
            collector.until(lambda: len({collector.send("who").split()[1] for _ in range(20)}) == 2)
            before = len(collector.lines())
            for k in range(20):
                collector.send(str(k))
            reloads = [line["msg"].partition(":")[0] for line in collector.said("reload")]
            taken = [number for number, said in enumerate(reloads) if said == "reloaded"]
            label = f"{taken[-1]}:" if taken else ""
            assert collector.lines()[before:] == [f"{label}{k}" for k in range(20)]


@pytest.mark.skipif(sys.platform != "linux", reason="limits are read from /proc")
def test_each_process_may_open_as_many_files_as_the_system_allows(tmp_path: Path) -> None:
    """A shell's low limit does not decide how many senders can connect."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))
    try:
        with a_collector(tmp_path, "--processes", "2") as collector:
            for pid in (collector.process.pid, *collector.children()):
                limits = Path(f"/proc/{pid}/limits").read_text()
                assert re.search(r"Max open files +(\d+)", limits)[1] == str(min(hard, 65_536))  # type: ignore[index]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_children_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    """Nobody is left to serve a port that nobody looks after."""
    with a_collector(tmp_path, "--processes", "2") as collector:
        children = collector.children()
        collector.process.kill()
        collector.process.wait()
        collector.until(lambda: not any(_alive(pid) for pid in children))


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
