"""Which events a command is about: what its options name and its FILTER says, as one tree of the filter language.

The law: one notion of selecting. `selecting` gives a command the options that all share, and hands it the tree.
"""

import inspect
import time
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, Final

import typer

from whence.filter.selection import OPTIONS as SELECTING
from whence.filter.selection import OptionError, selection
from whence.filter.tree import Filter

FilterArgument = Annotated[
    str | None,
    typer.Argument(metavar="FILTER", help="Only what this expression of the filter language lets through."),
]
WhereOption = Annotated[
    str | None,
    typer.Option("--where", metavar="FILTER", help="Only what this expression of the filter language lets through."),
]
OPTIONS: Final[dict[str, Any]] = {
    name: Annotated[
        list[str] | None if option.many else str | None, typer.Option(metavar=option.value, help=option.help)
    ]
    for name, option in SELECTING.items()
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
            return command(wanted=_selected(named), **given)

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


def _selected(named: dict[str, Any]) -> Filter:
    try:
        return selection(**named, now=time.time_ns())
    except OptionError as fault:
        raise typer.BadParameter(str(fault)) from None
