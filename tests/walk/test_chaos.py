"""`whence collect` sends on through a network that refuses, hangs, cuts, crawls and throttles: every event is delivered."""

import re
from pathlib import Path

import pytest

from build_backend import Backend, Say, retry_info
from build_chaos import Collect, Load, Proxy, a_collect, missing
from build_examples import TORTURE
from waiting import until

RETRY = "retry_on_failure: {initial_interval: 20ms, max_interval: 200ms}, timeout: 1500ms"
ROUNDS = 5 if TORTURE else 1
THROTTLES = {
    "http": [Say(429, (("Retry-After", "1"),)), Say(503, (("Retry-After", "1"),)), Say(502), Say(504)],
    "grpc": [
        Say(code=8, details=retry_info(8, 0.2)),
        Say(code=14, details=retry_info(14, 0.2)),
        Say(code=4),
        Say(code=10),
    ],
}


def exporter(by: str, proxy: Proxy, queue: str = "queue_size: 100000", more: str = RETRY) -> str:
    """An exporter behind the proxy."""
    tls = "tls: {insecure: true}, " if by == "grpc" else ""
    return f'otlp_{by}: {{endpoint: "{getattr(proxy, by)}", {tls}sending_queue: {{{queue}}}, {more}}}'


def delivered(load: Load, backend: Backend, collect: Collect) -> None:
    """Everything that was acknowledged arrives."""
    load.end()
    try:
        until(lambda: not missing(load, backend.bodies))
    except AssertionError:
        lost = missing(load, backend.bodies)
        raise AssertionError(f"{len(lost)} of {len(load.taken)} missing\n{collect.log()[-3000:]}") from None


@pytest.mark.timeout(1200 if TORTURE else 180)
def test_every_event_is_delivered_through_all_of_it(tmp_path: Path, by: str, backend: Backend, proxy: Proxy) -> None:
    """Nothing that was acknowledged is lost, and nothing is given up, whatever the network does in between."""
    with a_collect(tmp_path, exporter(by, proxy)) as collect, Load(collect.http) as load:
        for _ in range(ROUNDS):
            for way in ("refuse", "through", "hang", "through", "cut", "slow", "through"):
                proxy.go(way)  # type: ignore[arg-type]
                made, cuts = proxy.made, proxy.cuts
                load.more()
                if way == "cut":
                    until(lambda cuts=cuts: proxy.cuts >= cuts + 3)  # type: ignore[misc]
                elif way == "hang":
                    until(lambda made=made: proxy.made > made)  # type: ignore[misc]
                elif way in ("slow", "through"):
                    kept = len(backend.kept)
                    until(lambda kept=kept: len(backend.kept) >= kept + 3)  # type: ignore[misc]
            backend.answers = THROTTLES[by] * 5
            until(lambda: not backend.answers)
        delivered(load, backend, collect)
        assert collect.stop() == 0
        assert "gives up" not in collect.log()
        assert "are lost" not in collect.log()


def test_a_poisoned_request_does_not_hold_up_those_behind_it(
    tmp_path: Path, by: str, backend: Backend, proxy: Proxy
) -> None:
    """What the backend refuses for good is given up alone, even where it was sent together with others; the log says so."""
    backend.poison = "poison"
    batch = "queue_size: 100000, num_consumers: 1, batch: {min_size: 50, flush_timeout: 2s}"
    with a_collect(tmp_path, exporter(by, proxy, batch)) as collect, Load(collect.http) as load:
        load.more()
        assert load.post(["good 1", "poison 1", "good 2"])
        assert load.post(["good 3"])
        assert load.post(["poison 2"])
        load.more()
        load.taken += ["good 3"]
        delivered(load, backend, collect)
        assert not {"good 1", "good 2", "poison 1", "poison 2"} & set(backend.bodies())
        assert collect.stop() == 0
        log = collect.log()
    assert log.count("gives up") == 2, log
    assert "gives up 3 log records" in log
    assert "gives up 1 log records" in log


def test_a_stop_under_load_sends_what_was_taken(tmp_path: Path, by: str, backend: Backend, proxy: Proxy) -> None:
    """SIGTERM while everything is slow: what was acknowledged is delivered before the process ends."""
    with a_collect(tmp_path, exporter(by, proxy)) as collect, Load(collect.http) as load:
        load.more()
        proxy.go("slow")
        load.more()
        assert collect.stop() == 0
        assert "nothing is left" in collect.log()
        load.end()
        assert not missing(load, backend.bodies), collect.log()


def test_a_stop_that_cannot_send_says_how_much_is_lost(tmp_path: Path, by: str, backend: Backend, proxy: Proxy) -> None:
    """A backend that hangs does not hold the process beyond its time; of what was in memory the log has the number."""
    proxy.go("hang")
    options = ("--stop-timeout", "2s")
    with a_collect(tmp_path, exporter(by, proxy), "", *options) as collect, Load(collect.http) as load:
        load.more()
        collect.stop()
        load.end()
        log = collect.log()
    assert not backend.kept
    lost = re.search(r"requests with (\d+) items are lost", log)
    assert lost, log
    assert int(lost[1]) >= len(load.taken)  # an acknowledgement may be lost with its connection
