"""Chrome's trace event format, for Perfetto and chrome://tracing: a process a run, a lane an agent, arrows for causes.

Spans are slices, log events instants; an event at an end of an arrow is a slice one nanosecond long, because viewers draw
arrows between slices only. Spans of one agent that overlap without one being inside the other get lanes of their own.
Times count from the first event, since a viewer's numbers cannot hold nanoseconds since 1970.
Memory: about 300 bytes a span and a cause. Source: "Trace Event Format" (Google), sections on complete, instant and flow events.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, NamedTuple

from whence.event.flat import to_flat
from whence.event.model import Event
from whence.export.flat_json import json_bytes
from whence.export.source import Source

_NO_ARGS: Final = ("id", "type", "time", "signal", "duration_ns")


class Spot(NamedTuple):
    """Where something is drawn: process, lane, and nanoseconds since the first event."""

    pid: int
    tid: int
    at: int


class _Length(NamedTuple):
    start: int
    negative_end: int
    id: str

    @property
    def end(self) -> int:
        return -self.negative_end


@dataclass(slots=True)
class Plan:
    """What a first look found out: when it all begins, which ids are named as causes, and on which lane each span goes."""

    begin: int | None = None
    causes: set[str] = field(default_factory=set)
    lanes: dict[str, int] = field(default_factory=dict)
    """Of spans that do not fit on their agent's first lane: which one instead."""


def write_trace(source: Source, out: BinaryIO) -> None:
    """The whole trace as one JSON object, in two looks at the events."""
    plan = _plan(source.events())
    drawn = _Drawing(plan)
    out.write(b'{"displayTimeUnit":"ns","traceEvents":[\n')
    between = b""
    for part in drawn.draw(source.events()):
        out.write(between + json_bytes(part))
        between = b",\n"
    out.write(b'\n],"otherData":' + json_bytes({"begin_ns": str(plan.begin or 0)}) + b"}\n")


def _plan(events: Iterable[Event]) -> Plan:
    plan = Plan()
    spans: dict[tuple[str | None, str | None], list[_Length]] = {}
    for event in events:
        plan.begin = event.time if plan.begin is None else min(plan.begin, event.time)
        plan.causes.update(event.caused_by)
        if event.signal == "span":
            length = _Length(event.time, -event.time - max(event.duration_ns or 0, 1), event.id)
            spans.setdefault((event.run, event.agent), []).append(length)
    for lengths in spans.values():
        plan.lanes |= {id: lane for id, lane in assign_lanes(lengths) if lane}
    return plan


def assign_lanes(lengths: Iterable[tuple[int, int, str]]) -> Iterator[tuple[str, int]]:
    """For each (start, minus its end, id) the least lane on which it stands beside or inside the others there."""
    lanes: list[list[int]] = []
    for start, negative_end, id in sorted(lengths):
        for lane, open_ends in enumerate(lanes):
            while open_ends and open_ends[-1] <= start:
                open_ends.pop()
            if not open_ends or open_ends[-1] >= -negative_end:
                open_ends.append(-negative_end)
                yield id, lane
                break
        else:
            lanes.append([-negative_end])
            yield id, len(lanes) - 1


class _Drawing:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._pids: dict[str | None, int] = {}
        self._tids: dict[tuple[int, str | None, int], int] = {}
        self._spots: dict[str, Spot] = {}
        self._arrows: list[tuple[str, Spot]] = []

    def draw(self, events: Iterable[Event]) -> Iterator[dict[str, Any]]:
        for event in events:
            yield from self._draw_event(event)
        for number, (cause, there) in enumerate(self._arrows, 1):
            here = self._spots.get(cause)
            if here is not None:
                common = {"name": "caused", "cat": "cause", "id": number}
                yield {"ph": "s", **common, **_spot(here)}
                yield {"ph": "f", "bp": "e", **common, **_spot(there)}

    def _draw_event(self, event: Event) -> Iterator[dict[str, Any]]:
        if event.run not in self._pids:
            self._pids[event.run] = len(self._pids) + 1
            yield self._name("process_name", self._pids[event.run], 0, event.run or "no run")
        pid = self._pids[event.run]
        lane = self._plan.lanes.get(event.id, 0)
        key = (pid, event.agent, lane)
        if key not in self._tids:
            self._tids[key] = len(self._tids) + 1
            name = (event.agent or "main") + (f" ({lane + 1})" if lane else "")
            yield self._name("thread_name", pid, self._tids[key], name)
        spot = Spot(pid, self._tids[key], event.time - (self._plan.begin or 0))
        if event.id in self._plan.causes:
            self._spots[event.id] = spot
        self._arrows += [(cause, spot) for cause in event.caused_by]
        args = {name: value for name, value in to_flat(event).items() if name not in _NO_ARGS}
        shown = {"name": event.type or event.description or event.id, "cat": event.kind or event.signal, **_spot(spot)}
        shown["args"] = {"id": event.id, **args}
        if event.signal == "span":
            yield {"ph": "X", "dur": max(event.duration_ns or 0, 1) / 1000, **shown}
        elif event.caused_by or event.id in self._plan.causes:
            yield {"ph": "X", "dur": 0.001, **shown}
        else:
            yield {"ph": "i", "s": "t", **shown}

    @staticmethod
    def _name(what: str, pid: int, tid: int, name: str) -> dict[str, Any]:
        return {"ph": "M", "name": what, "pid": pid, "tid": tid, "args": {"name": name}}


def _spot(spot: Spot) -> dict[str, Any]:
    return {"pid": spot.pid, "tid": spot.tid, "ts": spot.at / 1000}
