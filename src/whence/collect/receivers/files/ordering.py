"""Which of the files that match are read, where the Collector's `ordering_criteria` say so: the first of each group.

The law: pure.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, model_validator

from whence.collect.receivers.files.look import Seen
from whence.collect.records.patterns import pattern
from whence.collect.settings import Settings
from whence.event.misfits import Misfit

_DIRECTIVE: Final = re.compile("%[LNs]")


def _expression(value: Any) -> str:
    try:
        pattern(str(value))
    except ValueError as cause:
        raise Misfit(str(cause)) from None
    return str(value)


Expression = Annotated[str, BeforeValidator(_expression)]
"""A regular expression that can be used, RE2's as Go's are."""


class SortBy(Settings):
    """One thing to sort by, the first before the second."""

    sort_type: Literal["numeric", "lexicographic", "alphabetical", "timestamp", "mtime"]
    regex_key: str = ""
    ascending: bool = False
    layout: str = ""
    location: str = "UTC"

    @model_validator(mode="after")
    def _whole(self) -> "SortBy":
        if self.sort_type != "mtime" and not self.regex_key:
            raise Misfit("regex_key: expected the name of a group of regex")
        if self.sort_type == "timestamp" and (not self.layout or _DIRECTIVE.search(self.layout)):
            raise Misfit("layout: expected one of strptime without fractions of seconds, such as %Y%m%d%H")
        try:
            ZoneInfo(self.location)
        except (KeyError, ValueError, OSError):
            raise Misfit(f"location: expected one such as Europe/Zurich, not {self.location}") from None
        return self


class OrderingCriteria(Settings):
    """Files whose names `regex` does not match are not read."""

    regex: Expression = ""
    top_n: int = Field(1, ge=1)
    sort_by: tuple[SortBy, ...] = Field(min_length=1)
    group_by: Expression = ""

    @model_validator(mode="after")
    def _named(self) -> "OrderingCriteria":
        groups = pattern(self.regex).groupindex
        for one in self.sort_by:
            if one.sort_type != "mtime" and one.regex_key not in groups:
                raise Misfit(f"sort_by: regex has no group named {one.regex_key}: write (?P<{one.regex_key}>...)")
        return self


def ordered(files: Sequence[Seen], criteria: OrderingCriteria) -> list[Seen]:
    """The first `top_n` of each group, in their order."""
    left = [(seen, Path(seen.path).name) for seen in files]
    for one in reversed(criteria.sort_by):
        keyed = [(key, seen, name) for seen, name in left if (key := _key(one, criteria, seen, name)) is not None]
        keyed.sort(key=lambda found: found[0], reverse=not one.ascending)
        left = [(seen, name) for _, seen, name in keyed]
    counts: dict[Any, int] = {}
    found = []
    for seen, name in left:
        group = _group(criteria, name)
        counts[group] = counts.get(group, 0) + 1
        if counts[group] <= criteria.top_n:
            found.append(seen)
    return found


def _key(one: SortBy, criteria: OrderingCriteria, seen: Seen, name: str) -> Any:
    if one.sort_type == "mtime":
        return seen.changed
    match = pattern(criteria.regex).search(name)
    text = match.group(one.regex_key) if match else None
    if text is None:
        return None
    try:
        return _READ[one.sort_type](text, one)
    except ValueError:
        return None


def _timestamp(text: str, one: SortBy) -> float:
    moment = datetime.strptime(text, one.layout)
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(one.location))).astimezone(UTC).timestamp()


_READ: Final[dict[str, Callable[[str, SortBy], Any]]] = {
    "numeric": lambda text, _: int(text),
    "lexicographic": lambda text, _: text,
    "alphabetical": lambda text, _: text,
    "timestamp": _timestamp,
}


def _group(criteria: OrderingCriteria, name: str) -> Any:
    if not criteria.group_by:
        return None
    match = pattern(criteria.group_by).search(name)
    return tuple(sorted(match.groupdict().items())) or match.group() if match else None
