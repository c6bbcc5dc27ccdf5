"""Live events over a WebSocket, on the paths of the streams: each message one JSON object in a text frame.

The law: the same messages as Server-Sent Events, with the same places.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.websockets import WebSocket, WebSocketDisconnect

from whence.export.flat_json import json_bytes
from whence.filter.selection import joined
from whence.filter.tree import Filter
from whence.serve.door import Selected, Strict, Within, of_job, of_run
from whence.serve.gate import PROTOCOL
from whence.serve.live.asking import Wish, Wished
from whence.serve.live.messages import Message, lines_of, texts_of
from whence.serve.live.telling import Telling, until_gone

Heard = Callable[[str], Awaitable[dict[str, Any]]]
"""Answers a text that came, with a message."""
Together = Annotated[bool, Query(description="Many messages in one text, a line each, in place of a text for each.")]
router = APIRouter(dependencies=[Strict])


@router.websocket("/api/stream")
@router.websocket("/api/events/stream")
async def stream(socket: WebSocket, wish: Wished, wanted: Selected, lines: Together = False) -> None:
    """Events of all runs as they come."""
    await converse(socket, wish, wanted, lines=lines)


@router.websocket("/api/runs/{run}/stream")
@router.websocket("/api/runs/{run}/events/stream")
@router.websocket("/simulations/{run}/stream")
@router.websocket("/simulations/{run}/events/stream")
async def stream_of_run(socket: WebSocket, run: str, wish: Wished, wanted: Within, lines: Together = False) -> None:
    """The same of one run."""
    await converse(socket, wish, joined([of_run(run), wanted]), lines=lines)


@router.websocket("/jobs/{job}/stream")
@router.websocket("/jobs/{job}/events/stream")
async def stream_of_job(socket: WebSocket, job: str, wish: Wished, wanted: Within, lines: Together = False) -> None:
    """The same of one job."""
    await converse(socket, wish, joined([of_job(job), wanted]), lines=lines)


async def converse(
    socket: WebSocket, wish: Wish, wanted: Filter, heard: Heard | None = None, *, lines: bool = False
) -> None:
    """Tell a WebSocket until it leaves; `heard` answers what it says. `lines`: many messages in one text, a line each."""
    listener = wish.listener(wanted)
    try:
        await socket.receive()  # that it wants to be one; it is, once it is sure that it can be told
        written = lines_of if lines else texts_of
        telling = Telling(listener, wish.telling, written)
        with suppress(WebSocketDisconnect):
            await until_gone(listener.subscriber, lambda: _tell(telling, socket, written), lambda: _hear(socket, heard))
    finally:
        listener.close()


async def _tell(telling: Telling, socket: WebSocket, written: Callable[[Sequence[Message]], list[str]]) -> None:
    begun = False
    async for portion in telling.portions():
        if not begun:
            begun = True
            await socket.accept(PROTOCOL if PROTOCOL in socket.scope["subprotocols"] else None)
        for text in written(portion):
            await socket.send({"type": "websocket.send", "text": text})
    await socket.close(1001)


async def _hear(socket: WebSocket, heard: Heard | None) -> None:
    while (message := await socket.receive())["type"] != "websocket.disconnect":
        if heard is not None:
            said = await heard(message.get("text") or "")
            await socket.send({"type": "websocket.send", "text": json_bytes(said).decode()})
