"""OTLP requests as a web shop's services would send them, for the codec: 512 records each, no request like another.

The law: the same number gives the same requests in every process. About half of the attributes are seen over and over, as
routes and methods are; the others (ids, texts, measurements) are new each time, so that nothing is won by remembering them.
"""

import random
from typing import Any, Final

from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

PER_REQUEST: Final = 512
_START: Final = 1_795_000_000_000_000_000
_WORDS: Final = [
    "order", "item", "cart", "price", "stock", "user", "session", "page", "route", "cache", "query", "table", "index",
    "batch", "queue", "retry", "worker", "shard", "node", "disk", "payment", "refund", "invoice", "address", "parcel",
    "courier", "carrier", "delayed", "packed", "sent", "arrived", "returned", "accepted", "refused", "expired",
]  # fmt: skip
_ROUTES: Final = ("/", "/cart", "/orders", "/orders/{id}", "/items/{id}", "/login", "/search", "/pay")


def requests(signal: str, count: int, seed: int) -> list[bytes]:
    """That many requests of a signal in protobuf, each of 512 log records, spans or data points."""
    chance = random.Random(f"{signal} {seed}")
    return [_MADE[signal](chance).SerializeToString() for _ in range(count)]


def _describe(of: Any) -> None:
    for key, value in (
        ("service.name", "shop"), ("service.version", "2.4.1"), ("service.instance.id", "shop-7d9f8-xk2lp"),
        ("host.name", "node-17"), ("os.type", "linux"), ("telemetry.sdk.name", "opentelemetry"),
        ("telemetry.sdk.language", "python"), ("telemetry.sdk.version", "1.45.0"),
    ):  # fmt: skip
        _add(of.resource.attributes, key, value)


def _add(attributes: Any, key: str, value: Any) -> None:
    pair = attributes.add(key=key)
    if isinstance(value, str):
        pair.value.string_value = value
    elif isinstance(value, int):
        pair.value.int_value = value
    else:
        pair.value.double_value = value


def _text(chance: random.Random, words: int) -> str:
    return " ".join(chance.choices(_WORDS, k=words))


def _spans(chance: random.Random) -> Any:
    data = TracesData()
    group = data.resource_spans.add()
    _describe(group)
    part = group.scope_spans.add()
    part.scope.name, part.scope.version = "opentelemetry.instrumentation.asgi", "0.66b1"
    for number in range(PER_REQUEST):
        start = _START + chance.randrange(10**12)
        span = part.spans.add(
            trace_id=chance.randbytes(16), span_id=chance.randbytes(8), parent_span_id=chance.randbytes(8), flags=0x101,
            name=f"GET {chance.choice(_ROUTES)}", kind=chance.randrange(1, 6), start_time_unix_nano=start,
            end_time_unix_nano=start + chance.randrange(10**9),
        )  # fmt: skip
        for key, value in (
            ("http.request.method", chance.choice(("GET", "POST", "PUT"))), ("http.route", chance.choice(_ROUTES)),
            ("http.response.status_code", chance.choice((200, 200, 201, 404, 500))), ("url.scheme", "https"),
            ("server.address", f"shop-{chance.randrange(20)}.example.org"), ("server.port", 8443),
            ("user.id", f"user-{chance.randrange(10**6)}"), ("order.id", chance.randrange(10**9)),
            ("db.statement", f"select {_text(chance, 8)}"), ("queue.seconds", chance.random()),
        ):  # fmt: skip
            _add(span.attributes, key, value)
        event = span.events.add(time_unix_nano=start + 1000, name="item.stored")
        _add(event.attributes, "item.id", chance.randrange(10**9))
        _add(event.attributes, "item.kind", chance.choice(_WORDS))
        if number % 4 == 0:
            link = span.links.add(trace_id=chance.randbytes(16), span_id=chance.randbytes(8), flags=0x101)
            _add(link.attributes, "link.kind", "follows")
        span.status.code = chance.choice((0, 1, 2))
    return data


def _logs(chance: random.Random) -> Any:
    data = LogsData()
    group = data.resource_logs.add()
    _describe(group)
    part = group.scope_logs.add()
    part.scope.name = "shop.orders"
    for _ in range(PER_REQUEST):
        time = _START + chance.randrange(10**12)
        record = part.log_records.add(
            time_unix_nano=time, observed_time_unix_nano=time + 1000, severity_number=chance.choice((5, 9, 13, 17)),
            severity_text="INFO", event_name=chance.choice(("order.placed", "order.paid", "item.packed")), flags=1,
            trace_id=chance.randbytes(16), span_id=chance.randbytes(8),
        )  # fmt: skip
        record.body.string_value = _text(chance, 12)
        for key, value in (
            ("code.file.path", f"shop/{chance.choice(_WORDS)}.py"), ("code.line.number", chance.randrange(500)),
            ("thread.name", f"worker-{chance.randrange(16)}"), ("log.record.uid", chance.randbytes(13).hex()),
            ("order.id", chance.randrange(10**9)), ("price", chance.random()), ("region", chance.choice(_WORDS)),
        ):  # fmt: skip
            _add(record.attributes, key, value)
    return data


def _metrics(chance: random.Random) -> Any:
    data = MetricsData()
    group = data.resource_metrics.add()
    _describe(group)
    part = group.scope_metrics.add()
    part.scope.name = "shop.metrics"
    now = _START + chance.randrange(10**12)
    for number in range(PER_REQUEST // 16):
        metric = part.metrics.add(name=f"shop.{_WORDS[number]}", unit="1", description=_text(chance, 6))
        histogram = number % 2 == 0
        (metric.histogram if histogram else metric.sum).aggregation_temporality = 2
        for route in range(16):
            known = {"start_time_unix_nano": _START, "time_unix_nano": now}
            if histogram:
                counts = [chance.randrange(1000) for _ in range(12)]
                point = metric.histogram.data_points.add(
                    **known, count=sum(counts), sum=chance.random() * 1000, min=chance.random(), max=900 + chance.random(),
                    bucket_counts=counts, explicit_bounds=[0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 50, 100],
                )  # fmt: skip
            else:
                point = metric.sum.data_points.add(**known, as_int=chance.randrange(10**9))
            _add(point.attributes, "http.route", _ROUTES[route % len(_ROUTES)])
            _add(point.attributes, "http.response.status_code", 200 + route)
            _add(point.attributes, "server.address", f"shop-{chance.randrange(20)}.example.org")
    return data


_MADE: Final = {"traces": _spans, "logs": _logs, "metrics": _metrics}
