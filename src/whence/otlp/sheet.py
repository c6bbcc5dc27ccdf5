"""Records of a request as lines of the archive: shared out over lines with their resource and scope, or counted as rejected.

The law: pure arithmetic on text that is already written; no record is looked into.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from whence.otlp.limits import Limits
from whence.otlp.page import Line, Shape

NOUNS: Final = {"logRecords": "log record", "spans": "span", "metrics": "data point"}
"""What is counted, by the name of the list of records."""
_REPEATED: Final = 4
"""What stands around records is repeated in the next line only after records of a fourth of its size: however large a resource
is, a request's lines are a few times its size. Where it would be more, a line grows beyond its limits instead."""


class Lines(NamedTuple):
    """What became of a request."""

    lines: list[Line]
    rejected: int = 0
    """Log records, spans or data points that are in none of the lines."""
    message: str = ""
    """Why, in English; empty where none is rejected."""


class Ends(NamedTuple):
    """What stands before and after what a resource or scope holds."""

    head: bytes
    tail: bytes


def ends(around: tuple[str, str]) -> Ends:
    """The ends of a list whose object has this text around it."""
    head, tail = around
    return Ends(f"{head}[".encode(), f"]{tail}".encode())


def lines_with(what: str, lines: list[Line], rejected: Mapping[str, int]) -> Lines:
    """Lines, and what was rejected: so many of `what` for each reason."""
    count = sum(rejected.values())
    if not count:
        return Lines(lines)
    why = "; ".join(f"{count} {reason}" for reason, count in rejected.items())
    return Lines(lines, count, f"{count} {what}{' was' if count == 1 else 's were'} not stored: {why}")


class Sheet:
    """Takes the records of one request in their order, and closes a line where it is full."""

    def __init__(self, shape: Shape, limits: Limits) -> None:
        self._limits = limits
        self._what = NOUNS[shape.records]
        self._frame = Ends(b'{"%b":[' % shape.resources.encode(), b"]}\n")
        self._lines: list[Line] = []
        self._reasons: Counter[str] = Counter()
        self._resource = self._scope = Ends(b"", b"")
        self._clear()

    def _clear(self) -> None:
        self._resources: list[tuple[Ends, list[tuple[Ends, list[bytes]]]]] = []
        self._records: list[bytes] | None = None
        """Where the records of the present scope go; none while the line does not name it."""
        self._named = False
        """Whether the line has the present resource."""
        self._size = len(self._frame.head) + len(self._frame.tail)
        self._due = 0
        """Bytes of records that must follow the present resource and scope before they are worth writing once more."""
        self._count = self._first = self._last = 0

    def resource(self, resource: Ends) -> None:
        """What comes next is of this resource."""
        self._resource, self._records, self._named, self._due = resource, None, False, 0

    def scope(self, scope: Ends) -> None:
        """What comes next is of this scope."""
        self._scope, self._records = scope, None

    def add(self, data: bytes, first: int, last: int, records: int = 1) -> None:
        """The JSON of one record, or of `records` that stay together; their least and greatest time, 0 for none."""
        size = len(data) + 1
        limits = self._limits
        full = (
            self._count + records > limits.records_per_line or self._size + size + self._missing() > limits.line_bytes
        )
        if full and self._count and self._due <= 0:
            self._close()
        self._put([data], size)
        self._count += records
        self._span((first, last))

    def add_all(self, data: list[bytes], times: list[int]) -> None:
        """The JSON of records of the present scope, and the time of each: as many as a line holds at once."""
        limits = self._limits
        start = 0
        while start < len(data):
            until = start + max(1, limits.records_per_line - self._count)
            chunk = data[start:until]
            size = sum(map(len, chunk)) + len(chunk)
            if self._count < limits.records_per_line and self._size + self._missing() + size <= limits.line_bytes:
                self._put(chunk, size)
                self._count += len(chunk)
                self._span(times[start:until])
            else:
                for one, time in zip(chunk, times[start:until], strict=True):
                    self.add(one, time, time)
            start = until

    def add_points(self, around: Ends, points: Iterable[tuple[bytes, int]]) -> None:
        """The JSON and time of each data point of a metric; one too long for a line is written as several of its name."""
        most = self._limits.records_per_line
        room = self._limits.line_bytes - sum(len(text) for ends in self._alone(around) for text in ends)
        least = (len(around.head) + len(around.tail)) // _REPEATED
        data: list[bytes] = []
        times: list[int] = []
        size = 0
        for point, time in points:
            if size > least and (len(data) >= most or size + len(point) > room):
                self._add_metric(around, data, times)
                data, times, size = [], [], 0
            data.append(point)
            times.append(time)
            size += len(point) + 1
        if data:
            self._add_metric(around, data, times)

    def _alone(self, around: Ends) -> Iterable[Ends]:
        """All that a line has beside the points of one metric where it holds nothing else, and two commas."""
        return self._frame, self._resource, self._scope, around, Ends(b",", b",")

    def _add_metric(self, around: Ends, points: list[bytes], times: list[int]) -> None:
        known = [time for time in times if time] or [0]
        self.add(around.head + b",".join(points) + around.tail, min(known), max(known), len(points))

    def reject(self, reason: str, records: int = 1) -> None:
        """So many records are not stored; `reason` is one of a few constant phrases."""
        if records:
            self._reasons[reason] += records

    def finish(self) -> Lines:
        """All the lines, the last one closed, and what was rejected."""
        if self._count:
            self._close()
        return lines_with(self._what, self._lines, self._reasons)

    def has_rejected(self, reason: str) -> bool:
        """Whether a record was rejected for this."""
        return reason in self._reasons

    def _missing(self) -> int:
        """Bytes that the present scope and resource add to the line, at most, where it has them not yet."""
        if self._records is not None:
            return 0
        size = len(self._scope.head) + len(self._scope.tail) + 1
        return size if self._named else size + len(self._resource.head) + len(self._resource.tail) + 1

    def _put(self, data: list[bytes], size: int) -> None:
        """Put records into the present line, which may not name their scope yet."""
        records = self._records
        if records is None:
            around = self._missing()
            self._size += around
            self._due = max(self._due, 0) + around // _REPEATED
            if not self._named:
                self._resources.append((self._resource, []))
                self._named = True
            records = self._records = []
            self._resources[-1][1].append((self._scope, records))
        records += data
        self._size += size
        self._due -= size

    def _span(self, times: Sequence[int]) -> None:
        """The line holds records of these times."""
        first = min(filter(None, times), default=0)
        if first and (first < self._first or not self._first):
            self._first = first
        self._last = max(self._last, *times)

    def _close(self) -> None:
        inside = b",".join(
            [
                of.head + b",".join([scope.head + b",".join(data) + scope.tail for scope, data in scopes]) + of.tail
                for of, scopes in self._resources
            ]
        )
        data = self._frame.head + inside + self._frame.tail
        self._lines.append(Line(data, self._count, self._first, self._last))
        self._clear()
