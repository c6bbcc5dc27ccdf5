"""Connections of the sending exporters: the Collector's keys do what they say, shown by what goes over the wire."""

import random
from typing import Any

import pytest

from build_backend import Backend, a_sender, counted, stopped
from build_chaos import Proxy, a_proxy
from build_collect import a_config, some_logs
from waiting import until
from whence.collect.config.model import BadConfig

TEXT = "".join(random.Random(1).choices("ab", k=200_000))
"""Packs to a sixth."""


@pytest.mark.parametrize(("compression", "most"), [("gzip", 0.3), ("deflate", 0.3), ("none", 1.1)])
def test_grpc_packs_requests(backend: Backend, compression: str, most: float) -> None:
    """As many bytes go over the wire as the setting allows, and the backend has them all."""
    with a_proxy(backend.grpc) as proxy:
        sender = a_sender("grpc", proxy.grpc, compression=compression)
        sender.consume(some_logs(TEXT))
        stopped(sender)
        assert backend.bodies() == [TEXT]
        assert 0.1 * len(TEXT) < proxy.up < most * len(TEXT)
        assert compression != "none" or proxy.up > len(TEXT)


def test_keepalive_finds_a_silent_connection_before_the_timeout(backend: Backend) -> None:
    """A router that forgot the connection costs the keepalive's time, not that of the request."""
    keepalive = {"time": "1s", "timeout": "1s"}
    with a_proxy(backend.grpc) as proxy:
        sender = a_sender("grpc", proxy.grpc, timeout="10m", keepalive=keepalive)
        sender.consume(some_logs("first"))
        backend.wait(lambda: counted(sender, "sent") == 1)
        proxy.go("hang")
        proxy.go("through")
        sender.consume(some_logs("second"))
        backend.wait(lambda: backend.bodies() == ["first", "second"])
        stopped(sender)


@pytest.mark.parametrize(("balancer", "both"), [("round_robin", True), ("pick_first", False)])
def test_the_balancer_spreads_over_addresses_or_does_not(backend: Backend, balancer: str, both: bool) -> None:
    """Two ways to the backend: each is used in turn, or only the first."""
    with a_proxy(backend.grpc) as one, a_proxy(backend.grpc) as other:
        target = f"ipv4:{one.grpc},{other.grpc}"
        sender = a_sender("grpc", target, balancer_name=balancer, sending_queue={"num_consumers": 1})

        def used() -> list[Proxy]:
            return [proxy for proxy in (one, other) if proxy.up > 10_000]

        for number in range(200):
            sender.consume(some_logs(f"{number} {random.Random(number).randbytes(500).hex()}"))
        backend.wait(lambda: counted(sender, "sent") == 200)
        assert len(used()) == (2 if both else 1)
        stopped(sender)


def test_an_authority_is_what_grpc_calls_the_backend(backend: Backend) -> None:
    """And metadata of each request are the headers, in lower case."""
    sender = a_sender("grpc", backend, headers={"X-Tenant": "t"}, authority="elsewhere.test")
    sender.consume(some_logs("a"))
    stopped(sender)
    [(_, headers)] = backend.seen
    assert headers["x-tenant"] == "t"


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, 1),
        ({"disable_keep_alives": True}, 5),
        ({"idle_conn_timeout": "1ns"}, 5),
        ({"max_idle_conns": 1}, 1),
    ],
)
def test_http_keeps_connections_as_it_is_told(backend: Backend, settings: dict[str, Any], wanted: int) -> None:
    """Five requests one after the other over as many connections as the settings say."""
    with a_proxy(backend.http) as proxy:
        sender = a_sender("http", proxy.http, sending_queue={"num_consumers": 1}, **settings)
        for number in range(5):
            sender.consume(some_logs(str(number)))
            until(lambda number=number: counted(sender, "sent") == number + 1)  # type: ignore[misc]
        stopped(sender)
        assert proxy.made == wanted
        assert len(backend.kept) == 5


def test_no_more_connections_are_made_than_allowed(backend: Backend) -> None:
    """`max_conns_per_host`, however many requests there are to send at once."""
    with a_proxy(backend.http) as proxy:
        sender = a_sender("http", proxy.http, max_conns_per_host=2, sending_queue={"num_consumers": 8})
        for number in range(40):
            sender.consume(some_logs(str(number)))
        backend.wait(lambda: len(backend.kept) == 40)
        stopped(sender)
        assert proxy.made <= 2


@pytest.mark.parametrize(
    ("exporter", "keys"),
    [
        ("otlp_grpc", "balancer_name: made_up"),
        ("otlp_grpc", "compression: snappy"),
        ("otlp_http", "compression: lz4"),
        ("otlp_http", "cookies: {enabled: true}"),
        ("otlp_http", "http2_ping_timeout: 1s"),
        ("otlp_http", "middlewares: [{id: x}]"),
        ("otlp_http", "tls: {curve_preferences: [X25519]}"),
        ("otlp_http", "projections: some"),
    ],
)
def test_what_is_not_there_is_refused_with_its_key(exporter: str, keys: str) -> None:
    """With the line; nothing is taken and then ignored."""
    with pytest.raises(BadConfig) as bad:
        a_config(
            f"receivers: {{source: }}\nexporters: {{{exporter}: {{endpoint: 'http://x:1', {keys}}}}}\n"
            f"service: {{pipelines: {{logs: {{receivers: [source], exporters: [{exporter}]}}}}}}"
        )
    assert keys.partition(":")[0] in str(bad.value.problems[0])
