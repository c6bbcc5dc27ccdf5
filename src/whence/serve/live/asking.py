"""What somebody who wants to be told asks for: which events, from which place on, and how patiently.

The law: what may not be seen is kept out here, before anything is read; a place that is none is refused.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated, NamedTuple

from fastapi import Depends, Header, Query
from starlette.requests import HTTPConnection

from whence.errors import DataError
from whence.filter.match import matcher
from whence.filter.selection import parse_moment
from whence.filter.tree import Filter
from whence.index.since import lines_since
from whence.serve.access.caller import shown_to
from whence.serve.access.tokens import Access, Unauthenticated
from whence.serve.door import Asking, Here
from whence.serve.gate import token_of
from whence.serve.live.cursor import parse_cursor
from whence.serve.live.listener import Giving, Listener
from whence.serve.live.past import NOW, Start
from whence.serve.live.subscriber import Terms, View
from whence.serve.live.telling import Terms as Telling
from whence.serve.problems import Refusal


def starting(
    *,
    here: Here,
    cursor: Annotated[str | None, Query(description="Go on behind this place: the id of a message.")] = None,
    last_event_id: Annotated[
        str | None, Header(description="The same, as browsers send it when they connect again; it counts first.")
    ] = None,
    since: Annotated[
        str | None,
        Query(description="Begin with what is there since this time, or 5m ago; else with what comes. (TIME)"),
    ] = None,
) -> Start:
    """Where to begin. Raises Refusal."""
    place = last_event_id or cursor
    try:
        if place:
            return Start(parse_cursor(place))
    except DataError as fault:
        raise Refusal(422, str(fault)) from None
    return start_since(here, parse_moment(since, here.served.clock())) if since else NOW


def start_since(here: Asking, time: int) -> Start:
    """Where to begin with what is there since a time; the index says how much need not be read, once there is one."""
    engine = here.engine
    return Start(since=time, lines=lines_since(engine.blocks(), time) if engine.is_ready else {})


Starting = Annotated[Start, Depends(starting)]


def buffering(
    here: Here,
    buffer: Annotated[
        int | None, Query(ge=1, description="How many events may wait while they come faster than they are taken.")
    ] = None,
) -> Terms:
    """How much may wait, and how long a subscriber may be slow. Raises Refusal."""
    stream = here.settings.stream
    if buffer is not None and buffer > stream.buffer:
        raise Refusal(422, f"cannot hold {buffer:,} events for a subscriber: at most {stream.buffer:,}; ask for fewer")
    return Terms(buffer or stream.buffer, stream.back_pressure, stream.slow_timeout)


class Wish(NamedTuple):
    """What somebody wants to be told."""

    here: Asking
    start: Start
    terms: Terms
    telling: Telling
    giving: Giving | None = None
    """Who tells it; None: the archive's feed."""

    def listener(self, wanted: Filter) -> Listener:
        """A place among the subscribers. Raises StreamError where there is none, FilterError for what only an archive knows."""
        return Listener(self.giving or self.here.served.feed, view_of(self.here, wanted), self.start, self.terms)


def wish(connection: HTTPConnection, here: Here, start: Starting, terms: Annotated[Terms, Depends(buffering)]) -> Wish:
    """The wish of a request or of a WebSocket."""
    telling = Telling(here.settings.stream.heartbeat, refusing(connection, here), here.served.clock)
    return Wish(here, start, terms, telling)


Wished = Annotated[Wish, Depends(wish)]


def view_of(here: Asking, wanted: Filter) -> View:
    """What is asked for of what the caller may see, as they may see it. Raises FilterError."""
    tree, mask = here.visible(wanted), here.caller.mask
    return View((tree, mask), matcher(tree), None if mask is None else partial(shown_to, here.caller), tree)


def refusing(connection: HTTPConnection, here: Asking) -> Callable[[], str | None]:
    """Says why a caller may not be told any more, if so."""
    return partial(_refused, connection.app.state.access, here, token_of(connection.headers))


def _refused(access: Access, here: Asking, token: str | None) -> str | None:
    """Why a caller may not go on, if so: the token ended, or opens something else by now."""
    try:
        now = access.caller_of(token)
    except Unauthenticated as cause:
        return str(cause)
    return None if now == here.caller else "what the token may see has changed: connect again"
