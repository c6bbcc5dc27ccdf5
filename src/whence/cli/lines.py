"""How an event is told in one line, and in full.

The law: pure; every recorded text goes through `text.safe` on its way.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from whence.cli.screen import Screen, Style
from whence.cli.text import cut, pad, safe, to_json, width_of
from whence.event import names
from whence.event.flat import format_time, plain
from whence.event.kinds import Severity
from whence.event.model import Event
from whence.event.plain import brief
from whence.index.error_groups import whose
from whence.index.failures import is_error

_MARKS: Final[dict[str, str]] = {
    "milestone": "◆",
    "decision": "◇",
    "action": "▸",
    "state": "=",
    "detail": "·",
    "system": "⚙",
}
_STYLES: Final[dict[str, Style]] = {"milestone": "milestone", "decision": "decision", "state": "state", "detail": "dim"}
_LANE: Final = 16
_TYPE: Final = 24
_CLOCK: Final = len("2026-01-02 03:04:05.000006")
_SHOWN_VALUE: Final = 60
"""Columns of one payload value in a line that tells an event."""


@dataclass(frozen=True, slots=True)
class Row:
    """An event told in one line, but for its time, which depends on what stands beside it."""

    time: int
    id: str
    run: str | None
    elapsed: int | None
    """Nanoseconds since the run's start where the program measured it."""
    text: str


def mark_of(event: Event) -> str:
    """One column for what the event is: its kind, a failure, a span or a plain log line."""
    if is_error(event):
        return "✗"
    if event.kind is not None:
        return _MARKS.get(event.kind, "?")
    return "━" if event.signal == "span" else "·"


def style_of(event: Event) -> Style | None:
    """How the event stands out."""
    if is_error(event):
        return "error"
    if event.severity is not None and event.severity >= Severity.WARN:
        return "warning"
    return _STYLES.get(event.kind or "")


def lane_of(event: Event) -> str:
    """Whose event it is: agent and task, else its stage, its source or its service."""
    return safe(whose(event))


def value_text(value: Any) -> str:
    """A recorded value as people write it: text bare, whole floats without their `.0`, the rest as JSON; cut where long."""
    if isinstance(value, (bool, float)):
        return brief(value)
    return cut(safe(value) if isinstance(value, str) else to_json(plain(value)), _SHOWN_VALUE)


def change_of(payload: Mapping[str, Any]) -> str:
    """What an event changed, `price 3 -> 5`, from `new_value` and `old_value` in its payload (or `new_phase` and the like).

    `price = 5` where there is no old value; empty where there is no new one either.
    """
    what = next((key.removeprefix("new_") for key in payload if key.startswith("new_")), None)
    if what is None:
        return ""
    named = next((payload[key] for key in ("variable_name", "decision_type", "key") if payload.get(key)), None)
    name = value_text(named) if named is not None else "" if what == "value" else safe(what)
    old, new = payload.get(f"old_{what}"), value_text(payload[f"new_{what}"])
    change = f"= {new}" if old is None else f"{value_text(old)} -> {new}"
    return f"{name} {change}".strip()


def story_of(event: Event) -> str:
    """What happened, in words: the description, what changed, how long it took, what failed; else the payload."""
    payload = event.payload
    said = safe(event.description or "").removeprefix(f"{lane_of(event)}: ")  # the lane stands beside it already
    change = change_of(payload)
    if change and change not in said:
        said = f"{said} ({change})" if said else change
    if not said:
        said = " ".join(f"{safe(key)}={value_text(value)}" for key, value in payload.items() if value is not None)
    failed = event.attributes.get(names.EXCEPTION_MESSAGE) or event.attributes.get(names.SPAN_STATUS_MESSAGE)
    if isinstance(failed, str) and safe(failed) not in said:
        said = f"{said} {safe(failed)}".strip()
    if event.duration_ns is not None:
        said = f"{said} took {duration_text(event.duration_ns)}".strip()
    return said


def row_of(event: Event, screen: Screen) -> Row:
    """The event's mark, lane, type, story and number of recorded causes, before its time is known."""
    kind = screen.paint(mark_of(event), style_of(event))
    lane = screen.paint(pad(lane_of(event), _LANE), "lane")
    type = screen.paint(pad_type(event), style_of(event))
    causes = f"  ←{len(event.caused_by)}" if event.caused_by else ""
    story = story_of(event)
    if screen.width is not None:
        taken = 18 + 2 + _LANE + 1 + max(_TYPE, width_of(safe(event.type))) + 1 + len(causes)
        story = cut(story, max(screen.width - taken, 10))
    return Row(event.time, event.id, event.run, event.elapsed_ns, f"{kind} {lane} {type} {story}{causes}".rstrip())


def pad_type(event: Event) -> str:
    """The type, never cut, since it is what people search for."""
    type = safe(event.type) or f"({event.signal})"
    return type + " " * (_TYPE - width_of(type))


def elapsed_text(ns: int) -> str:
    """Time since a run's start: `+1.204567s`, from a minute on `+2:03.456789`, from an hour on `+1:02:03.456789`."""
    sign = "-" if ns < 0 else "+"
    seconds, rest = divmod(abs(ns) // 1000, 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{sign}{hours}:{minutes:02d}:{seconds:02d}.{rest:06d}"
    return f"{sign}{minutes}:{seconds:02d}.{rest:06d}" if minutes else f"{sign}{seconds}.{rest:06d}s"


def duration_text(ns: int) -> str:
    """A duration in the unit that suits it: `17 us`, `4.2 ms`, `3.10 s`, `2 min 5 s`, `3 h 4 min`."""
    if ns < 1_000_000:
        return f"{ns / 1000:.3g} us"
    if ns < 1_000_000_000:
        return f"{ns / 1e6:.3g} ms"
    seconds = ns / 1e9
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def clock_text(ns: int) -> str:
    """A moment in UTC to the microsecond: `2026-01-02 03:04:05.000006`."""
    text = format_time(ns)
    return text[:26].replace("T", " ") if text.endswith("Z") else text


class Origins:
    """When each run began, as far as its events tell, so that all of them can be shown by time elapsed."""

    def __init__(self, known: Mapping[str | None, tuple[int | None, int | None]] | None = None) -> None:
        """`known`: a run: when it began as its events say exactly, and the first of its events that do not."""
        known = known or {}
        self._said = {run: said for run, (said, _) in known.items() if said is not None}
        self._least = {run: least for run, (_, least) in known.items() if least is not None}

    def note(self, event: Event) -> None:
        """Take in one event: one with an elapsed time says exactly when its run began, others only that it had."""
        if event.elapsed_ns is not None:
            start = event.time - event.elapsed_ns
            self._said[event.run] = min(self._said.get(event.run, start), start)
        else:
            self._least[event.run] = min(self._least.get(event.run, event.time), event.time)

    def start(self, run: str | None) -> int | None:
        """When the run began, in nanoseconds since the epoch; None of a run that no event was noted of."""
        return self._said.get(run, self._least.get(run))

    def elapsed(self, run: str | None, time: int, measured: int | None) -> int:
        """Nanoseconds from the run's start: what the program measured, else by the clock."""
        if measured is not None:
            return measured
        start = self.start(run)
        return time - (time if start is None else start)


Tell = Callable[[Event], Row]


class Times(NamedTuple):
    """How the times of many events are told: `origins` where all are of one run, so that they are elapsed since it began;
    None: by the clock. `reach`: the least and the greatest time elapsed, in ns."""

    origins: Origins | None = None
    reach: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, rows: Sequence[Row], origins: Origins) -> "Times":
        """For these rows."""
        if len({row.run for row in rows}) != 1:
            return cls()
        elapsed = [origins.elapsed(row.run, row.time, row.elapsed) for row in rows]
        return cls(origins, (min(elapsed), max(elapsed)))

    def text(self, row: Row) -> str:
        """The time of one."""
        if self.origins is None:
            return clock_text(row.time)
        return elapsed_text(self.origins.elapsed(row.run, row.time, row.elapsed))

    def width(self) -> int:
        """How wide their texts are."""
        return _CLOCK if self.origins is None else max(len(elapsed_text(ns)) for ns in self.reach)


@dataclass(frozen=True, slots=True)
class Told:
    """Events told in lines, by time and then id, which may come one by one; `times` is asked once they are to be shown."""

    rows: Iterable[Row]
    times: Callable[[], Times]

    @classmethod
    def of(cls, rows: Sequence[Row], origins: Origins) -> "Told":
        """Rows that are all there."""
        return cls(rows, lambda: Times.of(rows, origins))

    def lines(self, screen: Screen) -> Iterator[str]:
        """The rows with their times before them."""
        times = self.times()
        width = times.width()
        return (f"{screen.paint(f'{times.text(row):>{width}}', 'dim')} {row.text}" for row in self.rows)


def whole(event: Event, screen: Screen) -> Iterable[str]:
    """Every field of the event, one a line; texts of many lines indented below their name."""
    fields: list[tuple[str, Any]] = [("id", event.id), ("type", event.type), ("kind", event.kind)]
    fields += [("time", format_time(event.time)), ("run", event.run), ("seq", event.seq)]
    if event.elapsed_ns is not None:
        fields.append(("elapsed", elapsed_text(event.elapsed_ns)))
    if event.duration_ns is not None:
        fields.append(("duration", duration_text(event.duration_ns)))
    fields.append(("severity", event.severity.name if event.severity is not None else None))
    fields += [(name, getattr(event, name)) for name in ("source", "agent", "turn", "task", "stage", "status")]
    fields += [(name, getattr(event, name)) for name in ("correlation", "schema", "trace_id", "span_id")]
    fields += [("parent_span_id", event.parent_span_id), ("dropped", event.dropped or None)]
    fields += [("signal", event.signal), ("description", event.description)]
    yield from _fields(fields, screen, "")
    for name in ("payload", "attributes", "resource", "scope"):
        values = getattr(event, name)
        if values:
            yield screen.paint(name, "strong")
            yield from _fields(values.items(), screen, "  ")


def _fields(fields: Iterable[tuple[str, Any]], screen: Screen, indent: str) -> Iterable[str]:
    for name, value in fields:
        if value is None:
            continue
        label = indent + screen.paint(pad(safe(str(name)), max(14, width_of(safe(str(name))))), "dim")
        if isinstance(value, str) and "\n" in value:
            yield label.rstrip()
            yield from (f"{indent}    {safe(line)}" for line in value.split("\n"))
        else:
            yield f"{label} {safe(value) if isinstance(value, str) else to_json(plain(value))}"
