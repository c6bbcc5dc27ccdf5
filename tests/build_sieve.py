"""Builders for sieves: lines as any writer of OTLP JSON may spell them, and filters that hold for what is in them."""

import base64
import json
import re
from collections.abc import Iterator
from random import Random
from typing import Any

import orjson
from hypothesis import strategies as st

from whence.event import flat, names
from whence.event.model import Event
from whence.filter import values
from whence.filter.names import KINDS, Kind
from whence.filter.tree import (
    Among,
    Both,
    Compare,
    Contains,
    Either,
    Exists,
    Filter,
    Like,
    Negation,
    Path,
    StartsWith,
    Word,
)
from whence.otlp.from_event import tree_of
from whence.otlp.value import any_value

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_CHARACTER = re.compile(r"\\u[0-9a-f]{4}|\\.|[A-Za-z0-9/]")
_LEVELS = {
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
    "traces": ("resourceSpans", "scopeSpans", "spans"),
}
_ORDERS = ("=", "!=", "<", "<=", ">", ">=")


def line_of(events: list[Event], random: Random) -> bytes:
    """One line with these events, and with others made of them, spelled as some writer would."""
    trees = tree_of(events)
    signal = random.choice(sorted(trees))
    tree, (outer, middle, inner) = trees[signal], _LEVELS[signal]
    if random.random() < 0.5:  # as one batch
        records = [record for group in tree[outer] for scope in group[middle] for record in scope[inner]]
        tree[outer][:] = tree[outer][:1]
        tree[outer][0][middle][0][inner] = records
    return written(_other(tree, random) if random.random() < 0.7 else tree, random)


def written(tree: Any, random: Random) -> bytes:
    """The JSON of a tree: ours, Python's, with spaces and escapes, or with characters escaped that need not be."""
    way = random.randrange(4)
    try:
        if way == 0:
            return orjson.dumps(tree)
        text = json.dumps(tree, ensure_ascii=way != 1, separators=(",", ":") if way == 3 else None)
        if way == 3:
            text = _STRING.sub(lambda found: _escaped(found[0], random), text)
        return text.encode("utf-8", "surrogatepass")
    except TypeError:
        return json.dumps(tree).encode()


def _escaped(string: str, random: Random) -> str:
    """Now and then a letter or a slash by an escape."""

    def other(found: re.Match[str]) -> str:
        letter = found[0]
        if len(letter) > 1 or random.random() < 0.97:
            return letter
        return "\\/" if letter == "/" else f"\\u{ord(letter):04X}"

    return _CHARACTER.sub(other, string)


def _other(value: Any, random: Random, key: str = "") -> Any:
    """The same as another writer has it: members in another order, numbers as text and the other way round."""
    if isinstance(value, dict):
        items = [(name, _other(item, random, name)) for name, item in value.items()]
        if random.random() < 0.3:
            items.reverse()
        found = dict(items)
        if key in ("logRecords", "spans"):
            _change(found, random)
        return found
    if isinstance(value, list):
        return [_other(item, random, key) for item in value]
    return _respelled(value, key, random)


def _respelled(value: Any, key: str, random: Random) -> Any:
    if random.random() < 0.5:
        return value
    if key == "intValue":
        number = int(value)
        return random.choice([number, f"+{number}" if number > 0 else str(number), f" {number}", float(number)])
    if key == "doubleValue" and isinstance(value, float):
        return random.choice([repr(value), f"{value:.20e}", value])
    if key == "bytesValue":
        return base64.urlsafe_b64encode(base64.b64decode(value)).decode().rstrip("=")
    if key == "boolValue":
        return "true" if value else "false"
    if key in ("traceId", "spanId", "parentSpanId"):
        return str(value).upper()
    if key.endswith("UnixNano"):
        return random.choice([int(value), f"0{value}" if not str(value).startswith("-") else value])
    if key in ("severityNumber", "code", "kind"):
        return random.choice([str(value), float(value)])
    return value


def _change(record: dict[str, Any], random: Random) -> None:
    """Records as other programs make them: without this or that, with events, with a body that is a map, projected."""
    attributes = record.setdefault("attributes", [])
    if random.random() < 0.2:
        attributes[:] = [pair for pair in attributes if pair["key"] != names.ID]
    if random.random() < 0.2:
        record.pop(random.choice(["timeUnixNano", "severityNumber", "observedTimeUnixNano", "startTimeUnixNano"]), None)
    if random.random() < 0.2 and "severityText" in record:
        record["severityText"] = random.choice([str.lower, str.title])(record["severityText"])
    if random.random() < 0.2:
        attributes.append(
            {
                "key": random.choice(list(names.ALTERNATIVES["whence.agent"])),
                "value": any_value(random.choice([5, "a7", 0.5])),
            }
        )
    if random.random() < 0.1:
        attributes.append({"key": "gen_ai.conversation.id", "value": any_value("c 9")})
    if random.random() < 0.3:
        record["body"] = any_value(random.choice([{"a": ["b c", 5, True, b"\xfb\xff\xbe"]}, ["x", 0.5], 7, b"abc"]))
        if random.random() < 0.5:
            attributes.append({"key": "body", "value": any_value("there already")})
    if "name" not in record and "startTimeUnixNano" not in record:
        return
    record |= {"traceId": TRACE, "spanId": SPAN} if random.random() < 0.7 else {}
    record["status"] = random.choice([{}, {"code": 2, "message": "it broke"}, {"code": "1"}])
    record["kind"] = random.randrange(6)
    event = {
        "timeUnixNano": "1768000000000000000",
        "name": random.choice(["exception", "tick", 'q"k']),
        "attributes": list(attributes),
    }
    if random.random() < 0.5:
        marks = {names.ID: "01PROJECTED", names.PROJECTION: "span_event", names.PROJECTED_SEVERITY: "ERROR",
                 names.PROJECTED_DESCRIPTION: "said so", names.PAYLOAD: '{"status":"error","n":5,"t":"a\\"b"}',
                 names.PROJECTED_JSON: [names.PAYLOAD]}  # fmt: skip
        event["attributes"] = [{"key": key, "value": any_value(value)} for key, value in marks.items()]
    record["events"] = [event]


# --- what is no text where a text is expected ---------------------------------------------------------------------------

_TEXTS = st.text(alphabet="\x00\x1b\x7f\x80\xad\u2028\u200b\U000e0001'\"\\\n\t x7fbeénU", max_size=8)
SHOWN = st.recursive(
    _TEXTS | st.integers(-5, 2**63 - 1) | st.floats() | st.booleans() | st.binary(max_size=4) | st.just(b"it's"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=5,
)
"""Values that an event shows as text where it takes one: as Python does, or as JSON."""
SHOWN_AS = ("name", "hint", "id", "run", "service", "cause", "scope", "version", "message", "body")


def line_showing(value: Any, places: tuple[str, ...], random: Random) -> bytes:
    """A line of log records or spans, the first of which has the value in these places, of `SHOWN_AS`."""
    is_log = random.random() < 0.5
    keys = {"hint": names.EVENT_NAME_HINT, "id": names.ID, "cause": names.CAUSED_BY}
    record: dict[str, Any] = {"attributes": [_pair(key, value) for place, key in keys.items() if place in places]}
    raw = json.loads(json.dumps(value, default=list))  # as JSON has it, where the specification wants a text
    if "name" in places:
        record["eventName" if is_log else "name"] = raw
    if "message" in places:
        record["status"] = {"message": raw}
    if "body" in places:
        record["body"] = any_value(value)
        record["attributes"].append(_pair(names.BODY, "there already"))
    scope = {place: raw for place, name in (("name", "scope"), ("version", "version")) if name in places}
    own = [_pair(key, value) for place, key in (("run", names.RUN), ("service", "service.name")) if place in places]
    outer, middle, inner = _LEVELS["logs" if is_log else "traces"]
    other = {"eventName" if is_log else "name": "other"}
    tree = {outer: [{"resource": {"attributes": own}, middle: [{"scope": scope, inner: [record, other]}]}]}
    return written(tree, random)


def _pair(key: str, value: Any) -> dict[str, Any]:
    return {"key": key, "value": any_value(value)}


# --- filters that hold ------------------------------------------------------------------------------------------------


def asking(event: Event, random: Random) -> Iterator[Filter]:
    """Filters of every kind about what an event has; most of them hold."""
    for name, kind in KINDS.items():
        value = getattr(event, name)
        if value is None or value == () or value == {}:
            continue
        path = Path(name)
        yield Exists(path)
        if kind is Kind.MAP:
            for keys, leaf in _leaves(value):
                yield from _about(Path(name, keys), leaf, random)
        elif kind is Kind.LIST:
            yield Contains(path, random.choice(value))
        else:
            yield from _about(path, int(value) if kind is Kind.SEVERITY else value, random)
    texts = [
        event.type,
        event.description or "",
        *(values.json_text(each) for each in (event.payload, event.attributes)),
    ]
    for text in texts:
        if part := _part(text, random).strip():
            yield Word(random.choice([part, part.upper(), part.lower(), values.fold(part)]))


def _leaves(value: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if keys:
        yield keys, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, (*keys, key))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _leaves(item, (*keys, str(at)))


def _about(path: Path, value: Any, random: Random) -> Iterator[Filter]:
    shown = flat.plain(value) if not isinstance(value, (dict, list)) else value
    if shown is None or isinstance(shown, dict):
        return
    if isinstance(shown, list):
        if shown and isinstance(item := flat.plain(random.choice(shown)), (str, int, float)):
            yield Contains(path, item)
        return
    yield Compare(path, random.choice(_ORDERS), shown)  # type: ignore[arg-type]
    yield Compare(path, "=", shown)
    yield Among(path, ("other", shown) if isinstance(shown, str) else (shown,))
    if not isinstance(shown, str):
        return
    part = _part(shown, random)
    yield Contains(path, part)
    yield StartsWith(path, shown[: random.randrange(len(shown) + 1)])
    literal = "".join("\\" + each if each in "*%?_\\" else each for each in shown)
    yield Like(path, literal)
    cut = random.randrange(len(shown) + 1)
    ends = [
        "".join("\\" + each if each in "*%?_\\" else each for each in text) for text in (shown[:cut], shown[cut + 1 :])
    ]
    yield Like(path, random.choice(["*", "?" if cut < len(shown) else "*"]).join(ends))
    yield Like(path, f"*{''.join(chr(92) + each if each in '*%?_' + chr(92) else each for each in part)}*")


def _part(text: str, random: Random) -> str:
    start = random.randrange(len(text) + 1)
    return text[start : start + random.randrange(1, 12)]


def joined(trees: list[Filter], random: Random) -> Filter:
    """Some of these filters in one."""
    some = tuple(dict.fromkeys(random.choices(trees, k=random.randrange(2, 4))))
    if len(some) < 2:
        return some[0]
    parts = tuple(Negation(Negation(part)) if random.random() < 0.2 else part for part in some)
    return random.choice([Both, Either])(parts)
