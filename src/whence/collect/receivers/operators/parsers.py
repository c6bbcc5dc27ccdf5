"""Operators that read text: JSON objects, regular expressions, times, severities, ids of traces, names of scopes.

The law: pure. Source: pkg/stanza/docs/operators and pkg/stanza/docs/types.
"""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import BeforeValidator, model_validator

from whence.collect.receivers.operators import entry as entries
from whence.collect.receivers.operators.entry import MISSING, Entry, Path, Unfit
from whence.collect.receivers.operators.layouts import Reading, reading_of
from whence.collect.receivers.operators.operator import Operator
from whence.collect.receivers.operators.severities import name_of, severities
from whence.collect.records.patterns import pattern
from whence.collect.settings import Settings, noted
from whence.event.misfits import Misfit

_HEX: Final = re.compile("[0-9a-f]+")
_BODY: Final = Path("body", ())
_IDS: Final = {"trace_id": 32, "span_id": 16}


class Severity(Settings):
    """A severity that stands in a field."""

    parse_from: entries.Field
    preset: Literal["default", "otel", "aliases", "none"] = "default"
    mapping: Mapping[str, Any] = {}
    overwrite_text: bool = False

    @model_validator(mode="after")
    def _known(self) -> "Severity":
        try:
            severities(self.preset, self.mapping)
        except ValueError as cause:
            raise Misfit(f"mapping: expected {cause}") from None
        return self

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return severities(self.preset, self.mapping)

    def read(self, entry: Entry, now: int) -> None:
        """Set it. Raises Unfit."""
        value = self.parse_from.get(entry)
        if value is MISSING:
            raise Unfit("there is no severity where it should stand")
        text = value if isinstance(value, str) else orjson.dumps(value).decode()
        entry.severity = self._numbers.get(text.lower(), 0)
        entry.severity_text = name_of(entry.severity) if self.overwrite_text else text


class Timestamp(Settings):
    """A time that stands in a field."""

    parse_from: entries.Field
    layout: str
    layout_type: Literal["strptime", "gotime", "epoch"] = "strptime"
    location: str | None = None

    @model_validator(mode="after")
    def _known(self) -> "Timestamp":
        try:
            reading_of(self.layout_type, self.layout, self.location)
        except ValueError as cause:
            raise Misfit(f"expected {cause}") from None
        return self

    @cached_property
    def _reading(self) -> Reading:
        return reading_of(self.layout_type, self.layout, self.location)

    def read(self, entry: Entry, now: int) -> None:
        """Set it. Raises Unfit."""
        value = self.parse_from.get(entry)
        if value is MISSING:
            raise Unfit("there is no time where it should stand")
        entry.time = self._reading(value, now)


class Place(Settings):
    """Where something stands."""

    parse_from: entries.Field


class Trace(Settings):
    """Ids that stand in fields; one that is missing is left out."""

    trace_id: Place = Place(parse_from=Path("body", ("trace_id",)))
    span_id: Place = Place(parse_from=Path("body", ("span_id",)))
    trace_flags: Place = Place(parse_from=Path("body", ("trace_flags",)))

    def read(self, entry: Entry, now: int) -> None:
        """Set them. Raises Unfit."""
        for name, digits in _IDS.items():
            value = getattr(self, name).parse_from.get(entry)
            text = str(value).lower().removeprefix("0x")
            if value is MISSING or not text.strip("0"):
                continue
            if not _HEX.fullmatch(text) or len(text) > digits:
                raise Unfit(f"{str(value)[:50]!r} is no {name}")
            setattr(entry, name, text.rjust(digits, "0"))
        flags = self.trace_flags.parse_from.get(entry)
        if flags is not MISSING:
            try:
                entry.flags = int(str(flags), 16) & 0xFF
            except ValueError:
                raise Unfit(f"{str(flags)[:50]!r} are no trace flags") from None


class Scope(Settings):
    """A scope's name that stands in a field."""

    parse_from: entries.Field

    def read(self, entry: Entry, now: int) -> None:
        """Set it. Raises Unfit."""
        value = self.parse_from.get(entry)
        if not isinstance(value, str):
            raise Unfit("there is no text where the scope's name should stand")
        entry.scope = value


class _Parser(Operator):
    parse_from: entries.Field = _BODY
    parse_to: entries.Field = Path("attributes", ())
    body: entries.Field | None = None
    timestamp: Timestamp | None = None
    severity: Severity | None = None
    trace: Trace | None = None
    scope_name: Scope | None = None

    def parse(self, value: Any) -> dict[str, Any]:
        """The map that a value is. Raises Unfit."""
        raise NotImplementedError

    def apply(self, entry: Entry, now: int) -> None:
        """Parse, then what is wanted besides, each whether or not the others can be read. Raises Unfit."""
        value = self.parse_from.get(entry)
        if value is MISSING:
            raise Unfit("there is nothing where it should be parsed")
        self.parse_to.put(entry, self.parse(value))
        troubles: list[str] = []
        for more in (self.timestamp, self.severity, self.trace, self.scope_name):
            try:
                if more is not None:
                    more.read(entry, now)
            except Unfit as cause:
                troubles.append(str(cause))
        if self.body is not None and (found := self.body.take(entry)) is not MISSING:
            entry.body = found
        if troubles:
            raise Unfit("; ".join(troubles))


class JSONParser(_Parser):
    """A text that is a JSON object."""

    type: Literal["json_parser"]
    parse_ints: bool = noted(True, "whole numbers are always kept whole")

    def parse(self, value: Any) -> dict[str, Any]:
        """The object. Raises Unfit."""
        if not isinstance(value, (str, bytes)):
            raise Unfit(f"expected text, not {type(value).__name__}")
        try:
            found = orjson.loads(value)
        except orjson.JSONDecodeError as cause:
            raise Unfit(f"no JSON: {cause}") from None
        if not isinstance(found, dict):
            raise Unfit("no JSON object")
        return found


def _expression(value: Any) -> str:
    try:
        found = pattern(str(value))
    except ValueError as cause:
        raise Misfit(str(cause)) from None
    if not found.groupindex:
        raise Misfit("expected a regular expression with named groups, such as ^(?P<level>[A-Z]+) (?P<message>.*)$")
    return str(value)


class RegexParser(_Parser):
    """A text in which a regular expression (RE2, as Go's) is found; its named groups are the fields."""

    type: Literal["regex_parser"]
    regex: Annotated[str, BeforeValidator(_expression)]
    cache: Any = noted(None, "nothing is cached: matching takes little time")

    def parse(self, value: Any) -> dict[str, Any]:
        """The groups; one that took no part is empty. Raises Unfit."""
        if not isinstance(value, str):
            raise Unfit(f"expected text, not {type(value).__name__}")
        found = self._searched.search(value)
        if found is None:
            raise Unfit(f"the regular expression is not found in {value[:50]!r}")
        return {name: found.group(name) or "" for name in self._searched.groupindex}

    @cached_property
    def _searched(self) -> Any:
        return pattern(self.regex)


class TimeParser(Operator, Timestamp):
    """A time of its own."""

    type: Literal["time_parser"]
    apply = Timestamp.read


class SeverityParser(Operator, Severity):
    """A severity of its own."""

    type: Literal["severity_parser"]
    apply = Severity.read


class TraceParser(Operator, Trace):
    """Ids of their own."""

    type: Literal["trace_parser"]
    apply = Trace.read


class ScopeNameParser(Operator, Scope):
    """A scope's name of its own."""

    type: Literal["scope_name_parser"]
    apply = Scope.read
