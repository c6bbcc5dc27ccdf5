"""Canonical OTLP JSON trees to lines of the archive: what a component has looked into is stored without a way round protobuf.

The law: a tree is what `tree_of_protobuf` gives, with whatever a component changed in it still of that form. A record is
written as it is; ids and depth are checked as on any way in.
"""

import binascii
from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

from whence.errors import DataError
from whence.otlp import reasons
from whence.otlp.decode import BROKEN
from whence.otlp.limits import DEFAULT, Limits
from whence.otlp.page import LOGS, METRICS, TRACES, Shape
from whence.otlp.schema import LEVELS, MESSAGES, Signal
from whence.otlp.sheet import Ends, Lines, Sheet

Json = dict[str, Any]

_SHAPES: Final[dict[Signal, Shape]] = {"logs": LOGS, "traces": TRACES, "metrics": METRICS}
_DATA: Final = tuple(field.json for field in LEVELS["metrics"].record.fields if field.oneof)


def lines_of_tree(signal: Signal, tree: Json, limits: Limits = DEFAULT) -> Lines:
    """The lines of a canonical tree, its records in their order; the same bytes as of the protobuf that the tree is of.

    Rejects as `lines_of_protobuf`. Raises DataError where the tree is not of OTLP's form.
    """
    shape = _SHAPES[signal]
    sheet = Sheet(shape, limits)
    put = _put_metrics if shape is METRICS else _put_logs if shape is LOGS else _put_spans
    try:
        for group in tree.get(shape.resources) or ():
            sheet.resource(_list_ends(group, shape.scopes))
            deep = _is_deep(group.get("resource"), limits.depth)
            for part in group.get(shape.scopes) or ():
                records = part.get(shape.records) or ()
                if deep or _is_deep(part.get("scope"), limits.depth):
                    sheet.reject(reasons.DEEP, _count(records, shape))
                    continue
                sheet.scope(_list_ends(part, shape.records))
                put(sheet, records, limits)
    except (*BROKEN, orjson.JSONEncodeError) as cause:
        raise DataError(f"cannot write {signal} as lines: {cause}; a component left what is not OTLP JSON") from None
    return sheet.finish()


def count_of_tree(signal: Signal, tree: Json) -> int:
    """How many log records, spans or data points a tree holds. Raises DataError where it is not of OTLP's form."""
    shape = _SHAPES[signal]
    try:
        return sum(
            _count(part.get(shape.records) or (), shape)
            for group in tree.get(shape.resources) or ()
            for part in group.get(shape.scopes) or ()
        )
    except BROKEN as cause:
        raise DataError(f"cannot count {signal}: {cause}; send OTLP JSON") from None


def _count(records: Any, shape: Shape) -> int:
    return sum(len(_points(metric)) for metric in records) if shape is METRICS else len(records)


def _points(metric: Json) -> list[Json]:
    for name in _DATA:
        if data := metric.get(name):
            return data.get("dataPoints") or []
    return []


# --- records --------------------------------------------------------------------------------------------------------------


def _put_logs(sheet: Sheet, records: Iterable[Json], limits: Limits) -> None:
    for record in records:
        data = orjson.dumps(record)
        if _has_deep(data, record, limits.depth):
            sheet.reject(reasons.DEEP)
        elif wrong := reasons.wrong_log(*_lengths(record)):
            sheet.reject(wrong)
        else:
            time = int(record.get("timeUnixNano") or record.get("observedTimeUnixNano") or 0)
            sheet.add(data, time, time)


def _put_spans(sheet: Sheet, spans: Iterable[Json], limits: Limits) -> None:
    for span in spans:
        data = orjson.dumps(span)
        if _has_deep(data, span, limits.depth):
            sheet.reject(reasons.DEEP)
            continue
        links = [_lengths(link) for link in span.get("links") or ()]
        parent = len(_id(span, "parentSpanId"))
        if wrong := reasons.wrong_span(_id(span, "traceId"), _id(span, "spanId"), parent, links):
            sheet.reject(wrong)
            continue
        time = int(span.get("startTimeUnixNano") or 0)
        sheet.add(data, time, time)


def _put_metrics(sheet: Sheet, metrics: Iterable[Json], limits: Limits) -> None:
    for metric in metrics:
        name = next((name for name in _DATA if metric.get(name)), None)
        if name is None:
            continue
        points = metric[name].get("dataPoints") or ()
        if _is_deep(metric.get("metadata"), limits.depth):
            sheet.reject(reasons.DEEP, len(points))
            continue
        (head, tail), (inner_head, inner_tail) = _around(metric, name), _list_ends(metric[name], "dataPoints")
        sheet.add_points(Ends(head + inner_head, inner_tail + tail), _written(sheet, points, limits))


def _written(sheet: Sheet, points: Iterable[Json], limits: Limits) -> Iterator[tuple[bytes, int]]:
    """The JSON of each data point and its time."""
    for point in points:
        data = orjson.dumps(point)
        if _has_deep(data, point, limits.depth):
            sheet.reject(reasons.DEEP)
        elif wrong := reasons.wrong_exemplars(map(_lengths, point.get("exemplars") or ())):
            sheet.reject(wrong)
        else:
            yield data, int(point.get("timeUnixNano") or 0)


def _lengths(record: Json) -> reasons.Lengths:
    return len(_id(record, "traceId")), len(_id(record, "spanId"))


def _id(record: Json, name: str) -> bytes:
    """An id as bytes; one that is no hex as what has the length of none."""
    try:
        return binascii.unhexlify(record.get(name) or "")
    except ValueError:
        return b"\0"


# --- depth and what is around a list --------------------------------------------------------------------------------------


def _has_deep(data: bytes, record: Any, depth: int) -> bool:
    """Whether a record, written as `data`, holds more levels of values than `depth`; looked into only where it might."""
    return data.count(b'"arrayValue"') + data.count(b'"kvlistValue"') >= depth and _is_deep(record, depth)


def _is_deep(value: Any, depth: int) -> bool:
    """Whether as many lists and maps are inside each other as leave no level to what they hold."""
    if depth < 1:
        return True
    if isinstance(value, dict):
        return any(_is_deep(item, depth - (name in ("arrayValue", "kvlistValue"))) for name, item in value.items())
    return isinstance(value, list) and any(_is_deep(item, depth) for item in value)


def _after() -> dict[str, set[str]]:
    """The fields that stand behind another one in its message, by that one's name, where a message is written in parts."""
    levels = [message for level in LEVELS.values() for message in (level.resource, level.scope)]
    metric = LEVELS["metrics"].record
    data = [MESSAGES[field.of] for field in metric.fields if field.oneof]
    found: dict[str, set[str]] = {}
    for message in (*levels, metric, *data):
        for field in message.fields:
            if field.of and (field.repeated or field.oneof):
                behind = {other.json for other in message.fields if other.number > field.number}
                found.setdefault(field.json, set()).update(behind)
    return found


_AFTER: Final = _after()


def _around(of: Json, name: str) -> tuple[bytes, bytes]:
    """What is before and after one field of an object."""
    after = _AFTER[name]
    before = {key: value for key, value in of.items() if key != name and key not in after}
    behind = {key: value for key, value in of.items() if key in after}
    head = orjson.dumps(before)[:-1] + (b',"%b":' if before else b'"%b":') % name.encode()
    return head, b"," + orjson.dumps(behind)[1:] if behind else b"}"


def _list_ends(of: Json, name: str) -> Ends:
    head, tail = _around(of, name)
    return Ends(head + b"[", b"]" + tail)
