"""Replays over HTTP: one resource, whose changes pause, step, move and hurry it; and the stream of each.

The law: anybody who may read may listen; changing and ending one is for whoever began it, or administers.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.websockets import WebSocket

from whence.errors import DataError
from whence.event.flat import format_time
from whence.filter.selection import parse_moment, selection
from whence.otlp.service import OtlpProtocol
from whence.replay.pace import parse_speed
from whence.replay.player import Terms as Playing
from whence.replay.source import Place
from whence.replay.start import Chosen
from whence.serve.api.models import json_of
from whence.serve.door import Asking, Here, Selected, Strict, answer
from whence.serve.live.asking import Wish, buffering, refusing
from whence.serve.live.past import NOW
from whence.serve.live.sse import STREAM, EventStream
from whence.serve.live.subscriber import Terms
from whence.serve.live.telling import Terms as Telling
from whence.serve.live.websocket import Together, converse
from whence.serve.problems import RESPONSES, Refusal
from whence.serve.replay.replays import Going

router = APIRouter(dependencies=[Strict], responses=RESPONSES, tags=["replay"])
_AT_ONCE = 500


class WantedReplay(BaseModel):
    """What to replay, and how."""

    model_config = ConfigDict(extra="forbid")

    filter: str | None = Field(None, description="an expression of the filter language")
    run: str | None = None
    correlation: str | None = None
    since: str | None = Field(None, description="a time, or 5m ago")
    until: str | None = None
    related: bool = Field(False, description="with all that led to these events and came of them")
    speed: float | str = Field(1.0, description="0.1 to 1000, or `max`")
    now: bool = Field(False, description="events get the time at which they are due")
    paused: bool = Field(False, description="begin standing still, so that listeners can come first")
    checkpoint: str | None = Field(None, description="keep the place under this name; go on there if there is one")
    otlp: str | None = Field(
        None, description="send to this OTLP endpoint as well, `http://` or `grpc://`; takes the role admin"
    )
    protocol: OtlpProtocol | None = Field(
        None, description="`grpc` for an endpoint whose URL begins with `http` as well"
    )


class Change(BaseModel):
    """What is to be different: first the speed, then the place, then whether it stands still, then steps."""

    model_config = ConfigDict(extra="forbid")

    speed: float | str | None = None
    seek: str | None = Field(None, description="go on with the events of this time; `start` is the first event")
    paused: bool | None = None
    step: int | None = Field(None, ge=1, le=10_000, description="give so many events at once, then stand still")


class ReplayModel(BaseModel):
    """A replay."""

    model_config = ConfigDict(extra="forbid", title="Replay")

    id: str
    owner: str
    chosen: str
    state: str = Field(description="playing, paused, finished, stopped or failed")
    speed: str
    given: int = Field(description="events so far")
    at: str = Field("", description="the time of the event given last")
    trouble: str = ""
    checkpoint: str = ""
    otlp: str = ""


class ReplaysModel(BaseModel):
    """Replays that were begun and not ended."""

    model_config = ConfigDict(extra="forbid", title="Replays")

    replays: list[ReplayModel]


_ONE = json_of(ReplayModel)


@router.get("/api/replays", summary="Replays", responses=json_of(ReplaysModel))
def replays(here: Here) -> Response:
    """Those that were begun and not ended."""
    return answer({"replays": [_shown(one) for one in here.served.replays.all()]})


@router.get("/api/replays/{id}", summary="One replay", responses=_ONE)
def replay(here: Here, id: str) -> Response:
    """How it stands."""
    return answer(_shown(here.served.replays.get(id)))


@router.post("/api/replays", summary="Begin a replay", status_code=201, responses={201: {"model": ReplayModel}})
def begin(here: Here, wanted: Annotated[WantedReplay, Body()]) -> Response:
    """Of events that the caller may see. At its end it stays, to be moved back, until it is deleted."""
    if wanted.otlp is not None and not here.caller.may("admin"):
        raise Refusal(403, f"cannot send to an endpoint as {here.caller.name!r}: that takes the role admin")
    correlation = [wanted.correlation] if wanted.correlation is not None else None
    tree = selection(
        filter=wanted.filter, run=wanted.run, correlation=correlation, since=wanted.since, until=wanted.until,
        now=here.served.clock(),
    )  # fmt: skip
    terms = Playing(parse_speed(wanted.speed), wanted.now, wanted.paused, _AT_ONCE, True)
    chosen = Chosen(here.visible(tree), wanted.related)
    made = here.served.replays.begin(
        here.caller.name,
        chosen,
        terms,
        may_see=here.may_see,
        checkpoint=wanted.checkpoint,
        otlp=wanted.otlp,
        protocol=wanted.protocol,
    )
    found = answer(_shown(made))
    found.status_code = 201
    return found


@router.post("/api/replays/{id}", summary="Change a replay", responses=_ONE)
def change(here: Here, id: str, wanted: Annotated[Change, Body()]) -> Response:
    """Pause it, let it go on, step, move it, or change its speed."""
    going = _own(here, id)
    player = going.player
    speed = None if wanted.speed is None else parse_speed(wanted.speed)
    if wanted.seek is not None:
        start = wanted.seek == "start"
        player.seek(None if start else Place(parse_moment(wanted.seek, here.served.clock())))
    if wanted.speed is not None:
        player.set_speed(speed)
    if wanted.paused is not None:
        player.pause() if wanted.paused else player.resume()
    if wanted.step is not None:
        player.step(wanted.step)
    return answer(_shown(going))


@router.delete("/api/replays/{id}", summary="End a replay", status_code=204, response_class=Response)
def end(here: Here, id: str) -> Response:
    """Its listeners are let go; its checkpoint stays."""
    _own(here, id)
    here.served.replays.end(id)
    return Response(None, 204)


def listening(
    *,
    connection: HTTPConnection,
    here: Here,
    id: str,
    terms: Annotated[Terms, Depends(buffering)],
    cursor: Annotated[str | None, Query(description="Go on behind this place: the id of a message.")] = None,
    last_event_id: Annotated[
        str | None, Header(description="The same, as browsers send it when they connect again; it counts first.")
    ] = None,
) -> Wish:
    """The wish to be told what a replay gives. Raises NotFoundError, Refusal."""
    telling = Telling(here.settings.stream.heartbeat, refusing(connection, here), here.served.clock)
    stage = here.served.replays.get(id).stage
    place = last_event_id or cursor
    try:
        return Wish(here, NOW, terms, telling, stage.behind(place) if place else stage)
    except DataError as cause:
        raise Refusal(422, str(cause)) from None


Listening = Annotated[Wish, Depends(listening)]


@router.get("/api/replays/{id}/stream", summary="What a replay gives", tags=["live"], responses=STREAM)
async def stream(wish: Listening, wanted: Selected) -> Response:
    """Server-Sent Events, in the form of the live streams, from now on, or behind a message.

    The parameters choose among what is replayed.
    """
    return EventStream(wish, wanted)


@router.websocket("/api/replays/{id}/stream")
async def stream_over_websocket(socket: WebSocket, wish: Listening, wanted: Selected, lines: Together = False) -> None:
    """The same over a WebSocket."""
    await converse(socket, wish, wanted, lines=lines)


def _own(here: Asking, id: str) -> Going:
    found = here.served.replays.get(id)
    if found.owner != here.caller.name and not here.caller.may("admin"):
        raise Refusal(403, f"cannot change the replay {id!r} as {here.caller.name!r}: it is {found.owner!r}'s")
    return found


def _shown(going: Going) -> dict[str, Any]:
    player = going.player
    found = {
        "id": going.id,
        "owner": going.owner,
        "chosen": str(going.chosen),
        "state": player.state,
        "speed": "max" if player.speed is None else f"{float(player.speed):g}",
        "given": player.given,
        "at": format_time(player.place.time) if player.place and player.given else None,
        "trouble": player.trouble,
        "checkpoint": going.checkpoint,
        "otlp": going.otlp,
    }
    return {name: value for name, value in found.items() if value is not None}
