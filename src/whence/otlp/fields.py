"""An event's fields out of a record's attributes, by the one table of names.

The law: a value of a type that its field does not have stays among the attributes, where it can be seen.
"""

from typing import Any, Final

from whence.event import names
from whence.event.kinds import Severity
from whence.otlp.value import INT_MAX, INT_MIN

TEXTS: Final = {
    names.KIND: "kind",
    names.RUN: "run",
    names.AGENT: "agent",
    names.TASK: "task",
    names.STAGE: "stage",
    names.STATUS: "status",
    names.SOURCE: "source",
    names.CORRELATION: "correlation",
    names.SCHEMA: "schema",
}
WHOLES: Final = {names.SEQ: "seq", names.ELAPSED: "elapsed_ns", names.TURN: "turn"}
_OTHERS: Final = frozenset(other for others in names.ALTERNATIVES.values() for other in others)
_ALL: Final = frozenset({*TEXTS, *WHOLES, names.CAUSED_BY, names.PAYLOAD, *_OTHERS})

SEVERITY_NAMES: Final = {
    **Severity.__members__,
    "NOTICE": Severity.INFO2,
    "WARNING": Severity.WARN,
    "CRITICAL": Severity.FATAL,
}
"""Severities by name, in upper case."""


def lift(found: dict[str, Any], facts: dict[str, Any]) -> None:
    """Move the attributes that are an event's fields from `found` to `facts`.

    What other conventions call the same fills a field that is still empty, and stays an attribute as well.
    """
    present = found.keys() & _ALL
    if not present:
        return
    for name in present:
        value = found[name]
        if name in TEXTS:
            if type(value) is str or value is None or type(value) in (int, float):
                del found[name]
                if value is not None:
                    facts[TEXTS[name]] = str(value)
        elif name in WHOLES:
            if type(value) is int and INT_MIN <= value <= INT_MAX:
                del found[name]
                facts[WHOLES[name]] = value
        elif name == names.CAUSED_BY:
            del found[name]
            causes = value if type(value) is list else [] if value is None else [value]
            facts["caused_by"] = tuple(dict.fromkeys(str(cause) for cause in causes))
        elif name == names.PAYLOAD:
            del found[name]
            if value is not None:
                facts["payload"] = value if type(value) is dict else {"value": value}
    if not present.isdisjoint(_OTHERS):
        _fill(found, facts)


def _fill(found: dict[str, Any], facts: dict[str, Any]) -> None:
    for name, others in names.ALTERNATIVES.items():
        for other in others:
            value = found.get(other)
            if TEXTS[name] not in facts and type(value) in (str, int, float):
                facts[TEXTS[name]] = str(value)


def severity_named(text: Any) -> Severity | None:
    """The severity that a record without a number gives by name: OpenTelemetry's short names, and logging libraries'."""
    return SEVERITY_NAMES.get(text.upper()) if isinstance(text, str) else None
