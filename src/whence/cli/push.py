"""`whence push`: an archive, or what is chosen of it, to any backend that takes OTLP."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

import typer
from pydantic import ValidationError

from whence.archive.reader import Archive
from whence.cli.options import ARCHIVE, ArchiveOption, JsonOption, parse_timeout
from whence.cli.output import note, progress, write_json
from whence.cli.reading import close, open_reading
from whence.cli.replay import headers_of
from whence.cli.select import selecting
from whence.collect.component import Host
from whence.collect.exporters.http_client import is_url
from whence.collect.exporters.otlp_grpc import GRPCTransport, OTLPGRPCSettings
from whence.collect.exporters.otlp_http import HTTPTransport, OTLPHTTPSettings
from whence.collect.exporters.sending import Transport
from whence.collect.pushing import Pushed, Pushing, chosen_parts
from whence.collect.settings import RetryOnFailure
from whence.collect.telemetry import Telemetry
from whence.errors import ConfigError, StreamError
from whence.filter.tree import Everything, Filter
from whence.otlp.decode import SIGNALS
from whence.otlp.service import OtlpProtocol, spoken_at
from whence.otlp.wire import Signal

Shown = Literal["none", "instants", "events"]
CERTIFICATE: Final = "OTEL_EXPORTER_OTLP_CERTIFICATE"
NOUNS: Final[dict[Signal, str]] = {"traces": "span", "logs": "log record", "metrics": "data point"}
_TRIED: Final = 30.0
"""Seconds for one attempt."""
_TOLD: Final = 100
"""A look at the clock for every line would cost more than the line."""


@selecting()
def push(
    *,
    archive: ArchiveOption = ARCHIVE,
    wanted: Filter,
    otlp: Annotated[
        str, typer.Option("--otlp", metavar="URL", help="Where to, such as http://localhost:4318.", show_default=False)
    ],
    protocol: Annotated[
        OtlpProtocol | None,
        typer.Option(help="OTLP over HTTP, or over gRPC; otherwise as the URL says: grpc://localhost:4317."),
    ] = None,
    projections: Annotated[
        Shown,
        typer.Option(
            help="For trace viewers, events as spans in place of log records: instants, those that happened in no span; "
            "events, all."
        ),
    ] = "none",
    signals: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Of traces, logs, metrics; otherwise all, with --projections no metrics."),
    ] = None,
    retry: Annotated[str, typer.Option(metavar="TIME", help="How long to try again what cannot be sent now.")] = "1m",
    json: JsonOption = False,
) -> int:
    """Send the archive, or what is chosen of it, to any OTLP backend.

    Everything goes as it is stored. Jaeger and other trace viewers take no log records: for them give --projections events. With
    a filter, whole records go, and no metrics. Headers come from OTEL_EXPORTER_OTLP_HEADERS, a certificate to trust from
    OTEL_EXPORTER_OTLP_CERTIFICATE; a URL that begins with https:// is sent to by TLS. Says how many records were sent, and exits
    with 3 where any was refused, or the backend cannot be reached.
    """
    chosen = _signals(signals, projections)
    again = _again(parse_timeout(retry) or 0.0)
    transport = _transport(*spoken_at(otlp, protocol), os.environ, again)
    pushed, trouble = Pushed(), None
    with progress("sending") as tell, closing(transport):
        reading = open_reading(archive, tree=wanted)
        test = None if isinstance(wanted, Everything) else reading.wanted(wanted)
        parts = chosen_parts(_lines(reading.archive, tell), chosen, test, pushed, projections)
        try:
            Pushing(transport, again, _TRIED, pushed, tell=_once()).push(parts)
        except StreamError as fault:
            trouble = f"{fault}; {_advice(projections)}"
    code = close(reading, archive)
    _say(pushed, otlp, trouble, json)
    return 3 if trouble or pushed.unreadable or pushed.refused.total() else code


def _signals(text: str | None, projections: Shown) -> frozenset[Signal]:
    if text is None:
        return frozenset(SIGNALS.values()) - (set() if projections == "none" else {"metrics"})
    names = {name.strip() for name in text.split(",")}
    known: tuple[Signal, ...] = get_args(Signal)
    if unknown := names - set(known):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))!r}: expected some of {', '.join(known)}")
    return frozenset(name for name in known if name in names)


def _again(seconds: float) -> RetryOnFailure:
    given = {"enabled": seconds > 0, "initial_interval": "500ms", "max_elapsed_time": f"{seconds}s"}
    return RetryOnFailure.model_validate(given)


def _transport(url: str, protocol: OtlpProtocol, variables: Mapping[str, str], again: RetryOnFailure) -> Transport:
    """A way to the backend; nothing is opened yet. Raises ConfigError."""
    host = Host("push", Telemetry(), logging.getLogger("whence.push"), Path("unused"))
    given: dict[str, Any] = {"endpoint": url, "headers": headers_of(variables), "retry_on_failure": again}
    if variables.get(CERTIFICATE):
        given["tls"] = {"ca_file": variables[CERTIFICATE]}
    if not is_url(url):
        raise ConfigError(f"cannot send to {url[:100]!r}: expected a URL such as http://localhost:4318")
    try:
        if protocol == "grpc":
            return GRPCTransport(OTLPGRPCSettings.model_validate(given), None, host)
        return HTTPTransport(OTLPHTTPSettings.model_validate(given), None, host)
    except ValidationError as fault:
        raise ConfigError(f"cannot send to {url[:100]!r}: {fault.errors()[0]['msg']}") from None


def _lines(archive: Archive, tell: Callable[[str], None]) -> Any:
    for count, line in enumerate(archive.lines()):
        if count % _TOLD == 0:
            tell(f"{count} lines read")
        yield line


def _once() -> Callable[[str], None]:
    """Notes why something is tried again, each reason once."""
    told: set[str] = set()

    def tell(reason: str) -> None:
        if reason not in told:
            told.add(reason)
            note(f"{reason}; trying again")

    return tell


def _advice(projections: Shown) -> str:
    if projections != "none":
        return "see to the backend, and push again"
    return "see to the backend, and push again; for a trace viewer, with --projections events"


def _say(pushed: Pushed, url: str, trouble: str | None, json: bool) -> None:
    for reason in pushed.reasons:
        note(f"the backend said: {reason}")
    if pushed.unreadable:
        note(f"{_counted(pushed.unreadable, 'line')} could not be sent: no OTLP, or values that it has no place for")
    if json:
        row = {"sent": dict(pushed.sent), "refused": dict(+pushed.refused), "unreadable": pushed.unreadable}
        write_json([row | ({"trouble": trouble} if trouble else {})])
    refused = f"; {_records(pushed.refused)} refused" if pushed.refused.total() else ""
    note(f"sent {_records(pushed.sent)} to {url}{refused}")
    if trouble:
        note(trouble)


def _records(counts: Counter[Signal]) -> str:
    said = [_counted(counts[signal], noun) for signal, noun in NOUNS.items() if counts[signal]]
    return ", ".join(said) or "nothing"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
