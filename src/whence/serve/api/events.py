"""Events: pages of those that match, and one by its id; over all runs, or of one run or job."""

import time
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from whence.errors import NotFoundError
from whence.event.model import Event
from whence.filter.selection import joined
from whence.filter.tree import Filter
from whence.serve.api.cursor import Cursor, read_cursor
from whence.serve.api.models import EventModel, EventsPage, json_of
from whence.serve.door import Asking, Here, Limited, Selected, Strict, Within, answer, of_job, of_run, tagged
from whence.serve.problems import RESPONSES, Refusal

router = APIRouter(dependencies=[Strict], responses=RESPONSES, tags=["events"])
_PAGE = json_of(EventsPage)


class Page(NamedTuple):
    """Which of the events that match."""

    limit: int
    offset: int
    behind: Cursor | None
    newest: bool
    total: bool


def paging(
    *,
    here: Here,
    limit: Annotated[int, Query(ge=0, description="At most so many events.")] = 100,
    offset: Annotated[
        int, Query(ge=0, le=1 << 40, description="Leave out the first so many; `cursor` is quicker, and stable.")
    ] = 0,
    cursor: Annotated[str | None, Query(description="Those behind a page: its `cursor`.")] = None,
    newest: Annotated[bool, Query(description="The newest first.")] = False,
    total: Annotated[bool, Query(description="Whether to count how many match in all.")] = True,
) -> Page:
    """The page that the parameters mean. Raises Refusal."""
    most = here.settings.most_events
    if limit > most:
        raise Refusal(422, f"cannot give {limit:,} events at once: at most {most:,}; go on with `cursor`")
    behind = read_cursor(cursor) if cursor else None
    if behind is not None and behind.newest != newest:
        raise Refusal(
            422, "cannot use the parameter cursor: it is of the other order; give the same `newest` as before"
        )
    return Page(limit, offset, behind, newest, total)


Paged = Annotated[Page, Depends(paging)]


@router.get("/api/events", summary="Events that match", responses=_PAGE)
def events(here: Here, wanted: Selected, page: Paged, left: Limited) -> Response:
    """Events of all runs, by time and id. The parameters that select are those of `whence log`; all of them must hold."""
    return answer(_answer(here, wanted, page, left).body)


@router.get("/api/runs/{run}/events", summary="Events of a run", responses=_PAGE)
@router.get("/simulations/{run}/events", summary="Events of a simulation", responses=_PAGE)
def events_of_run(*, here: Here, run: str, wanted: Within, page: Paged, left: Limited) -> Response:
    """The same for one run."""
    found = _answer(here, joined([of_run(run), wanted]), page, left)
    if not found.events:
        must_be_there(here, of_run(run), f"the run {run!r}", "/api/runs")
    return answer(found.body)


@router.get("/jobs/{job}/events", summary="Events of a job", responses=_PAGE)
def events_of_job(*, here: Here, job: str, wanted: Within, page: Paged, left: Limited) -> Response:
    """The same for one job: what happened in the run of that id, and what names the job."""
    found = _answer(here, joined([of_job(job), wanted]), page, left)
    if not found.events:
        must_be_there(here, of_job(job), f"the job {job!r}", "/jobs")
    return answer(found.body)


@router.get("/api/events/{id}", summary="One event", response_model=EventModel, responses=json_of(EventModel))
def event(here: Here, request: Request, id: str) -> Response:
    """An event by its id, which for a span is `span:<trace>-<span>`. It never changes: keep it, and ask with its ETag."""
    return tagged(request, here.shown(find(here, id)))


@router.get("/api/runs/{run}/events/{id}", summary="One event of a run", responses=json_of(EventModel))
@router.get("/simulations/{run}/events/{id}", summary="One event of a simulation", responses=json_of(EventModel))
def event_of_run(here: Here, request: Request, run: str, id: str) -> Response:
    """The same; it must be an event of this run."""
    return tagged(request, here.shown(find(here, id, run)))


def find(here: Asking, id: str, run: str | None = None) -> Event:
    """The event of this id, if the caller may see it. Raises NotFoundError, the same for one they may not see."""
    found = here.engine.load([id]).get(id)
    if found is None or not here.may_see(found) or (run is not None and found.run != run):
        of = "" if run is None else f" of the run {run!r}"
        raise NotFoundError(f"cannot find the event {id!r}{of}: there is none of that id; ask /api/events for ids")
    return found


def must_be_there(here: Asking, tree: Filter, what: str, listed: str) -> None:
    """Raises NotFoundError where the caller can see nothing of a run or job."""
    where = here.engine.where(here.visible(tree))
    if next(iter(here.engine.events(where, limit=1, timeout=here.settings.request_timeout)), None) is None:
        raise NotFoundError(f"cannot find {what}: no event is of it; see {listed}")


class _Answer(NamedTuple):
    """A page of events: how many are on it, and all that is said of it."""

    events: int
    body: dict[str, Any]


def _answer(here: Asking, wanted: Filter, page: Page, left: float) -> _Answer:
    """One page of the events that are wanted, of those the caller may see."""
    until = time.monotonic() + left
    tree = here.visible(wanted)
    behind = tree if page.behind is None else joined([tree, page.behind.behind()])
    where = here.engine.where(behind)
    found = here.engine.events(where, limit=page.limit + 1, newest=page.newest, timeout=left, skip=page.offset)
    held = list(found)
    shown, partial = held[: page.limit], found.partial
    body: dict[str, Any] = {"events": [here.shown(one) for one in shown]}
    is_last = len(held) <= page.limit and not partial and (held or not page.offset)
    if page.total and is_last and page.behind is None:
        body["total"] = page.offset + len(held)
    elif page.total:
        counted = here.engine.count(here.engine.where(tree), timeout=max(until - time.monotonic(), 0.001))
        body["total"], partial = counted.number, partial or counted.partial
    body["has_more"] = len(held) > page.limit or found.partial
    last = Cursor(shown[-1].time, shown[-1].id, page.newest) if shown else page.behind
    if last is not None:
        body["cursor"] = str(last)
    body["partial"] = partial
    return _Answer(len(shown), body)
