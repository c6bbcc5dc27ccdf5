"""Which events are wanted: what named options and a filter say together, as one tree of the filter language.

The law: pure; `now` is given. One notion of selecting, whether the options come from a command line or an HTTP query.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from whence.errors import DataError, FilterError
from whence.event.flat import parse_time
from whence.event.kinds import Kind, Severity
from whence.filter.limits import INTEGERS
from whence.filter.tree import Among, Both, Compare, Either, Everything, Filter, Like, Literal_, Operator, Path, Word

_UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
    "d": 86400 * 10**9,
}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h|d)", re.ASCII)


class OptionError(FilterError):
    """An option that selects events cannot be read; the message says what was expected."""


class Option(NamedTuple):
    """One named option: whether it may be given several times, how its value is called, and what it means."""

    many: bool
    value: str
    help: str


OPTIONS: Final[Mapping[str, Option]] = {
    "run": Option(False, "ID", "Only this run."),
    "type": Option(True, "PATTERN", "Types that match, such as `task.*`; may be given again."),
    "kind": Option(True, "KIND", "milestone, decision, action, state, detail, system."),
    "agent": Option(True, "ID", "Of this agent; may be given again."),
    "task": Option(True, "ID", "Of this task; may be given again."),
    "correlation": Option(True, "ID", "Of this correlation; may be given again."),
    "turn": Option(False, "A..B", "A turn, or from one to another."),
    "severity": Option(False, "LEVEL", "At least trace, debug, info, warn, error or fatal."),
    "trace": Option(False, "ID", "Only this trace."),
    "since": Option(False, "TIME", "Not before this time, or 5m ago."),
    "until": Option(False, "TIME", "Not after this time."),
}
"""The options that select events, by the names of `selection`'s parameters."""


def selection(
    *,
    filter: str | None = None,
    run: str | None = None,
    type: Sequence[str] | None = None,
    kind: Sequence[str] | None = None,
    agent: Sequence[str] | None = None,
    task: Sequence[str] | None = None,
    correlation: Sequence[str] | None = None,
    turn: str | None = None,
    severity: str | None = None,
    trace: str | None = None,
    since: str | None = None,
    until: str | None = None,
    text: Sequence[str] | None = None,
    now: int,
) -> Filter:
    """The tree that these options and this filter mean together; `now` in nanoseconds since the epoch.

    Raises OptionError, and FilterError for the filter.
    """
    first, last = parse_turns(turn) if turn else (None, None)
    parts = [
        _among("run", [run] if run is not None else []),
        *([_types(type)] if type else []),
        _among("kind", parse_kinds(kind or ())),
        _among("agent", agent or ()),
        _among("task", task or ()),
        _among("correlation", correlation or ()),
        _bound("turn", ">=", first),
        _bound("turn", "<=", last),
        _bound("severity", ">=", int(parse_severity(severity)) if severity else None),
        _among("trace_id", [trace.lower()] if trace else []),
        _bound("time", ">=", parse_moment(since, now) if since else None),
        _bound("time", "<=", parse_moment(until, now) if until else None),
        *(Word(_checked(word)) for word in text or () if word),
        _parsed(filter, now),
    ]
    return joined(parts)


def joined(parts: Sequence[Filter]) -> Filter:
    """All of these hold: flat, and without those that always do."""
    flat: list[Filter] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, Both) else () if isinstance(part, Everything) else (part,))
    return Everything() if not flat else flat[0] if len(flat) == 1 else Both(tuple(flat))


def _parsed(text: str | None, now: int) -> Filter:
    if text is None:
        return Everything()
    from whence.filter.parse import parse  # with a package of an extra

    return parse(text, now=now)


def _types(patterns: Sequence[str]) -> Filter:
    parts = tuple(_type(_checked(pattern)) for pattern in dict.fromkeys(patterns))
    return parts[0] if len(parts) == 1 else Either(parts)


def _type(pattern: str) -> Filter:
    """A pattern of `*` and `?`, in which everything else stands for itself."""
    if not any(mark in pattern for mark in "*?"):
        return Compare(Path("type"), "=", pattern)
    return Like(Path("type"), "".join("\\" + char if char in "%_\\" else char for char in pattern))


def _among(field: str, values: Sequence[str]) -> Filter:
    once: tuple[Literal_, ...] = tuple(dict.fromkeys(map(_checked, values)))
    if not once:
        return Everything()
    return Compare(Path(field), "=", once[0]) if len(once) == 1 else Among(Path(field), once)


def _bound(field: str, operator: Operator, value: int | None) -> Filter:
    if value is None:
        return Everything()
    return Compare(Path(field), operator, min(max(value, INTEGERS.start), INTEGERS.stop - 1))


def _checked(text: str) -> str:
    """A text that events can have."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise OptionError(f"{text!r} is no text in UTF-8") from None
    return text


# --- reading one value ----------------------------------------------------------------------------------------------------


def parse_duration(text: str) -> int:
    """Nanoseconds of a duration such as `250ms`, `5m` or `1h30m`. Raises OptionError."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise OptionError(f"{text!r} is not a duration: expected such as 250ms, 30s, 5m or 1h30m")
    return sum(round(float(number) * _UNITS[unit]) for number, unit in parts)


def parse_moment(text: str, now: int) -> int:
    """Nanoseconds since the epoch of a time, or of `now-5m` or plain `5m`, which is that long before now. Raises OptionError."""
    ago = text.removeprefix("now").removeprefix("-")
    if text == "now":
        return now
    if _DURATION.match(ago) and not ago.endswith("Z") and "-" not in ago:
        return now - parse_duration(ago)
    try:
        return parse_time(text)
    except (DataError, OverflowError):
        message = f"{text!r} is not a time: expected such as 2026-01-02T03:04:05Z, or 5m for five minutes ago"
        raise OptionError(message) from None


def parse_turns(text: str) -> tuple[int | None, int | None]:
    """The first and last turn of `5`, `3..7`, `3..` or `..7`. Raises OptionError."""
    first, dots, last = text.partition("..")
    try:
        start = int(first) if first else None
        end = (int(last) if last else None) if dots else start
    except ValueError:
        start = end = None
    if start is None and end is None:
        raise OptionError(f"{text!r} is not a turn or a range of turns: expected such as 5, 3..7, 3.. or ..7")
    return start, end


def parse_severity(text: str) -> Severity:
    """The severity of that name, in any case. Raises OptionError."""
    try:
        return Severity[text.upper()]
    except KeyError:
        raise OptionError(f"{text!r} is not a severity: expected trace, debug, info, warn, error or fatal") from None


def parse_kinds(texts: Sequence[str]) -> tuple[str, ...]:
    """The kinds of these names. Raises OptionError."""
    for text in texts:
        if text not in list(Kind):
            raise OptionError(f"{text!r} is not a kind: expected {', '.join(Kind)}")
    return tuple(texts)
