"""The application: every router behind the gate, and nothing else.

The law: a new door is a router and a line in `ROUTERS`.
"""

from importlib import import_module
from typing import Final

from fastapi import APIRouter, FastAPI
from starlette.middleware.gzip import GZipMiddleware

from whence.serve.access.tokens import Access
from whence.serve.gate import Gate
from whence.serve.problems import add_problems
from whence.serve.served import Served
from whence.serve.settings import ServeSettings
from whence.version import VERSION

ROUTERS: Final[tuple[str, ...]] = (
    "whence.serve.api.health",
    "whence.serve.api.docs",
    "whence.serve.api.runs",
    "whence.serve.live.sse",
    "whence.serve.live.websocket",
    "whence.serve.live.polling",
    "whence.serve.live.subscribing",
    "whence.serve.replay.routes",
    "whence.serve.api.events",
    "whence.serve.api.causality",
    "whence.serve.api.query",
    "whence.serve.api.jobs",
    "whence.serve.api.metrics",
    "whence.serve.jaeger.query_v1",
    "whence.serve.jaeger.query_v3",
    "whence.serve.tempo.query",
)
"""The modules whose `router` is mounted, in this order."""
_SMALLEST: Final = 1_000
"""Bytes from which on an answer is compressed, where that is asked for."""
_LEVEL: Final = 4
_ABOUT: Final = "What happened in a program, and why: events with their causes, out of a local archive."


def make_app(served: Served, settings: ServeSettings, access: Access) -> FastAPI:
    """The ASGI application that serves an archive. It opens and closes nothing: see `run.py`."""
    app = FastAPI(title="whence", version=VERSION, description=_ABOUT, docs_url=None, redoc_url=None)
    app.state.served, app.state.settings, app.state.access = served, settings, access
    add_problems(app)
    for router in routers():
        app.include_router(router)
    app.add_middleware(GZipMiddleware, minimum_size=_SMALLEST, compresslevel=_LEVEL)
    app.add_middleware(Gate, settings=settings, access=access, telemetry=served.telemetry)
    return app


def routers() -> list[APIRouter]:
    """Every router, in the order of the table."""
    return [import_module(name).router for name in ROUTERS]
