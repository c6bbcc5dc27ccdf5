"""Records asked by a filter of whence's language: each decoded once, as readers of the archive will see it.

The law: pure; `now` is given. A record is asked as one event: a span without its span events.
"""

from collections.abc import Callable, Iterator

from whence.collect.records.draft import Json
from whence.event.model import Event
from whence.filter.match import Matcher, matcher
from whence.filter.parse import parse
from whence.filter.tree import Filter
from whence.otlp.decode import Place, decode_each

_SECOND = 1_000_000_000
_THEN = (0, 1 << 60)
"""Two times: a filter that is another at each says `now`."""


def asked(text: str, now: Callable[[], int]) -> Callable[[], Matcher]:
    """What gives the filter as a test of an event; `now-5m` counts from when it is given, to the second.

    Raises FilterError for what is no filter, and for causal conditions, which only a whole archive can answer.
    """
    fixed = matcher(parse(text, now=_THEN[0]))
    if always(text) is not None:
        return lambda: fixed
    kept: tuple[int, Matcher] = (-1, fixed)

    def give() -> Matcher:
        nonlocal kept
        second, test = kept
        if second != (time := now()) // _SECOND:
            test = matcher(parse(text, now=time))
            kept = time // _SECOND, test
        return test

    return give


def always(text: str) -> Filter | None:
    """The filter where it is the same at any time. Raises FilterError for what is none."""
    tree = parse(text, now=_THEN[0])
    return tree if tree == parse(text, now=_THEN[1]) else None


def first_events(tree: Json, origin: str) -> Iterator[Event | None]:
    """The event of each log record or span, in the tree's order; None of one that cannot be read.

    `origin` names where the tree came from, for the ids of log records that have none of their own.
    """
    for found in decode_each(tree, Place(origin, 0), []):
        yield found[0] if found else None
