"""What every route needs: who asks and of what, the filter its parameters mean, how long it may take, and ETags.

The law: a route takes `Here` and asks the archive by it. `visible` goes around every filter, `shown` around every event.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Annotated, Any, Final, get_args, get_origin

from fastapi import Depends, Query
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from whence.event.flat import to_flat
from whence.event.misfits import nearest
from whence.event.model import Event
from whence.export.flat_json import json_bytes
from whence.filter.paths import paths_in
from whence.filter.printer import path_text
from whence.filter.selection import OPTIONS, OptionError, joined, parse_duration, selection
from whence.filter.tree import Compare, Either, Filter, Path
from whence.index.engine import Engine
from whence.serve.access.caller import Caller, hidden_from, sees, shown_to, visible_to
from whence.serve.gate import CALLER
from whence.serve.problems import Refusal
from whence.serve.served import Served
from whence.serve.settings import Role, ServeSettings

JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Asking:
    """One request: what is asked, by whom, and until when it should be answered."""

    served: Served
    settings: ServeSettings
    caller: Caller
    began: float = field(default_factory=time.monotonic)

    @property
    def engine(self) -> Engine:
        """The archive's engine. Ask it by `visible(...)` only."""
        return self.served.engine

    def visible(self, tree: Filter) -> Filter:
        """What is asked for, of what the caller may see. Raises Refusal where it asks about what is hidden from them."""
        self.allows(paths_in(tree))
        return visible_to(self.caller, tree)

    def allows(self, paths: Iterable[Path]) -> None:
        """Raises Refusal where the values at one of these paths are hidden from the caller."""
        hidden = hidden_from(self.caller, paths)
        if hidden is not None:
            said = f"cannot ask about {path_text(hidden)} as {self.caller.name!r}: it is hidden from the role {self.caller.role}"
            raise Refusal(403, f"{said}; ask without it")

    def may_see(self, event: Event) -> bool:
        """Whether the caller may see an event that was not found by `visible`."""
        return self.caller.sees_all or sees(self.caller)(event) is True

    def shown(self, event: Event) -> dict[str, Any]:
        """An event the caller may see, in its JSON form, masked as they may see it."""
        return to_flat(shown_to(self.caller, event))


def asking(connection: HTTPConnection) -> Asking:
    """What every route begins with, of a request or a WebSocket."""
    state = connection.app.state
    return Asking(state.served, state.settings, connection.scope[CALLER])


Here = Annotated[Asking, Depends(asking)]


def needs(role: Role) -> Any:
    """A dependency of a route that takes more than the method says: GET takes `read`, everything else `write`."""

    def check(here: Here, connection: HTTPConnection) -> None:
        if not here.caller.may(role):
            path = connection.url.path
            said = (
                f"cannot answer {path} to {here.caller.name!r}, who has the role {here.caller.role}: that takes {role}"
            )
            raise Refusal(403, said)

    return Depends(check)


# --- parameters -------------------------------------------------------------------------------------------------------------


def only_known(request: HTTPConnection) -> None:
    """Refuses a parameter that the route does not have, with the nearest that it has, and one that may not be given again.

    For routes of ours, not of others' APIs.
    """
    route = request.scope.get("route")
    dependant = getattr(route, "dependant", None)
    if dependant is None or not request.query_params:
        return
    known = dict(_parameters(dependant))
    for name in request.query_params:
        if not known.get(name, True) and len(request.query_params.getlist(name)) > 1:
            raise Refusal(422, f"cannot use the parameter {name!r}: it was given several times; give it once")
        if name not in known:
            there = f"; there are {', '.join(known)}" if known else "; it has none"
            near = nearest(name, known)
            raise Refusal(422, f"cannot use the parameter {name[:60]!r}: there is no such parameter{near or there}")


def _parameters(dependant: Any) -> Iterator[tuple[str, bool]]:
    """The query parameters of a route and of all that it depends on, and whether each may be given again."""
    for one in dependant.query_params:
        annotation = one.field_info.annotation
        yield one.alias, list in (get_origin(part) for part in (annotation, *get_args(annotation)))
    for inner in dependant.dependencies:
        yield from _parameters(inner)


Strict = Depends(only_known)
"""`APIRouter(dependencies=[Strict])`."""


def _said(name: str) -> Any:
    option = OPTIONS[name]
    return Query(description=f"{option.help} ({option.value})")


def within(
    *,
    here: Here,
    filter: Annotated[str | None, Query(description="An expression of the filter language.")] = None,
    type: Annotated[list[str] | None, _said("type")] = None,
    kind: Annotated[list[str] | None, _said("kind")] = None,
    agent: Annotated[list[str] | None, _said("agent")] = None,
    task: Annotated[list[str] | None, _said("task")] = None,
    correlation: Annotated[list[str] | None, _said("correlation")] = None,
    turn: Annotated[str | None, _said("turn")] = None,
    severity: Annotated[str | None, _said("severity")] = None,
    trace: Annotated[str | None, _said("trace")] = None,
    since: Annotated[str | None, _said("since")] = None,
    until: Annotated[str | None, _said("until")] = None,
    text: Annotated[list[str] | None, Query(description="A text in it, in any case; may be given again.")] = None,
) -> Filter:
    """The tree that the parameters which select events mean together, of a path that names the run. Raises FilterError."""
    return selection(
        filter=filter, type=type, kind=kind, agent=agent, task=task, correlation=correlation, turn=turn,
        severity=severity, trace=trace, since=since, until=until, text=text, now=here.served.clock(),
    )  # fmt: skip


Within = Annotated[Filter, Depends(within)]
"""The filter of the parameters of a route whose path names a run or job; `here.visible(...)` goes around it."""


def selected(*, chosen: Within, run: Annotated[str | None, _said("run")] = None) -> Filter:
    """The same, of a path that names none."""
    return joined([selection(run=run, now=0), chosen])


Selected = Annotated[Filter, Depends(selected)]
"""The filter of any other route's parameters; `here.visible(...)` goes around it."""


def limited(
    here: Here,
    timeout: Annotated[
        str | None, Query(description="How long the answer may take, such as `2s`; then it is a part.")
    ] = None,
) -> float:
    """Seconds that are left for the answer: what the request asks for, at most the server's own limit."""
    most = here.settings.request_timeout
    if timeout is not None:
        try:
            most = min(most, parse_duration(timeout) / 1e9)
        except OptionError as fault:
            raise Refusal(422, f"cannot use the parameter timeout: {fault}") from None
    return max(most - (time.monotonic() - here.began), 0.001)


Limited = Annotated[float, Depends(limited)]


def of_run(run: str) -> Filter:
    """Everything in a run."""
    return Compare(Path("run"), "=", run)


def of_job(job: str) -> Filter:
    """Everything of a job: what happened in the run of that id, and the events that name the job."""
    return Either((of_run(job), Compare(Path("payload", ("job",)), "=", job)))


# --- answers ----------------------------------------------------------------------------------------------------------------


def answer(value: Any, headers: dict[str, str] | None = None) -> Response:
    """A value as JSON."""
    return Response(json_bytes(value), 200, headers, JSON)


def tagged(request: Request, value: Any) -> Response:
    """A value as JSON with an ETag; nothing again for somebody who has it."""
    body = json_bytes(value)
    tag = f'W/"{sha256(body).hexdigest()[:24]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Authorization"}
    if _has(request.headers.getlist("if-none-match"), tag):
        return Response(None, 304, headers)
    return Response(body, 200, headers, JSON)


def _has(values: Iterable[str], tag: str) -> bool:
    held = {one.strip().removeprefix("W/") for value in values for one in value.split(",")}
    return "*" in held or tag.removeprefix("W/") in held
