"""Runs: which there are, with their counts and states, as `whence runs` tells them."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from whence.errors import NotFoundError
from whence.filter.tree import Everything, Filter
from whence.index.histories import RunHistory, State, history_json
from whence.index.live import live_groups, run_state
from whence.index.summaries import histories
from whence.serve.access.caller import Caller
from whence.serve.api.models import RunModel, RunsModel, json_of
from whence.serve.door import Asking, Here, Strict, of_run, tagged
from whence.serve.problems import RESPONSES

router = APIRouter(dependencies=[Strict], responses=RESPONSES, tags=["runs"])


@router.get("/api/runs", summary="Runs, the oldest first", responses=json_of(RunsModel))
@router.get("/simulations", summary="Simulations, the oldest first", responses=json_of(RunsModel))
def runs(
    *,
    here: Here,
    request: Request,
    state: Annotated[
        Literal["running", "finished", "crashed", "unknown"] | None, Query(description="Only those in this state.")
    ] = None,
    newest: Annotated[bool, Query(description="The newest first.")] = False,
    limit: Annotated[int, Query(ge=0, le=100_000, description="At most so many runs.")] = 1_000,
    offset: Annotated[int, Query(ge=0, le=1 << 40, description="Leave out the first so many.")] = 0,
) -> Response:
    """With its name, when it began, its last event so far, how many events and errors it has, and its state.

    running, finished, crashed (it began, has not finished, and nobody is writing it), or unknown (recorded by something other
    than whence, which does not say). A run of which the caller may see no event is not among them.
    """
    found = [one for one in _runs(here, Everything()) if state is None or one["state"] == state]
    if newest:
        found.reverse()
    shown = found[offset : offset + limit]
    return tagged(request, {"runs": shown, "total": len(found), "has_more": len(found) > offset + limit})


@router.get("/api/runs/{run}", summary="One run", responses=json_of(RunModel))
@router.get("/simulations/{run}", summary="One simulation", responses=json_of(RunModel))
def one_run(here: Here, request: Request, run: str) -> Response:
    """The same of one run."""
    found = _runs(here, of_run(run))
    if not found:
        raise NotFoundError(f"cannot find the run {run!r}: no event is of it; see /api/runs")
    return tagged(request, found[0])


def _runs(here: Asking, tree: Filter) -> list[dict[str, Any]]:
    """The runs with events that match and that the caller may see, in JSON, the oldest first."""
    found = sorted(histories(here.engine, here.visible(tree)).values(), key=lambda one: (one.start, one.id or ""))
    live = live_groups(here.engine.archive) if found else set()
    return [_shown(here.caller, one, run_state(one, live)) for one in found]


def _shown(caller: Caller, history: RunHistory, state: State) -> dict[str, Any]:
    told = history_json(history, state)
    if caller.mask is not None:
        told |= {name: caller.mask.text(told[name]) for name in ("run", "name", "status") if name in told}
    return told
