"""Causality: what led to an event, and what it led to, with recorded and inferred causes told apart."""

import time
from collections.abc import Callable, Container, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from whence.causality.chains import Chain, Hop, downstream, upstream
from whence.causality.flat import tie_json
from whence.causality.graph import Follow
from whence.event.model import Event
from whence.serve.api.events import find
from whence.serve.api.models import CausalityModel, json_of
from whence.serve.door import Asking, Here, Limited, Strict, answer
from whence.serve.problems import RESPONSES

router = APIRouter(dependencies=[Strict], responses=RESPONSES, tags=["causality"])
_MOST = 10_000
_WAYS: Mapping[str, Callable[..., Chain]] = {"upstream": upstream, "downstream": downstream}
_FIRST = 500
"""Events of a chain that are read in any case; from there on more and more, while there is time."""


class Wanted(NamedTuple):
    """How far to go, and what to give."""

    direction: str
    follow: Follow
    depth: int | None
    limit: int
    events: bool


def wanting(
    *,
    direction: Annotated[
        Literal["both", "upstream", "downstream"], Query(description="Causes, effects, or both.")
    ] = "both",
    follow: Annotated[
        Literal["best", "recorded", "all"],
        Query(description="`recorded`: what the program said; `best`: else the best guess; `all`: every guess too."),
    ] = "best",
    depth: Annotated[int | None, Query(ge=1, le=_MOST, description="At most so many hops away.")] = None,
    limit: Annotated[
        int, Query(ge=1, le=_MOST, description="At most so many of the nearest events, each way.")
    ] = 1_000,
    events: Annotated[bool, Query(description="Whether each hop has its event.")] = True,
) -> Wanted:
    """What the parameters mean."""
    return Wanted(direction, Follow(follow), depth, limit, events)


Bounds = Annotated[Wanted, Depends(wanting)]


@router.get("/api/causality/{id}", summary="Why, and what followed", responses=json_of(CausalityModel))
def causality(here: Here, id: str, wanted: Bounds, left: Limited) -> Response:
    """An event with its chains: upstream from the root causes to it, downstream from it to all that it led to.

    Causes may lie in other runs. Each edge has its basis; `recorded` ones were said by the program, the others are inferred.
    `cut` says that bounds left something out, `beyond` how much at each hop; `partial` that the time was over, and only the
    nearest events are there.
    """
    return _answer(here, find(here, id), wanted, left)


@router.get("/api/runs/{run}/causality/{id}", summary="Why, in a run", responses=json_of(CausalityModel))
@router.get("/simulations/{run}/causality/{id}", summary="Why, in a simulation", responses=json_of(CausalityModel))
def causality_of_run(here: Here, run: str, id: str, wanted: Bounds, left: Limited) -> Response:
    """The same; it must be an event of this run."""
    return _answer(here, find(here, id, run), wanted, left)


def _answer(here: Asking, event: Event, wanted: Wanted, left: float) -> Response:
    until = time.monotonic() + left
    body: dict[str, Any] = {"event": here.shown(event)}
    partial = False
    for name, way in _WAYS.items():
        if wanted.direction in ("both", name):
            chain, events, whole = _chain(here, way, event.id, wanted, until)
            hidden = {id for id, one in events.items() if not here.may_see(one)}
            body[name] = _told(here, open_part(chain, hidden), events if wanted.events else None)
            partial = partial or not whole
    return answer(body | {"partial": partial})


def _chain(
    here: Asking, way: Callable[..., Chain], id: str, wanted: Wanted, until: float
) -> tuple[Chain, dict[str, Event], bool]:
    """A chain and, where they are needed, its events; of a long one, once the time is over, the nearest. Whether it is whole."""
    events: dict[str, Event] = {}
    most = min(_FIRST, wanted.limit)
    while True:
        with here.engine.lock:
            chain = way(here.engine.graph(), id, follow=wanted.follow, max_depth=wanted.depth, max_hops=most)
        if wanted.events or not here.caller.sees_all:
            events |= here.engine.load(hop.id for hop in chain.hops if hop.id not in events)
        if len(chain.hops) < most or most == wanted.limit:
            return chain, events, True
        if time.monotonic() > until:
            return chain, events, False
        most = min(2 * most, wanted.limit)


def _told(here: Asking, chain: Chain, events: dict[str, Event] | None) -> dict[str, Any]:
    """A chain in the JSON of `whence why --json`, its events as the caller may see them."""
    hops = []
    for hop in chain.hops:
        told: dict[str, Any] = {
            "id": hop.id,
            "depth": hop.depth,
            "causes": [tie_json(tie) for tie in hop.causes],
            "missing": hop.missing,
            "beyond": hop.beyond,
        }
        if events is not None:
            told["event"] = here.shown(events[hop.id])
        hops.append(told)
    return {
        "id": chain.event_id,
        "direction": chain.direction,
        "cut": chain.cut,
        "cycles": chain.cycles,
        "hops": hops,
    }


def open_part(chain: Chain, hidden: Container[str]) -> Chain:
    """The chain as if the hidden events were nowhere: nothing is reached through them, and who names one names what is missing.

    The event that was asked about must not be hidden.
    """
    hops = {hop.id: hop for hop in chain.hops}
    if not any(id in hidden for id in hops):
        return chain
    ties = [(hop.id, tie.id) for hop in chain.hops for tie in hop.causes]
    ways: dict[str, list[str]] = {}
    for effect, cause in ties:
        near, far = (effect, cause) if chain.direction == "upstream" else (cause, effect)
        ways.setdefault(near, []).append(far)
    reached = {chain.event_id: 0}
    queue = [chain.event_id]
    for id in queue:  # grows while it is walked
        new = [one for one in ways.get(id, ()) if one not in hidden and one not in reached]
        reached |= dict.fromkeys(new, reached[id] + 1)
        queue += new
    kept = tuple(_without(hop, reached, hidden) for hop in chain.hops if hop.id in reached)
    cycles = tuple(cycle for cycle in chain.cycles if all(id in reached for id in cycle))
    return replace(chain, hops=kept, cycles=cycles, cut=any(hop.beyond for hop in kept))


def _without(hop: Hop, reached: Mapping[str, int], hidden: Container[str]) -> Hop:
    gone = tuple(tie.id for tie in hop.causes if tie.id in hidden and tie.basis == "recorded")
    causes = tuple(tie for tie in hop.causes if tie.id in reached)
    return replace(hop, depth=reached[hop.id], causes=causes, missing=tuple(dict.fromkeys((*hop.missing, *gone))))
