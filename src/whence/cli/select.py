"""Which events a command is about: what its options name and its FILTER says, as one tree of the filter language.

The law: one notion of selecting. `selecting` gives a command the options that all share, and hands it the tree.
"""

import inspect
import time
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Annotated, Any, Final

import typer

from whence.cli.options import RunOption, parse_kinds, parse_moment, parse_severity, parse_turns
from whence.filter.limits import INTEGERS
from whence.filter.tree import Among, Both, Compare, Either, Everything, Filter, Like, Literal_, Operator, Path

FilterArgument = Annotated[
    str | None,
    typer.Argument(metavar="FILTER", help="Only what this expression of the filter language lets through."),
]
WhereOption = Annotated[
    str | None,
    typer.Option("--where", metavar="FILTER", help="Only what this expression of the filter language lets through."),
]
_Text = str | None
_Texts = list[str] | None
OPTIONS: Final[dict[str, Any]] = {
    "run": RunOption,
    "type": Annotated[
        _Texts, typer.Option(metavar="PATTERN", help="Types that match, such as `task.*`; may be given again.")
    ],
    "kind": Annotated[_Texts, typer.Option(metavar="KIND", help="milestone, decision, action, state, detail, system.")],
    "agent": Annotated[_Texts, typer.Option(metavar="ID", help="Of this agent; may be given again.")],
    "task": Annotated[_Texts, typer.Option(metavar="ID", help="Of this task; may be given again.")],
    "correlation": Annotated[_Texts, typer.Option(metavar="ID", help="Of this correlation; may be given again.")],
    "turn": Annotated[_Text, typer.Option(metavar="A..B", help="A turn, or from one to another.")],
    "severity": Annotated[
        _Text, typer.Option(metavar="LEVEL", help="At least trace, debug, info, warn, error or fatal.")
    ],
    "trace": Annotated[_Text, typer.Option(metavar="ID", help="Only this trace.")],
    "since": Annotated[_Text, typer.Option(metavar="TIME", help="Not before this time, or 5m ago.")],
    "until": Annotated[_Text, typer.Option(metavar="TIME", help="Not after this time.")],
}
"""The options that select events, by the names of `selection`'s parameters."""


def selecting(*, filter: Any = FilterArgument) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Gives a command, in the place of its parameter `wanted`, the options that select events, and it the tree they mean.

    `filter`: how the command takes its filter, as an argument or as an option.
    """
    shared = {"filter": filter, **OPTIONS}

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def with_selection(**given: Any) -> Any:
            named = {name: given.pop(name) for name in shared if name in given}
            return command(wanted=selection(**named, now=time.time_ns()), **given)

        own = list(inspect.signature(command).parameters.values())
        place = next(n for n, parameter in enumerate(own) if parameter.name == "wanted")
        more = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in shared]
        keyword_only = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        found = [*keyword_only[:place], *more, *keyword_only[place + 1 :]]
        hints = {name: hint for name, hint in inspect.get_annotations(command).items() if name != "wanted"} | shared
        with_selection.__annotations__ = hints
        with_selection.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [parameter.replace(annotation=hints[parameter.name]) for parameter in found]
        )
        return with_selection

    return decorate


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
    now: int,
) -> Filter:
    """The tree that these options and this filter mean together; `now` in nanoseconds since the epoch.

    Raises BadParameter and FilterError.
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
        raise typer.BadParameter(f"{text!r} is no text in UTF-8.") from None
    return text
