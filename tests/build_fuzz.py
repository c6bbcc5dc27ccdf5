"""Builders: harmed OTLP requests, each of a number: valid ones with bodies, compression, headers or plain bytes changed."""

import gzip
import json
import random
import zlib
from functools import cache
from typing import Any, Final, NamedTuple

import zstandard

from build_receivers import JSON, PROTO, TYPES
from build_requests import LEVELS, MESSAGES, everything, json_of
from whence.otlp.wire import protobuf_of_json

PACK: Final = {"gzip": gzip.compress, "zstd": zstandard.compress, "deflate": zlib.compress}
SERVICES: Final = {
    "logs": "logs.v1.LogsService",
    "traces": "trace.v1.TraceService",
    "metrics": "metrics.v1.MetricsService",
}
_TYPES: Final = (
    JSON, PROTO, "application/json; charset=utf-8", "application/json;", "APPLICATION/JSON", "text/plain", "application/grpc", "",
    "application/x-protobuf, application/json", "application/json\tx", "multipart/form-data; boundary=a", "\xff\xfe", "a" * 5000,
)  # fmt: skip
_CODINGS: Final = (
    "gzip",
    "zstd",
    "deflate",
    "zlib",
    "identity",
    "br",
    "gzip, gzip",
    "GZIP",
    "snappy",
    "",
    "\x80",
    "gzip;q=1",
    "*",
)
_NAMES: Final = (
    "Content-Type", "Content-Encoding", "Content-Length", "Transfer-Encoding", "Host", "Expect", "Connection", "Upgrade",
    "Authorization", "Origin", "Accept-Encoding", "Trailer", "TE", "X-Long", "Cookie", "Forwarded", "Range", "HTTP2-Settings",
)  # fmt: skip
_VALUES: Final = (
    "", "0", "-1", "1e3", "18446744073709551616", "chunked", "gzip, chunked", "chunked, chunked", "identity", "100-continue",
    "close", "keep-alive", "Upgrade, HTTP2-Settings", "h2c", "websocket", "\x00", "a\x7fb", "\xc3\x28", "a" * 20_000, " x ", "2",
)  # fmt: skip
_PATHS: Final = (
    "/",
    "/v1/logs/",
    "/v1/logs?a=b",
    "//v1/logs",
    "/v1/../v1/logs",
    "/v1/%6cogs",
    "/%ff%fe",
    "/" + "a" * 9000,
    "*",
    "http://a/v1/logs",
    "/v1development/profiles",
)
_METHODS: Final = ("GET", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "CONNECT", "post", "PROPFIND", "PRI")
_ODD: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1e308, 5e-324, 1 << 63, 1 << 64, 1 << 70, -(1 << 63), "", "x", "NaN", "-Infinity", "1e400", "0x10",
    "\x00", "\ud800", "\u2028", "ü" * 300, "0" * 32, "f" * 32, "1" * 5000, [], {}, [None], [[[]]], {"": None}, {"values": [{}]},
    {"arrayValue": {"values": [{"kvlistValue": {"values": [None]}}]}}, {"stringValue": 7}, {"intValue": "seven"},
    {"bytesValue": "*"},
)  # fmt: skip
_FIELDS: Final = (
    b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x08" + b"\xff" * 11, b"\x0b\x0b\x0b", b"\x0c", b"\x0e\x00", b"\x0f",
    b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02", b"\x00\x00", b"\x0d\x01", b"\x09\x01\x02",
    b"\xfa\xff\xff\xff\x0f\x01x", b"\x0a\x00" * 50, b"\x0b" * 300, b"\x12\x03\x12\x01\xff",
)  # fmt: skip


class Request(NamedTuple):
    """What is sent. Over HTTP `raw` are all its bytes; over gRPC `body` is the message."""

    transport: str
    """`http`; `bytes`, which may be no HTTP at all; `grpc`; `h2`, bytes for the port of gRPC."""
    signal: str
    kind: str = PROTO
    raw: bytes = b""
    body: bytes = b""
    metadata: tuple[tuple[str, str | bytes], ...] = ()
    packed: bool = False


_VALUE: Final = {
    "kvlistValue": {"values": [{"key": "a", "value": {"arrayValue": {"values": [{"intValue": "-3"}, {}]}}}]}
}
_ATTRIBUTES: Final = [{"key": "k", "value": {"stringValue": "v"}}, {"key": "m", "value": _VALUE}]
_IDS: Final = {"traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7"}
_POINT: Final = {"timeUnixNano": "7", "asDouble": 0.5, "attributes": _ATTRIBUTES}
_SMALL: Final[dict[str, dict[str, Any]]] = {
    "logs": {"timeUnixNano": "7", "severityNumber": 9, "body": _VALUE, "attributes": _ATTRIBUTES, **_IDS},
    "traces": {"name": "a", "kind": 2, "endTimeUnixNano": "8", "attributes": _ATTRIBUTES, "links": [_IDS], **_IDS},
    "metrics": {"name": "a", "unit": "s", "sum": {"dataPoints": [_POINT], "aggregationTemporality": 2}},
}


@cache
def valid(signal: str, encoding: str, small: bool = False) -> bytes:
    """A request with everything, or one with a little, which harm can leave valid."""
    if small:
        resources, scopes, records = LEVELS[signal]
        inside = {"scope": {"name": "s"}, records: [_SMALL[signal]] * 2}
        written = json.dumps({resources: [{"resource": {"attributes": _ATTRIBUTES}, scopes: [inside]}]}).encode()
        return written if encoding == "json" else protobuf_of_json(signal, written)  # type: ignore[arg-type]
    message = everything(signal)
    return json.dumps(json_of(message)).encode() if encoding == "json" else bytes(message.SerializeToString())


def fuzzed(number: int) -> Request:
    """The request of a number."""
    chance = random.Random(number)
    signal, encoding = chance.choice(list(MESSAGES)), chance.choice(list(TYPES))
    way = chance.choices(("body", "packing", "head", "bytes", "chunks", "grpc", "h2"), (5, 3, 4, 3, 1, 4, 1))[0]
    if way == "grpc":
        body = _harmed_body(chance, signal, "protobuf") if chance.random() < 0.9 else valid(signal, "protobuf")
        return Request("grpc", signal, body=body, metadata=_metadata(chance), packed=chance.random() < 0.3)
    if way == "h2":
        return Request(
            "h2", signal, raw=_harmed(chance, h2_call(signal, valid(signal, "protobuf", chance.random() < 0.5)), 6)
        )
    kind = TYPES[encoding]
    headers = [("Host", "localhost"), ("Content-Type", kind)]
    if way == "body":
        body = _harmed_body(chance, signal, encoding)
        return Request("http", signal, kind, _http("POST", f"/v1/{signal}", headers, body))
    if way == "packing":
        coding = chance.choice(list(PACK))
        body = PACK[coding](
            valid(signal, encoding) if chance.random() < 0.5 else _harmed_body(chance, signal, encoding)
        )
        body = _harmed(chance, body, 3) if chance.random() < 0.6 else body + body[: chance.randrange(len(body))]
        coding = coding if chance.random() < 0.8 else chance.choice(list(PACK))
        return Request(
            "http", signal, kind, _http("POST", f"/v1/{signal}", [*headers, ("Content-Encoding", coding)], body)
        )
    body = valid(signal, encoding)
    if way == "head":
        return Request("bytes", signal, raw=_harmed_head(chance, signal, headers, body))
    if way == "chunks":
        data = _http("POST", f"/v1/{signal}", [*headers, ("Transfer-Encoding", "chunked")], b"", length=False)
        return Request("bytes", signal, raw=data + _harmed(chance, _chunks(chance, body), chance.randrange(3)))
    return Request("bytes", signal, raw=_harmed(chance, _http("POST", f"/v1/{signal}", headers, body), 5))


# --- bodies -----------------------------------------------------------------------------------------------------------------


def _harmed_body(chance: random.Random, signal: str, encoding: str) -> bytes:
    whole = valid(signal, encoding, chance.random() < 0.7)
    if encoding == "json" and chance.random() < 0.6:
        tree = json.loads(whole)
        for _ in range(chance.randrange(1, 4)):
            tree = _harmed_tree(chance, tree)
        return json.dumps(tree).encode()
    data = _harmed(chance, whole, chance.choice((1, 1, 1, 2, 5)))
    if encoding == "protobuf" and chance.random() < 0.4:
        at = chance.randrange(len(data) + 1)
        data = data[:at] + chance.choice(_FIELDS) + data[at:]
    return data


def _harmed_tree(chance: random.Random, tree: Any) -> Any:
    """With one value somewhere changed, taken out, doubled or renamed."""
    if chance.random() < 0.15 or not isinstance(tree, (dict, list)) or not tree:
        return chance.choice(_ODD)
    if isinstance(tree, list):
        at = chance.randrange(len(tree))
        return [*tree[:at], _harmed_tree(chance, tree[at]), *tree[at + chance.choice((0, 1, 1, 1)) :]]
    key = chance.choice(list(tree))
    changed = {**tree, key: _harmed_tree(chance, tree[key])}
    if chance.random() < 0.1:
        changed[chance.choice(("", "trace_id", key.upper(), "\x00", key + " "))] = changed.pop(key)
    return changed


def _harmed(chance: random.Random, data: bytes, times: int) -> bytes:
    """With bytes changed, taken out, put in, doubled, or cut off."""
    found = bytearray(data)
    for _ in range(times):
        at, many = chance.randrange(len(found) + 1), chance.randrange(1, 20)
        match chance.choice((0, 0, 0, 1, 2, 3, 4, 4, 4, 5)):
            case 0:
                found[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                found[at : at + many] = b""
            case 2:
                found[at:at] = chance.randbytes(many)
            case 3:
                found[at:at] = found[at : at + many * 10]
            case 4:
                found[at : at + 1] = bytes([(found[at] if at < len(found) else 0) ^ 1 << chance.randrange(8)])
            case _:
                if chance.random() < 0.3:
                    del found[at:]
    return bytes(found)


# --- heads ------------------------------------------------------------------------------------------------------------------


def _http(method: str, path: str, headers: list[tuple[str, str]], body: bytes, length: bool = True) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join([*lines, "Connection: close"]) + "\r\n\r\n").encode("latin-1") + body


def _harmed_head(chance: random.Random, signal: str, headers: list[tuple[str, str]], body: bytes) -> bytes:
    method, path = "POST", f"/v1/{signal}"
    found = dict(headers)
    more: list[tuple[str, str]] = []
    for _ in range(chance.randrange(1, 4)):
        match chance.randrange(7):
            case 0:
                found["Content-Type"] = chance.choice(_TYPES)
            case 1:
                found["Content-Encoding"] = chance.choice(_CODINGS)
            case 2:
                method = chance.choice(_METHODS)
            case 3:
                path = chance.choice(_PATHS)
            case 4:
                more += [(f"X-{n}", "v" * chance.randrange(50)) for n in range(chance.choice((1, 90, 900)))]
            case 5:
                found.pop(chance.choice(list(found)), None) if found else None
            case _:
                more.append((chance.choice(_NAMES), chance.choice(_VALUES)))
    return _http(method, path, [*found.items(), *more], body, length=chance.random() < 0.8)


def _chunks(chance: random.Random, body: bytes) -> bytes:
    found, at = b"", 0
    while at < len(body):
        many = chance.choice((1, 7, 100, 4000))
        piece = body[at : at + many]
        found += b"%x%s\r\n%s\r\n" % (len(piece), chance.choice((b"", b"", b";a=b", b"  ")), piece)
        at += many
    return found + b"0\r\n" + chance.choice((b"", b"X-After: 1\r\n", b"Content-Length: 5\r\n")) + b"\r\n"


def _metadata(chance: random.Random) -> tuple[tuple[str, str | bytes], ...]:
    names = (
        "authorization",
        "x-tenant",
        "content-language",
        "x-long",
        "traceparent",
        "baggage",
        "x-some-bin",
        "grpc-trace-bin",
    )
    found: list[tuple[str, str | bytes]] = []
    for _ in range(chance.randrange(4)):
        name = chance.choice(names)
        text = "".join(chance.choice(" ~az09%,;=\"'") for _ in range(chance.choice((0, 3, 300))))
        found.append((name, chance.randbytes(20) if name.endswith("-bin") else text))
    return tuple(found)


def h2_call(signal: str, data: bytes, coding: str = "") -> bytes:
    """A whole call in bytes: preface, SETTINGS, HEADERS without compression, DATA whose last frame ends the stream.

    `coding`: what the data is packed with. Go's clients end the stream so, those of the C library do not.
    """

    def frame(kind: int, flags: int, stream: int, data: bytes) -> bytes:
        return len(data).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + data

    said = {
        ":method": "POST", ":scheme": "http", ":path": f"/opentelemetry.proto.collector.{SERVICES[signal]}/Export",
        ":authority": "localhost", "content-type": "application/grpc", "te": "trailers",
    } | ({"grpc-encoding": coding} if coding else {})  # fmt: skip
    head = b"".join(b"\x00" + _text(name) + _text(value) for name, value in said.items())
    data = bytes([bool(coding)]) + len(data).to_bytes(4, "big") + data
    pieces = [data[at : at + 16_000] for at in range(0, len(data), 16_000)]
    frames = [frame(0, int(n == len(pieces)), 1, piece) for n, piece in enumerate(pieces, 1)]
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 4, 1, head) + b"".join(frames)


def _text(text: str) -> bytes:
    """A text of HPACK's, below 127 bytes."""
    return bytes([len(text)]) + text.encode()
