"""The operators there are, and an entry's way through them.

The law: pure. An operator that is not here is refused by name, with what to use instead.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Discriminator

from whence.collect.receivers.operators.entry import Dropped, Entry, Unfit
from whence.collect.receivers.operators.fields import Add, Copy, Filter, Flatten, Move, Noop, Remove, Retain
from whence.collect.receivers.operators.parsers import (
    JSONParser,
    RegexParser,
    ScopeNameParser,
    SeverityParser,
    TimeParser,
    TraceParser,
)
from whence.event.misfits import Misfit, nearest

OPERATORS: Final = (
    "json_parser", "regex_parser", "time_parser", "severity_parser", "trace_parser", "scope_name_parser", "move", "copy", "add",
    "remove", "retain", "flatten", "filter", "noop",
)  # fmt: skip
_PROCESSORS: Final = "use the processors filter, transform and attributes behind the receiver"
_INSTEAD: Final = {
    **dict.fromkeys(("router", "assign_keys", "unquote", "regex_replace"), _PROCESSORS),
    **dict.fromkeys(
        ("key_value_parser", "csv_parser", "uri_parser", "syslog_parser", "xml_parser", "json_array_parser"),
        "let the program write JSON lines, or take the text apart with regex_parser",
    ),
    "recombine": "use multiline with line_start_pattern or line_end_pattern of the receiver",
    "container": "run an OpenTelemetry Collector with it that sends to whence by OTLP",
}


def _known(value: Any) -> Any:
    """An operator's settings, refused where whence has none of the kind. Raises Misfit."""
    if not isinstance(value, Mapping):
        raise Misfit("expected a map with a type, such as {type: json_parser}")
    kind = value.get("type")
    if kind not in OPERATORS:
        instead = _INSTEAD.get(str(kind), f"there are {', '.join(OPERATORS)}{nearest(str(kind), OPERATORS)}")
        raise Misfit(f"there is no operator {kind} here: {instead}")
    if value.get("output"):
        raise Misfit(f"output is not followed here: every operator's output is the next one; {_PROCESSORS}")
    return {key: inner for key, inner in value.items() if key != "output"}


Step = Annotated[
    JSONParser | RegexParser | TimeParser | SeverityParser | TraceParser | ScopeNameParser
    | Move | Copy | Add | Remove | Retain | Flatten | Filter | Noop,
    Discriminator("type"),
]  # fmt: skip
Operators = tuple[Annotated[Step, BeforeValidator(_known)], ...]


def through(operators: Sequence[Any], entry: Entry, now: int) -> tuple[bool, str | None]:
    """Put an entry through; whether it stays, and what could not be done, to be said, if anything."""
    said: str | None = None
    for one in operators:
        if one.if_ is not None and not one.if_.holds(entry):
            continue
        try:
            one.apply(entry, now)
        except Dropped:
            return False, said
        except Unfit as cause:
            if not one.on_error.endswith("quiet"):
                said = said or f"{one.id or one.type}: {cause}"
            if one.on_error.startswith("drop"):
                return False, said
    return True, said
