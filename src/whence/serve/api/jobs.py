"""Jobs: how each stands, with its stages and gates, from its events."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from whence.errors import NotFoundError
from whence.filter.selection import joined
from whence.filter.tree import Compare, Everything, Filter
from whence.index.jobs import JOB, JOB_EVENTS, Job, job_json, jobs_of
from whence.serve.access.caller import shown_to
from whence.serve.api.models import JobModel, JobsModel, json_of
from whence.serve.door import Asking, Here, Limited, Strict, answer, of_run
from whence.serve.problems import RESPONSES

router = APIRouter(dependencies=[Strict], responses=RESPONSES, tags=["jobs"])


@router.get("/jobs", summary="Jobs, the latest first", responses=json_of(JobsModel))
def jobs(
    *,
    here: Here,
    left: Limited,
    run: Annotated[str | None, Query(description="Only those of this run.")] = None,
    status: Annotated[str | None, Query(description="Only those that stand so, such as `paused`.")] = None,
    limit: Annotated[int, Query(ge=0, le=100_000, description="At most so many jobs.")] = 100,
    offset: Annotated[int, Query(ge=0, le=1 << 40, description="Leave out the first so many.")] = 0,
) -> Response:
    """Every job as its events leave it: its status, stages and gates. One that waits at a gate is `paused`."""
    found, partial = _jobs(here, Everything() if run is None else of_run(run), left)
    wanted = [job for job in found.values() if status is None or job.status == status]
    wanted.sort(key=lambda job: (-job.updated, job.id))
    body = {
        "jobs": [job_json(job) for job in wanted[offset : offset + limit]],
        "total": len(wanted),
        "has_more": len(wanted) > offset + limit,
        "partial": partial,
    }
    return answer(body)


@router.get("/jobs/{job}", summary="One job", responses=json_of(JobModel))
def one_job(here: Here, job: str, left: Limited) -> Response:
    """The same of one job."""
    found, partial = _jobs(here, Compare(JOB, "=", job), left)
    if job not in found:
        if partial:
            raise TimeoutError(f"the events of the job {job!r} were not read in time")
        raise NotFoundError(f"cannot find the job {job!r}: no event tells of it; see /jobs")
    return answer(job_json(found[job]))


def _jobs(here: Asking, tree: Filter, left: float) -> tuple[dict[str, Job], bool]:
    where = here.engine.where(here.visible(joined([JOB_EVENTS, tree])))
    events = here.engine.events(where, timeout=left)
    return jobs_of(shown_to(here.caller, event) for event in events), events.partial
