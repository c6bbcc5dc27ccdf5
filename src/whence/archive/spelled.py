"""How what a filter asks for is spelled in a line of OTLP JSON: the marks a line must bear for any of its events to match.

The law: pure. Where the filter holds for an event of a line, whoever wrote it, the line bears the marks: what may be spelled in
a way that is not foreseen here has none. It goes by what `otlp.decode` and `otlp.fields` make of a line.
"""

import math
import re
from collections.abc import Sequence
from typing import Final

import orjson

from whence.archive.marks import All, AnyOf, Mark, Text, Times, Unless
from whence.event import names
from whence.event.kinds import Severity
from whence.filter import values
from whence.filter.match import keys_of
from whence.filter.names import Kind, kind_of
from whence.filter.tree import (
    Among,
    Both,
    Compare,
    Contains,
    Either,
    Exists,
    Filter,
    Like,
    Literal_,
    Matches,
    Operator,
    Path,
    StartsWith,
    Word,
)
from whence.otlp.fields import SEVERITY_NAMES

_MANY: Final = 64
"""Values of an IN beyond which the lines are decoded instead."""
_END: Final = (1 << 64) - 1
"""The last time."""
_TIMES: Final = frozenset({"time", "observed_time"})
_HEX: Final = frozenset({"trace_id", "span_id", "parent_span_id"})
_LIFTED: Final = {
    "kind": names.KIND,
    "seq": names.SEQ,
    "elapsed_ns": names.ELAPSED,
    "agent": names.AGENT,
    "turn": names.TURN,
    "task": names.TASK,
    "stage": names.STAGE,
    "correlation": names.CORRELATION,
    "payload": names.PAYLOAD,
    "schema": names.SCHEMA,
}
"""Fields that an event has by an attribute only."""
_SIGNALS: Final = {"log": b"resourceLogs", "span": b"resourceSpans", "span_event": b"resourceSpans"}
_MADE: Final = (names.SPAN_KIND, names.SPAN_STATUS_MESSAGE, names.BODY)
"""Attributes that reading makes of other members of a record."""
_MADE_WORDS: Final = (*_MADE, "internal", "server", "client", "producer", "consumer")
_VALUE: Final = "value"
"""The key of a payload that was no map."""
_CODES: Final = {"ok": "1", "error": "2"}
"""Statuses that a span has by its code."""
_SPAN_ID: Final = re.compile(r"span:([0-9a-f]{32})-([0-9a-f]{16})(?:#\d+)?")
_DERIVED: Final = re.compile(r"(?:log|span):[0-9a-f]{24}(?:#\d+)?")
_BYTES: Final = Text(b"bytesValue")
"""What is shown as base64, of which there are several spellings."""

# What is no text may be shown as one: a number, a truth, a list or map as Python or JSON has it.
_CONTROL: Final = re.compile(r"[\x00-\x1f]+")
_SHOWN: Final = re.compile(r"\\[^\"'{}\[\](),:\\]*|[\"'{}\[\](),:\x00-\x1f]+")
"""What stands between the parts of a list or map that is shown; an escape counts with all that follows it."""
_STARTS: Final = ("[", "{", "(", '"', "b'", 'b"')
_TAIL: Final = re.compile(r"[nrt]|[xuU]?[0-9a-f]{0,8}")
"""What of an escape there may be behind a place in it."""
_NUMBER: Final = re.compile(r"[0-9.+\-eE_]*")
_CONSTANTS: Final = ("-Infinity", "NaN", "nan", "-inf", "true", "false", "null", "True", "False", "None")
_WORD: Final = re.compile(r"[a-z0-9]+")


def _no_text(*members: str, attributes: Sequence[str] = ()) -> Mark:
    """One of these has a value that is no text, or is spelled otherwise than we do."""
    marks = [Unless(f'"{name}"'.encode(), (b':{"stringValue":"' if name == names.BODY else b':"',)) for name in members]
    return AnyOf((*marks, *(Unless(f'"{name}"'.encode(), (b',"value":{"stringValue":"',)) for name in attributes)))


_NO_TEXT: Final = {
    "type": _no_text("eventName", "name", attributes=[names.EVENT_NAME_HINT]),
    "source": _no_text("name"),
    "run": _no_text(attributes=[names.RUN, names.SERVICE_NAME]),
    "scope": _no_text("name", "version"),
    "description": _no_text(names.BODY),
}
"""Fields that may be a list or map that is shown, and where it then stands."""
_NO_WORD: Final = _no_text("eventName", "name", "message", attributes=[names.EVENT_NAME_HINT])
"""The same of what words are looked for in, but for JSON: its escapes stand in the line."""


def marks_of(tree: Filter) -> Mark | None:
    """What a line must bear for the filter to hold for one of its events; None where any line may do."""
    match tree:
        case Both(parts):
            return _all([*(_within(parts, field) for field in sorted(_TIMES)), *map(marks_of, parts)])
        case Either(parts):
            return _any_of([marks_of(part) for part in parts])
        case Word(text):
            return _word(text)
        case (
            Compare(path) | Among(path) | Contains(path) | StartsWith(path) | Like(path) | Exists(path) | Matches(path)
        ):
            return None if _is_made(path) else _all([_there(path), _asked(tree, path)])
    return None


def _asked(tree: Filter, path: Path) -> Mark | None:
    match tree:
        case Compare(_, operator, value):
            return _compared(path, operator, value)
        case Among(_, wanted):
            return _any_of([_compared(path, "=", value) for value in wanted]) if len(wanted) <= _MANY else None
        case Contains(_, str() as text):
            return _equal(path, text) if kind_of(path) is Kind.LIST else _inside(path, text)
        case StartsWith(_, text):
            return _inside(path, text, begins=True)
        case Like(_, pattern):
            return _like(path, pattern)
    return None


# --- that there is a value --------------------------------------------------------------------------------------------


def _there(path: Path) -> Mark | None:
    """The attribute that a value is lifted from, and the keys on the way to it."""
    lifted = None
    if (name := _LIFTED.get(path.field)) is not None:
        lifted = _any_of([_quoted(each) for each in (name, *names.ALTERNATIVES.get(name, ()))])
    routes = [_all([_key(path.field, key) for key in route]) for route in keys_of(path)] if path.keys else [None]
    return _all([lifted, _any_of(routes)])


def _key(field: str, key: str) -> Mark | None:
    """A key. One that is a number may be an index, or be spelled in other ways."""
    return None if _is_shown(key) or (field == "payload" and key == _VALUE) else _quoted(key)


def _is_made(path: Path) -> bool:
    keys = ".".join(path.keys)
    return path.field == "attributes" and any(keys == name or keys.startswith(f"{name}.") for name in _MADE)


# --- the whole of a value -----------------------------------------------------------------------------------------------


def _compared(path: Path, operator: Operator, value: Literal_) -> Mark | None:
    if not isinstance(value, str):
        if kind_of(path) is Kind.SEVERITY:
            return _severity(operator, value)
        return _within((Compare(path, operator, value),), path.field) if path.field in _TIMES else None
    if operator != "=":
        return None
    if path.field == "signal":
        return Text(_SIGNALS[value]) if value in _SIGNALS else None
    if path.field == "status" and value in _CODES:
        return _any_of([_quoted(value), _code(value)])
    return _equal(path, value)


def _equal(path: Path, text: str) -> Mark | None:
    if path.field in _HEX:
        return _hex(f'"{text}"') if text.isalnum() else None
    if path.field in ("id", "caused_by") and text.startswith(("log:", "span:")):
        return _id(text)
    if _is_shown(text):
        return None
    return _any_of([_quoted(text), _BYTES]) if kind_of(path) is Kind.ANY else _quoted(text)


def _id(text: str) -> Mark | None:
    """An id that may be made of those of a span, or of a place."""
    if _DERIVED.fullmatch(text):
        return None
    found = _SPAN_ID.fullmatch(text)
    return _any_of([_quoted(text), _all([_hex(f'"{each}"') for each in found.groups()])]) if found else None


def _hex(text: str) -> Mark | None:
    return Text(text.lower().encode(), folded=True) if text.isascii() and text else None


def _within(parts: Sequence[Filter], field: str) -> Mark | None:
    """The times that all comparisons of a field allow. A record that gives no time has the time 0, which no line says."""
    low, high = 0, _END
    for part in parts:
        if isinstance(part, Compare) and part.path.field == field and not isinstance(part.value, str):
            low = max(low, math.floor(part.value)) if part.operator in ("=", ">", ">=") else low
            high = min(high, math.ceil(part.value)) if part.operator in ("=", "<", "<=") else high
    return Times(low, max(high, 0)) if low else None


def _severity(operator: Operator, value: float) -> Mark | None:
    """The numbers and names of the severities for which it holds, and what else makes an error of a record."""
    holds = values.compare(operator, value)
    wanted = {each for each in Severity if holds(int(each))}
    marks: list[Mark | None] = [
        _unless("severityNumber", ["0", *(str(int(each)) for each in Severity if each not in wanted)]),
        *[_hex(f'"{name}"') for name in sorted(SEVERITY_NAMES) if SEVERITY_NAMES[name] in wanted],
    ]
    return _any_of([*marks, _code("error"), _quoted(names.TYPE_EXCEPTION)] if Severity.ERROR in wanted else marks)


def _code(status: str) -> Mark:
    return _unless("code", ["0", *[code for other, code in _CODES.items() if other != status]])


def _unless(member: str, others: Sequence[str]) -> Mark:
    """A member whose value is none of these, or is spelled otherwise than we do."""
    return Unless(f'"{member}"'.encode(), tuple(f":{value}{end}".encode() for value in others for end in (",", "}")))


# --- parts of a value ---------------------------------------------------------------------------------------------------


def _like(path: Path, pattern: str) -> Mark | None:
    cut = values.like_pieces(pattern)
    runs = [("".join(each or "\0" for each in piece).split("\0")) for piece in cut]
    if len(runs) == 1 and len(runs[0]) == 1:
        return _compared(path, "=", runs[0][0])
    marks = []
    for place, piece in enumerate(runs):
        for n, run in enumerate(piece):
            begins, ends = place == n == 0, place == len(runs) - 1 and n == len(piece) - 1
            marks.append(_inside(path, run, begins=begins, ends=ends))
    return _all(marks)


def _inside(path: Path, text: str, *, begins: bool = False, ends: bool = False) -> Mark | None:
    """`begins`, `ends`: the value begins or ends with the text."""
    if path.field in _HEX:
        return _hex(text) if text.isalnum() else None
    if path.field in ("id", "signal") or (path.field == "status" and any(text in code for code in _CODES)):
        return None
    cut = _CONTROL if kind_of(path) is Kind.ANY and path.field != "scope" else _SHOWN
    pieces, at = [], 0
    for found in [*cut.finditer(text), None]:
        end = found.start() if found else len(text)
        pieces.append((text[at:end], b'"' if begins and not at else b"", b'"' if ends and not found else b""))
        at = found.end() if found else end
    marks = [_all([_piece(*piece) for piece in pieces])]
    (first, before, behind), *others = pieces
    rest = _behind_escape(first)
    if path.field in _NO_TEXT and not begins and rest != first:  # the line may have a character instead of an escape
        marks.append(_all([*(_piece(*piece) for piece in [(rest, before, behind), *others]), _NO_TEXT[path.field]]))
    return _any_of([*marks, _BYTES])


def _behind_escape(text: str) -> str:
    found = _TAIL.match(text)
    return text[found.end() :] if found else text


def _piece(text: str, before: bytes, behind: bytes) -> Mark | None:
    """A part of a text that is no part of a number or constant."""
    text = text if before else text.lstrip(" ")
    text = text if behind else text.rstrip(" ")
    return None if _is_number(text.strip(" ")) else _spelled(text, before, behind)


def _word(text: str) -> Mark | None:
    """Letters and digits of a text that stands anywhere, in any case; but for what no line says."""
    text = values.fold(text)
    runs, rests = [], []
    for found in _WORD.finditer(text):
        runs.append(found[0])
        is_escaped = text[: found.start()][-1:] in ("", "\\")  # perhaps
        rests.append(_behind_escape(found[0]) if is_escaped else found[0])
    marks = [_all(list(map(_run, runs)))]
    if rests != runs:
        marks.append(_all([*map(_run, rests), _NO_WORD]))
    return _any_of([*marks, _BYTES])


def _run(run: str) -> Mark | None:
    return None if _is_number(run) or any(run in word for word in _MADE_WORDS) else _hex(run)


# --- texts ------------------------------------------------------------------------------------------------------------


def _quoted(text: str) -> Mark | None:
    """A whole text. Characters that may be escaped in several ways are left out."""
    pieces = _CONTROL.split(text)
    last = len(pieces) - 1
    return _all([_spelled(p, b'"' if n == 0 else b"", b'"' if n == last else b"") for n, p in enumerate(pieces)])


def _spelled(text: str, before: bytes, behind: bytes) -> Mark | None:
    try:
        return Text(before + orjson.dumps(text)[1:-1] + behind) if text else None
    except orjson.JSONEncodeError:
        return None


def _is_number(text: str) -> bool:
    """Whether a text may be a part of a number or constant, of which there are several spellings."""
    return _NUMBER.fullmatch(text) is not None or any(
        text in constant or text in constant.lower() for constant in _CONSTANTS
    )


def _is_shown(text: str) -> bool:
    """Whether a text may be something shown that is no text."""
    return _is_number(text) or text.startswith(_STARTS)


# --- trees ------------------------------------------------------------------------------------------------------------


def _all(parts: Sequence[Mark | None]) -> Mark | None:
    known = tuple(dict.fromkeys(part for part in parts if part is not None))
    return known[0] if len(known) == 1 else All(known) if known else None


def _any_of(parts: Sequence[Mark | None]) -> Mark | None:
    known = tuple(dict.fromkeys(parts))
    some = tuple(part for part in known if part is not None)
    return None if not known or len(some) < len(known) else some[0] if len(some) == 1 else AnyOf(some)
