"""`whence serve`: an archive, open over HTTP to browsers, scripts, Jaeger and Grafana, while others write it."""

import os
import queue
import signal
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from whence.cli.output import note
from whence.collect.processes import allow_files
from whence.collect.signals import attended
from whence.serve.read import read_settings
from whence.serve.run import Serving, described, seek_garbage_less
from whence.serve.settings import ServeSettings

_DIRECTORY = "The archive's directory; it may still be to come. By default ./whence-archive."

EndpointOption = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="Where HTTP is answered. By default 127.0.0.1:8642.")
]
JaegerOption = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Where a stock Jaeger reads it, or `none`. By default 127.0.0.1:17271."),
]
InsecureOption = Annotated[
    bool, typer.Option("--insecure-no-auth", help="Listen beyond this machine although nobody has to say who they are.")
]


def serve(
    *,
    archive: Annotated[
        Path | None, typer.Option("-a", "--archive", metavar="DIR", envvar="WHENCE_ARCHIVE", help=_DIRECTORY)
    ] = None,
    endpoint: EndpointOption = None,
    jaeger: JaegerOption = None,
    config: Annotated[str | None, typer.Option(metavar="FILE", help="Settings in YAML.")] = None,
    tokens: Annotated[str | None, typer.Option(metavar="FILE", help="A YAML list of who may ask.")] = None,
    cert: Annotated[str | None, typer.Option(metavar="FILE", help="A certificate, for TLS; with --key.")] = None,
    key: Annotated[str | None, typer.Option(metavar="FILE", help="The certificate's key.")] = None,
    insecure_no_auth: InsecureOption = False,
) -> int:
    """Serve the archive over HTTP.

    An API with its documentation at /docs, live streams, and what Jaeger and Grafana ask. Others may be writing the archive.
    On this machine only, unless tokens say who may ask; WHENCE_TOKEN can hold one. SIGTERM and SIGINT stop it gracefully.
    """
    over: dict[str, Any] = {
        "directory": None if archive is None else str(archive),
        "endpoint": endpoint,
        "auth": None if tokens is None else {"file": tokens},
        "jaeger": None if jaeger is None else {"enabled": False} if jaeger == "none" else {"endpoint": jaeger},
        "tls": None if cert is None and key is None else {"cert_file": cert, "key_file": key},
        "insecure_no_auth": insecure_no_auth or None,
    }
    settings = read_settings(config, {name: value for name, value in over.items() if value is not None}, os.environ)
    return until_stopped(settings)


def until_stopped(settings: ServeSettings) -> int:
    """Serve until a signal says stop, a second one at once. The exit code: 0, or 3 where something was left unfinished."""
    heard: queue.SimpleQueue[None] = queue.SimpleQueue()
    stopping = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        if stopping:
            os._exit(128 + number)
        stopping = True
        heard.put(None)

    def work() -> int:
        # Signals are heard before the first door opens: a stop that comes while the rest starts is as graceful as any other.
        allow_files()
        serving = Serving(settings)
        serving.start()
        seek_garbage_less()
        note(described(serving))
        heard.get()
        return 0 if serving.stop() else 3

    return attended(work, {signal.SIGTERM: stop, signal.SIGINT: stop})
