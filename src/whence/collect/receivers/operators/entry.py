"""A line on its way to a log record, and fields of it by the Collector's paths: `body.a.b`, `attributes["a.b"]`, `resource.x`.

The law: pure; an entry is changed in place and is nobody else's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import BeforeValidator

from whence.otlp.value import any_value

MISSING: Final = object()
_STEP: Final = re.compile(r"""\["([^"\]]+)"\]|\['([^'\]]+)'\]|(?:^|\.)([^.\[\]"']+)""")
_INTS: Final = 1 << 63
_ROOTS: Final = ("body", "attributes", "resource")


class Unfit(ValueError):
    """An entry that an operator cannot do its work on; the text says why."""


class Dropped(Exception):
    """An entry that an operator lets go on purpose."""


@dataclass(slots=True)
class Entry:
    """One record to be."""

    body: Any
    observed: int
    """Nanoseconds since the epoch; so is `time`."""
    attributes: dict[str, Any] = field(default_factory=dict)
    resource: dict[str, Any] = field(default_factory=dict)
    time: int | None = None
    severity: int = 0
    severity_text: str = ""
    trace_id: str = ""
    span_id: str = ""
    flags: int = 0
    scope: str = ""

    def record(self) -> dict[str, Any]:
        """As a LogRecord in canonical OTLP JSON."""
        found: dict[str, Any] = {
            "timeUnixNano": None if self.time is None else str(self.time),
            "observedTimeUnixNano": str(self.observed),
            "severityNumber": self.severity,
            "severityText": self.severity_text,
            "body": None if self.body is None else _value(self.body),
            "attributes": pairs(self.attributes),
            "flags": self.flags,
            "traceId": self.trace_id,
            "spanId": self.span_id,
        }
        return {key: value for key, value in found.items() if value}


def pairs(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Attributes in OTLP's form."""
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Any) -> dict[str, Any]:
    """As `any_value`, in less time for what most values are. Texts are those of JSON and of decoding: UTF-8 holds them."""
    kind = type(value)
    if kind is str:
        return {"stringValue": value}
    if kind is bool:
        return {"boolValue": value}
    if kind is int and -_INTS <= value < _INTS:
        return {"intValue": str(value)}
    return any_value(value)


class Path(NamedTuple):
    """Where in an entry."""

    root: Literal["body", "attributes", "resource"]
    keys: tuple[str, ...]

    def get(self, entry: Entry) -> Any:
        """What stands there, or MISSING."""
        found = getattr(entry, self.root)
        for key in self.keys:
            if not isinstance(found, dict) or key not in found:
                return MISSING
            found = found[key]
        return found

    def put(self, entry: Entry, value: Any) -> None:
        """Set it, with maps on the way made where there are none; a map is merged into what is there. Raises Unfit."""
        if not self.keys:
            self._put_root(entry, value)
            return
        around = getattr(entry, self.root)
        if not isinstance(around, dict):
            around = {}
            setattr(entry, self.root, around)
        for key in self.keys[:-1]:
            inner = around.get(key)
            if not isinstance(inner, dict):
                inner = around[key] = {}
            around = inner
        around[self.keys[-1]] = value

    def _put_root(self, entry: Entry, value: Any) -> None:
        if self.root == "body":
            entry.body = value
        elif isinstance(value, dict):
            getattr(entry, self.root).update(value)
        else:
            raise Unfit(f"{self.root} can only be set to a map")

    def take(self, entry: Entry) -> Any:
        """Remove it; what stood there, or MISSING."""
        found = self.get(entry)
        if found is MISSING:
            return found
        if not self.keys:
            setattr(entry, self.root, None if self.root == "body" else {})
            return found
        around = Path(self.root, self.keys[:-1]).get(entry)
        del around[self.keys[-1]]
        return found


def as_path(value: Any) -> Path:
    """The path that a text says; without a root it is in the body. Raises ValueError."""
    if isinstance(value, Path):
        return value
    if isinstance(value, str) and value:
        steps = ["".join(part or "" for part in found.groups()) for found in _STEP.finditer(value)]
        if "".join(found.group() for found in _STEP.finditer(value)) == value and steps:
            root, *keys = steps if steps[0] in _ROOTS else ["body", *steps]
            return Path(root, tuple(keys))  # type: ignore[arg-type]
    raise ValueError('a field such as body, body.name, attributes.name or attributes["a.b"]')


Field = Annotated[Path, BeforeValidator(as_path)]
