"""Every path of every context, one line each: what a statement may name, and which field that is.

The law: a table. A context sees its own fields, and those around it by their context's name: `resource.attributes`.
"""

from collections.abc import Mapping
from typing import Final, Literal, cast

from whence.collect.ottl import fields
from whence.collect.ottl.fields import Access
from whence.collect.records.draft import Draft
from whence.collect.records.plain import as_string
from whence.collect.records.walk import Place
from whence.event.kinds import Severity
from whence.otlp.value import whole

Context = Literal["resource", "scope", "span", "spanevent", "log", "metric", "datapoint"]

INSIDE_OUT: Final[tuple[Context, ...]] = ("log", "datapoint", "metric", "spanevent", "span", "scope", "resource")
"""The order in which contexts are tried where a statement does not say its own."""

_SPAN_KINDS: Final = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")


def _resource(place: Place) -> Draft:
    return place.resource


def _group(place: Place) -> Draft:
    return place.group


def _scope(place: Place) -> Draft:
    return cast(Draft, place.scope)


def _part(place: Place) -> Draft:
    return cast(Draft, place.part)


def _record(place: Place) -> Draft:
    return cast(Draft, place.record)


def _inner(place: Place) -> Draft:
    return cast(Draft, place.inner)


def _ids(of: fields.Where, *names: tuple[str, str, int]) -> dict[str, Access]:
    found = {}
    for name, json, size in names:
        found[name], found[f"{name}.string"] = fields.identity(of, json, size)
    return found


def _times(of: fields.Where, *names: tuple[str, str]) -> dict[str, Access]:
    found = {}
    for name, json in names:
        found[name] = fields.moment(of, json)
        found[f"{name}_unix_nano"] = fields.long(of, json)
    return found


def _dropped(of: fields.Where, *names: str) -> dict[str, Access]:
    return {f"dropped_{name}_count": fields.number(of, f"dropped{name.capitalize()}Count") for name in names}


def _kind_name(place: Place) -> str:
    number = whole(_record(place).get("kind") or 0)
    return _SPAN_KINDS[number] if 0 <= number < len(_SPAN_KINDS) else ""


def _body_text() -> Access:
    """A body that is text; of any other, its JSON."""
    body = fields.any_value(_record, "body")
    return Access(lambda place: as_string(body.read(place)), body.write)


_STARTS: Final = (("start_time", "startTimeUnixNano"), ("end_time", "endTimeUnixNano"))

PATHS: Final[Mapping[Context, Mapping[str, Access]]] = {
    "resource": {
        "attributes": fields.attributes(_resource),
        "schema_url": fields.text(_group, "schemaUrl"),
        "cache": fields.cache(),
        **_dropped(_resource, "attributes"),
    },
    "scope": {
        "name": fields.text(_scope, "name"),
        "version": fields.text(_scope, "version"),
        "attributes": fields.attributes(_scope),
        "schema_url": fields.text(_part, "schemaUrl"),
        "cache": fields.cache(),
        **_dropped(_scope, "attributes"),
    },
    "span": {
        **_ids(_record, ("trace_id", "traceId", 16), ("span_id", "spanId", 8), ("parent_span_id", "parentSpanId", 8)),
        **_times(_record, *_STARTS),
        "trace_state": fields.text(_record, "traceState"),
        "name": fields.text(_record, "name"),
        "kind": fields.number(_record, "kind"),
        "kind.string": Access(_kind_name),
        "attributes": fields.attributes(_record),
        "status.code": fields.nested(_record, "status", fields.number, "code"),
        "status.message": fields.nested(_record, "status", fields.text, "message"),
        "flags": fields.number(_record, "flags"),
        "cache": fields.cache(),
        **_dropped(_record, "attributes", "events", "links"),
    },
    "spanevent": {
        **_times(_inner, ("time", "timeUnixNano")),
        "name": fields.text(_inner, "name"),
        "attributes": fields.attributes(_inner),
        "event_index": Access(lambda place: place.index),
        "cache": fields.cache(),
        **_dropped(_inner, "attributes"),
    },
    "log": {
        **_times(_record, ("time", "timeUnixNano"), ("observed_time", "observedTimeUnixNano")),
        **_ids(_record, ("trace_id", "traceId", 16), ("span_id", "spanId", 8)),
        "severity_number": fields.number(_record, "severityNumber"),
        "severity_text": fields.text(_record, "severityText"),
        "event_name": fields.text(_record, "eventName"),
        "body": fields.any_value(_record, "body"),
        "body.string": _body_text(),
        "attributes": fields.attributes(_record),
        "flags": fields.number(_record, "flags"),
        "cache": fields.cache(),
        **_dropped(_record, "attributes"),
    },
    "metric": {
        "name": fields.text(_record, "name"),
        "description": fields.text(_record, "description"),
        "unit": fields.text(_record, "unit"),
        "type": fields.type_of(_record),
        "aggregation_temporality": fields.of_data(_record, fields.number, "aggregationTemporality"),
        "is_monotonic": fields.of_data(_record, fields.truth, "isMonotonic"),
        "metadata": fields.attributes(_record, "metadata"),
        "cache": fields.cache(),
    },
    "datapoint": {
        **_times(_inner, ("start_time", "startTimeUnixNano"), ("time", "timeUnixNano")),
        "attributes": fields.attributes(_inner),
        "value_int": fields.value_as(_inner, "asInt", "asDouble"),
        "value_double": fields.value_as(_inner, "asDouble", "asInt"),
        "flags": fields.number(_inner, "flags"),
        "count": fields.long(_inner, "count"),
        "sum": fields.double(_inner, "sum"),
        "scale": fields.number(_inner, "scale"),
        "zero_count": fields.long(_inner, "zeroCount"),
        "bucket_counts": fields.lists(_inner, "bucketCounts", whole),
        "explicit_bounds": fields.lists(_inner, "explicitBounds", float),
        "cache": fields.cache(),
    },
}
"""By context, its own paths."""

AROUND: Final[Mapping[Context, tuple[Context, ...]]] = {
    "resource": (),
    "scope": ("resource",),
    "span": ("scope", "resource"),
    "spanevent": ("span", "scope", "resource"),
    "log": ("scope", "resource"),
    "metric": ("scope", "resource"),
    "datapoint": ("metric", "scope", "resource"),
}
"""The contexts whose paths a context sees as well, by their names."""

SPELLINGS: Final[Mapping[str, Context]] = {
    **{name: name for name in AROUND},
    "instrumentation_scope": "scope",
    "log_record": "log",
    "span_event": "spanevent",
    "data_point": "datapoint",
}


ENUMS: Final[Mapping[str, int]] = {
    "SEVERITY_NUMBER_UNSPECIFIED": 0,
    **{f"SEVERITY_NUMBER_{severity.name}": severity.value for severity in Severity},
    **{f"SPAN_KIND_{name.upper()}": number for number, name in enumerate(_SPAN_KINDS)},
    **{f"STATUS_CODE_{name}": number for number, name in enumerate(("UNSET", "OK", "ERROR"))},
    "METRIC_DATA_TYPE_NONE": 0,
    "METRIC_DATA_TYPE_GAUGE": 1,
    "METRIC_DATA_TYPE_SUM": 2,
    "METRIC_DATA_TYPE_HISTOGRAM": 3,
    "METRIC_DATA_TYPE_EXPONENTIAL_HISTOGRAM": 4,
    "METRIC_DATA_TYPE_SUMMARY": 5,
    "AGGREGATION_TEMPORALITY_UNSPECIFIED": 0,
    "AGGREGATION_TEMPORALITY_DELTA": 1,
    "AGGREGATION_TEMPORALITY_CUMULATIVE": 2,
    "FLAG_NONE": 0,
    "FLAG_NO_RECORDED_VALUE": 1,
}
"""What the words in capitals stand for."""
