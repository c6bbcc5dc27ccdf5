"""Builders for lines with whatever an index makes a column of: every name that means something, every kind of value, oddities."""

import json
import random
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from whence.event import names
from whence.index import lines as columns
from whence.index.columns import SCHEMA

STEM: Final = "logs-20260101T000000.000000Z-host.1.0123abcd-000001"
KEYS: Final = sorted(
    {value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)}
    | {other for others in names.ALTERNATIVES.values() for other in others}
    | {"a", "b", "http.route", "ключ", 'q"\\', ""}
)
TEXTS: Final = ("", "x", "ok", 'a "quoted" \\ text\n', "ünïcödé 😀", "7", "\u2028\x7f", "null", "span:" + "a" * 32)
_TIMES: Final = (0, 1, 1_767_225_600_000_000_000, 2**63 - 1)
_ODD_TIMES: Final = (2**63, 2**64, -1, "-1", " 5", "x", 1.5, True, "", [], "007")
_ODD_VALUES: Final = (
    {"bytesValue": "AAE="}, {"doubleValue": "NaN"}, {"doubleValue": "1.5"}, {"doubleValue": True}, {"intValue": 2**63},
    {"intValue": "-9223372036854775809"}, {"intValue": 5.0}, {"intValue": "x"}, {"boolValue": "true"}, {"stringValue": 5},
    {"stringValue": None, "intValue": "5"}, {"intValue": "1", "stringValue": "two"}, {"unknownValue": 1}, {"arrayValue": None},
    {"arrayValue": {"values": {}}}, {"kvlistValue": {"values": [{"value": {"intValue": "1"}}]}}, {"arrayValue": {"more": 1}},
    {"kvlistValue": {"values": [{"key": "k"}, {"key": "k", "value": {"intValue": "1"}}]}}, "text", 5, [],
)  # fmt: skip
_IDS: Final = ("", "0" * 32, "AB" * 16, "ab" * 15, "zz" * 16, None, 5, "ü" * 32, "ab " * 10 + "ab")


def a_value(chance: random.Random, odd: float, deep: int = 3) -> Any:
    """An AnyValue, or, one in so many times, what is none or has a second reading."""
    if chance.random() < odd:
        return chance.choice(_ODD_VALUES)
    match chance.randrange(12 if deep else 8):
        case 0 | 1 | 2:
            return {"stringValue": chance.choice(TEXTS)}
        case 3:
            return {"intValue": str(chance.choice((0, -5, 7, 2**63 - 1, -(2**63))))}
        case 4:
            return {"intValue": chance.choice((0, -5, 2**53 + 1))}
        case 5:
            return {"boolValue": chance.random() < 0.5}
        case 6:
            return {"doubleValue": chance.choice((0.5, 3, -0.0, 1e300, 5e-324, 0.1, -2.0, 1e16))}
        case 7:
            return chance.choice(({}, None))
        case 8 | 9:
            items = [a_value(chance, odd, deep - 1) for _ in range(chance.randrange(3))]
            return {"arrayValue": {"values": items} if items or chance.random() < 0.5 else {}}
        case 10:
            return {"arrayValue": {"values": [{"stringValue": chance.choice(TEXTS)} for _ in range(3)]}}
        case _:
            return {"kvlistValue": {"values": attributes(chance, odd, deep - 1)} if chance.random() < 0.8 else {}}


def attributes(chance: random.Random, odd: float, deep: int = 3, *likely: str) -> list[Any]:
    """Keys and values, those of the `likely` names among them as often as not."""
    keys = chance.sample(KEYS, chance.choice((0, 1, 2, 4, 8, 30)) if deep == 3 else chance.randrange(3))
    keys += [key for key in likely if key not in keys and chance.random() < 0.5]
    chance.shuffle(keys)
    if keys and chance.random() < odd / 4:
        keys.append(keys[0])
    pairs: list[Any] = [{"key": key, "value": a_value(chance, odd, deep)} for key in keys]
    if pairs and chance.random() < odd / 4:
        pairs[-1] = chance.choice((None, {}, {"key": 5}, {"value": {"intValue": "1"}, "key": "late"}, []))
    return pairs


def _ids(chance: random.Random, odd: float, *fields: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in fields:
        if chance.random() < odd * 2:
            found[name] = chance.choice(_IDS)
        elif chance.random() < 0.8:
            found[name] = f"{chance.randrange(1, 4):032x}" if name == "traceId" else f"{chance.randrange(1, 4):016x}"
    return found


def _time(chance: random.Random, odd: float) -> Any:
    if chance.random() < odd / 2:
        return chance.choice(_ODD_TIMES)
    time = chance.choice(_TIMES)
    return str(time) if chance.random() < 0.7 else time


def _some(chance: random.Random, fields: dict[str, Any]) -> dict[str, Any]:
    """Most of the fields, in their order or another, perhaps with unknown and null ones between them."""
    items = [(key, value) for key, value in fields.items() if chance.random() < 0.8]
    if chance.random() < 0.2:
        items += [("unknownField", {"deep": [1, {"x": None}]}), ("flags", None)]
        chance.shuffle(items)
    return dict(items)


def _projection(chance: random.Random, mark: str) -> list[Any]:
    """Attributes that project a log event, mostly as they are to be."""
    payload = chance.choice(
        ('{"a":[1,2.50],"b":{"c":null}}', "[]", "{", '{"intValue":"5"}', '{"a":1,"a":2}', '"x"', "7")
    )
    values = {
        names.PROJECTION: {"stringValue": chance.choice((mark, mark, "other"))},
        names.ID: {"stringValue": chance.choice(("01KDV", "01KDV", ""))},
        names.PAYLOAD: {"stringValue": payload},
        names.PROJECTED_JSON: {"arrayValue": {"values": [{"stringValue": names.PAYLOAD}]}},
        names.PROJECTED_SEVERITY: {"stringValue": chance.choice(("WARN2", "ERROR", "warn", ""))},
        names.PROJECTED_DESCRIPTION: {"stringValue": "what happened"},
    }
    return [{"key": key, "value": value} for key, value in values.items() if chance.random() < 0.9]


def a_record(chance: random.Random, signal: str, odd: float) -> dict[str, Any]:
    """A log record or a span."""
    count = chance.choice((0, 3, 3, "4", -1, 2**63) if chance.random() < odd else (0, 3))
    texts = (*TEXTS, 5, []) if chance.random() < odd else TEXTS
    if signal == "logs":
        return _ids(chance, odd, "traceId", "spanId") | _some(
            chance,
            {
                "timeUnixNano": _time(chance, odd), "severityNumber": chance.choice((0, 1, 9, 17, 24, 25, 9.0)[: 7 - (odd == 0)]),
                "severityText": chance.choice(("info", "Warning", "FATAL4", "INFO5", "", "ınfo", "CRITICAL")),
                "body": a_value(chance, odd), "attributes": attributes(chance, odd, 3, names.ID, names.PAYLOAD),
                "droppedAttributesCount": count, "observedTimeUnixNano": _time(chance, odd), "eventName": chance.choice(texts),
            },
        )  # fmt: skip
    inner = [
        _some(chance, {"timeUnixNano": _time(chance, odd), "name": chance.choice((*texts, names.TYPE_EXCEPTION)),
                       "attributes": chance.choice((attributes, lambda c, _: _projection(c, "span_event")))(chance, odd),
                       "droppedAttributesCount": count})
        for _ in range(chance.choice((0, 0, 1, 3)))
    ]  # fmt: skip
    links = [
        _ids(chance, odd, "traceId", "spanId") | {"attributes": attributes(chance, odd, 1, names.CAUSE, names.EFFECT)}
        for _ in range(chance.choice((0, 0, 1, 3)))
    ]
    own = attributes(chance, odd) if chance.random() < 0.8 else _projection(chance, "span")
    return _ids(chance, odd, "traceId", "spanId", "parentSpanId") | _some(
        chance,
        {
            "name": chance.choice(texts), "kind": chance.randrange(7), "startTimeUnixNano": _time(chance, odd),
            "endTimeUnixNano": _time(chance, odd), "attributes": own, "droppedAttributesCount": count, "events": inner,
            "droppedEventsCount": 1, "links": links,
            "status": chance.choice(({}, {"code": 2, "message": "it broke"}, {"code": 1}, {"code": 3}, None, {"code": "2"})),
        },
    )  # fmt: skip


def a_line(chance: random.Random, signal: str, odd: float = 0.02) -> bytes:
    """A line of a signal; `odd`: how often something in it is out of the ordinary."""
    outer, inner, records = (
        ("resourceLogs", "scopeLogs", "logRecords") if signal == "logs" else ("resourceSpans", "scopeSpans", "spans")
    )
    place = (names.RUN, names.SERVICE_NAME, names.SERVICE_INSTANCE, names.HOST_NAME, names.PROCESS_PID)

    def part() -> dict[str, Any]:
        scope = _some(chance, {"name": chance.choice(TEXTS), "version": "1", "attributes": attributes(chance, odd, 1)})
        found = [a_record(chance, signal, odd) for _ in range(chance.choice((0, 1, 1, 2)))]
        return _some(chance, {"scope": scope}) | {records: found}

    def group() -> dict[str, Any]:
        resource = {"attributes": attributes(chance, odd, 1, *place)}
        return _some(chance, {"resource": resource}) | {inner: [part() for _ in range(chance.choice((1, 1, 2)))]}

    tree = {outer: [group() for _ in range(chance.choice((1, 1, 2)))]}
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()  # orjson ends at 64 bits


Answer = tuple[pa.Table, list[tuple[int, str]]]


def answer(core: str, lines: Sequence[bytes], stem: str = STEM) -> Answer:
    """What one core (`native` or `pure`) makes of lines: the table, and what it tells of which line."""
    told: list[tuple[int, str]] = []
    offsets = [sum(len(line) + 1 for line in lines[:n]) for n in range(len(lines))]
    found = getattr(columns, f"{core}_batches")(
        stem, list(zip(offsets, lines, strict=True)), lambda *said: told.append(said)
    )
    return pa.Table.from_batches(found, SCHEMA).combine_chunks(), told


def refused(lines: Sequence[bytes]) -> int:
    """How many lines the native core leaves to the pure one."""
    assert columns.NATIVE is not None
    found = columns.NATIVE.of_lines(STEM, list(range(len(lines))), list(lines), 1 << 30)
    assert found[2] == len(lines)
    return len(found[3])


def agree(lines: Sequence[bytes]) -> pa.Table:
    """The table of lines, by either core. Fails with the first row and column in which they differ."""
    (found, told), (expected, said) = answer("native", lines), answer("pure", lines)
    assert told == said
    if found != expected:
        for row, (one, other) in enumerate(zip(found.to_pylist(), expected.to_pylist(), strict=False)):
            assert one == other, f"row {row}: {[name for name in one if one[name] != other[name]]}"
        assert len(found) == len(expected)
    found.validate(full=True)
    return found
