"""Traces in the JSON that Jaeger's UI and Grafana draw: the v1 model, of OTLP.

The law: pure. Source: jaeger v2.20 internal/uimodel, and the mapping of OTLP of opentelemetry-collector-contrib's translator.
"""

import base64
from collections.abc import Iterable
from typing import Any, Final

import orjson

from whence.event import names
from whence.otlp.shown import Around, Json
from whence.serve.jaeger.fields import WARNINGS, ns_of, number_of, parent_of, plain_of, span_of, times_of, warnings_in
from whence.serve.jaeger.search import SPAN_KINDS
from whence.serve.jaeger.service import NO_SERVICE, service_in
from whence.serve.jaeger.whole import Trace

_SAFE: Final = (1 << 53) - 1
"""The greatest whole number that JavaScript holds; beyond it the digits are text."""
_ERROR: Final = 2
_STATUS: Final = {1: "OK", _ERROR: "ERROR"}


def v1_trace(trace: Trace) -> Json:
    """A trace as the UI draws it: its spans in the order of their start, each naming the process that it ran in."""
    processes: dict[bytes, tuple[str, Json]] = {}
    spans = []
    for around, some in trace.groups.values():
        process = _process(around)
        key = processes.setdefault(orjson.dumps(process), (f"p{len(processes) + 1}", process))[0]
        scope = _scope_tags(around[2])
        spans += [_span(trace.id, span, scope, key) for span in some]
    spans.sort(key=lambda span: (span["startTime"], -span["duration"]))
    return {
        "traceID": short(trace.id),
        "spans": spans,
        "processes": dict(processes.values()),
        "warnings": None,
    }


def short(trace: str) -> str:
    """A trace's id as Jaeger writes it: in 16 digits where the other 16 are zeros."""
    return trace[16:] if trace.startswith("0" * 16) else trace


def _process(around: Around) -> Json:
    """The resource. Its service stands among the tags too: Grafana's links from traces to logs look for it there."""
    written = around[0].get("attributes") or []
    named = [pair for pair in written if pair.get("key") == names.SERVICE_NAME]
    service = service_in(_as_index(named)) if named else NO_SERVICE
    return {"serviceName": service, "tags": _tags(written)}


def _as_index(named: list[Json]) -> str:
    return orjson.dumps({names.SERVICE_NAME: plain_of(named[-1])}, default=_text).decode()


def _span(trace: str, span: Json, scope: list[Json], process: str) -> Json:
    start, end = times_of(span)
    written = span.get("attributes") or ()
    tags = _tags([pair for pair in written if pair.get("key") != WARNINGS])
    return {
        "traceID": short(trace),
        "spanID": span_of(span).zfill(16),
        "operationName": str(span.get("name") or ""),
        "references": _references(trace, span),
        "startTime": start // 1_000,
        "duration": max(end - start, 0) // 1_000,
        "tags": [*scope, *tags, *_field_tags(span)],
        "logs": [_log(event) for event in span.get("events") or ()],
        "processID": process,
        "warnings": warnings_in(written) or None,
    }


def _references(trace: str, span: Json) -> list[Json]:
    """The parent first, then the links; one to the parent only says what kind of reference it is."""
    parent = parent_of(span)
    kind, links = "CHILD_OF", []
    for link in span.get("links") or ():
        to, of = str(link.get("traceId") or "").lower(), span_of(link)
        said = next((pair for pair in link.get("attributes") or () if pair.get("key") == "opentracing.ref_type"), None)
        child = said is not None and plain_of(said) == "child_of"
        if parent and (to, of) == (trace, parent):
            kind = "CHILD_OF" if child else "FOLLOWS_FROM"
        elif to.strip("0"):
            links.append({"refType": "CHILD_OF" if child else "FOLLOWS_FROM", "traceID": short(to), "spanID": of})
    return [{"refType": kind, "traceID": short(trace), "spanID": parent}, *links] if parent else links


def _scope_tags(scope: Json) -> list[Json]:
    said = (("otel.scope.name", scope.get("name")), ("otel.scope.version", scope.get("version")))
    return [_text_tag(key, str(text)) for key, text in said if text]


def _field_tags(span: Json) -> list[Json]:
    """What OTLP has fields for."""
    found = []
    kind = number_of(span.get("kind"))
    if 0 < kind < len(SPAN_KINDS):
        found.append(_text_tag(names.SPAN_KIND, SPAN_KINDS[kind]))
    if status := span.get("status"):
        code = number_of(status.get("code"))
        if code in _STATUS:
            found.append(_text_tag("otel.status_code", _STATUS[code]))
        if code == _ERROR:
            found.append({"key": "error", "type": "bool", "value": True})
        if status.get("message"):
            found.append(_text_tag("otel.status_description", str(status["message"])))
    if span.get("traceState"):
        found.append(_text_tag("w3c.tracestate", str(span["traceState"])))
    return found


def _log(event: Json) -> Json:
    written = event.get("attributes") or ()
    fields = _tags(written)
    if event.get("name") and not any(pair.get("key") == "event" for pair in written):
        fields.insert(0, _text_tag("event", str(event["name"])))
    return {"timestamp": ns_of(event.get("timeUnixNano")) // 1_000, "fields": fields}


# --- values ---------------------------------------------------------------------------------------------------------------


def _tags(written: Iterable[Json]) -> list[Json]:
    found = []
    for pair in written:
        key, value = pair.get("key", ""), pair.get("value")
        if type(value) is dict and len(value) == 1 and type(text := value.get("stringValue")) is str:
            found.append(
                {"key": str(key), "type": "string", "value": text}
            )  # most are texts, and a call takes its time
        else:
            found.append(tag_of(str(key), plain_of(pair)))
    return found


def _text_tag(key: str, text: str) -> Json:
    return {"key": key, "type": "string", "value": text}


def tag_of(key: str, value: Any) -> Json:
    """A key and its value with the type that Jaeger has for it; lists and maps are their JSON."""
    match value:
        case bool():
            return {"key": key, "type": "bool", "value": value}
        case int():
            return {"key": key, "type": "int64", "value": value if -_SAFE <= value <= _SAFE else str(value)}
        case float() if abs(value) < float("inf"):
            return {
                "key": key,
                "type": "float64",
                "value": int(value) if value.is_integer() and abs(value) < _SAFE else value,
            }
        case bytes():
            return {"key": key, "type": "binary", "value": _text(value)}
    return _text_tag(key, value if isinstance(value, str) else "" if value is None else _json(value))


def _json(value: Any) -> str:
    return (
        str(value)
        if isinstance(value, float)
        else orjson.dumps(value, default=_text, option=orjson.OPT_SORT_KEYS).decode()
    )


def _text(value: Any) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
