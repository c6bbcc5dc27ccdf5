"""`whence up`: collector and server in one process, with nothing to configure."""

import os
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer

from whence.cli.collect import run
from whence.cli.output import note
from whence.cli.serve import EndpointOption, JaegerOption
from whence.collect.answers import address_of
from whence.collect.config.sources import Sources
from whence.collect.run import Options
from whence.serve.read import TOKEN
from whence.serve.run import seek_garbage_less

_DIRECTORY: Final = "The archive's directory; made when the first event comes. By default ./whence-archive."
_STATE: Final = Path("whence-state")

GrpcOption = Annotated[str, typer.Option("--otlp-grpc", metavar="HOST:PORT", help="Where OTLP over gRPC is taken.")]
HttpOption = Annotated[str, typer.Option("--otlp-http", metavar="HOST:PORT", help="Where OTLP over HTTP is taken.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One value of the collector's configuration; again for more."),
]


def up(
    *,
    archive: Annotated[
        Path, typer.Option("-a", "--archive", metavar="DIR", envvar="WHENCE_ARCHIVE", help=_DIRECTORY)
    ] = Path("whence-archive"),
    endpoint: EndpointOption = None,
    jaeger: JaegerOption = None,
    tokens: Annotated[str | None, typer.Option(metavar="FILE", help="A YAML list of who may ask.")] = None,
    otlp_grpc: GrpcOption = "127.0.0.1:4317",
    otlp_http: HttpOption = "127.0.0.1:4318",
    set_: SetOption = None,
) -> int:
    """Take OTLP into an archive and serve it: collector and server in one process.

    Point programs at the address it says, and a browser, curl, Jaeger or Grafana at the other. What was acknowledged is on the
    device. SIGTERM and SIGINT stop it gracefully.
    """
    where = endpoint or "127.0.0.1:8642"
    served: dict[str, Any] = {"directory": str(archive), "endpoint": where}
    if jaeger is not None:
        served["jaeger"] = {"enabled": False} if jaeger == "none" else {"endpoint": jaeger}
    if tokens is not None:
        served["auth"] = {"file": tokens}
    elif os.environ.get(TOKEN):
        served["auth"] = {"tokens": [{"name": TOKEN, "token": f"${{env:{TOKEN}}}", "role": "admin"}]}
    config = configuration(str(archive), served, otlp_grpc, otlp_http)
    said = f"send OTLP to http://{_shown(otlp_http)} (gRPC: {_shown(otlp_grpc)}), look at http://{_shown(where)}/docs"
    source = f"yaml:{orjson.dumps(config).decode()}"

    def ready() -> None:
        seek_garbage_less()
        note(said)

    options = Options(Sources((source,), tuple(set_ or ())), _STATE.absolute(), on_ready=ready)
    return run(options)


def configuration(directory: str, served: dict[str, Any], grpc: str, http: str) -> dict[str, Any]:
    """The collector's configuration: OTLP into the archive, which is served. `served`: the settings of `whence serve`."""
    line = {"receivers": ["otlp"], "exporters": ["whence"]}
    return {
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": grpc}, "http": {"endpoint": http}}}},
        "exporters": {"whence": {"directory": directory}},
        "extensions": {"whence_serve": served},
        "service": {
            "extensions": ["whence_serve"],
            "pipelines": {"traces": line, "logs": line, "metrics": line},
            "telemetry": {"logs": {"level": "warn"}, "metrics": {"level": "none"}},
        },
    }


def _shown(endpoint: str) -> str:
    host, port = address_of(endpoint)
    return f"{'localhost' if host in ('127.0.0.1', '0.0.0.0', '', '::', '::1') else host}:{port}"  # noqa: S104
