"""The receiver `otlp_json_file`: files of OTLP JSON lines, tailed or read whole, also those of whence's archive."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final

import orjson
from pydantic import BeforeValidator

from whence.collect.batch import LEVELS, Batch
from whence.collect.component import Consumer, Health, Host, Plug
from whence.collect.receivers.files.lines import Line
from whence.collect.receivers.files.named import added_to, names_of, wanted
from whence.collect.receivers.files.offering import Offering, place_of
from whence.collect.receivers.files.settings import FileSettings, refusing
from whence.collect.receivers.files.splitting import Splitting, is_object
from whence.collect.receivers.files.tailing import Part, Tailing, Taking
from whence.collect.settings import Size
from whence.errors import DataError
from whence.otlp import wire
from whence.otlp.wire import Signal

_BEGINNINGS: Final[Mapping[bytes, Signal]] = {
    b'{"' + names[0].encode() + b'"': signal for signal, names in LEVELS.items()
}
_KEYS: Final[Mapping[str, Signal]] = {names[0]: signal for signal, names in LEVELS.items()}


def _utf8(value: Any) -> str:
    if str(value).lower() not in ("utf-8", "utf8", "nop", ""):
        raise ValueError("utf-8: OTLP JSON has no other encoding")
    return str(value)


class OTLPFileSettings(FileSettings):
    """As of any file; a line is a whole request, and so may be larger."""

    max_log_size: Size = 64 << 20
    encoding: Annotated[str, BeforeValidator(_utf8)] = "utf-8"
    include_file_name: bool = False
    multiline: Annotated[None, refusing("a request is one line of OTLP JSON")] = None
    replay_file: bool = False
    """Read everything again and again."""


class OTLPFiles:
    """Reads them."""

    def __init__(self, settings: OTLPFileSettings, host: Host, outputs: Mapping[Signal, Consumer]) -> None:
        taking = Taking(self._take, is_object, settings.poll_interval, Splitting(settings.max_log_size))
        self._settings = settings
        self._named = wanted(settings)
        self._tailing = Tailing(settings, host, taking, replay=settings.replay_file)
        self._offering = Offering(outputs, host, settings.retry_on_failure, self._tailing.stopping)

    def start(self, host: Host) -> None:
        """Begin to read. Raises ConfigError, StorageError."""
        self._tailing.start()

    def stop(self, deadline: float) -> None:
        """Read no more."""
        self._tailing.stop(deadline)

    def health(self) -> Health:
        """Whether it reads, and can write down how far."""
        return self._tailing.health()

    def _take(self, part: Part) -> None:
        for signal, run in _runs(self._requests(part)):
            self._offering.offer_each(run, partial(batch_of, signal), lambda one: one[0], part.file.path)

    def _requests(self, part: Part) -> Iterator[tuple[Signal, Line, bytes]]:
        """Each line as a request in protobuf: several of one signal are one when they are joined."""
        names = names_of(self._named, part.file)
        for line in part.lines:
            if not line.data.strip():
                continue
            try:
                if line.cut:
                    raise DataError(f"it is longer than {self._settings.max_log_size} bytes: raise max_log_size")
                for signal, data in requests_of(line.data):
                    yield signal, line, self._with_names(names(line), signal, data)
            except DataError as fault:
                self._offering.skip(part.file.path, place_of(line.number, line.start), fault)

    def _with_names(self, names: Mapping[str, Any], signal: Signal, data: bytes) -> bytes:
        if not names:
            return data
        tree = wire.tree_of_protobuf(signal, data)
        added_to(tree, signal, names)
        return wire.protobuf_of_tree(signal, tree)


def batch_of(signal: Signal, requests: Sequence[tuple[Line, bytes]]) -> Batch:
    """Requests of one signal as one: joined they are."""
    return Batch(signal, b"".join(data for _, data in requests), "protobuf", transport="file")


def requests_of(line: bytes) -> list[tuple[Signal, bytes]]:
    """The Export*ServiceRequest of each signal in a line. Raises DataError."""
    for beginning, signal in _BEGINNINGS.items():
        if line.startswith(beginning) and not any(key in line for key in _others(signal)):
            return [(signal, wire.protobuf_of_json(signal, line))]
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError as fault:
        raise DataError(f"it is no JSON: {fault}") from None
    if not isinstance(found, dict):
        raise DataError("it is no JSON object")
    signals = [_KEYS[key] for key in found if key in _KEYS]
    if found and not signals:
        raise DataError(f"it is no OTLP: it has none of {', '.join(_KEYS)}")
    return [(signal, wire.protobuf_of_json(signal, line)) for signal in signals]


def _others(signal: Signal) -> list[bytes]:
    return [b'"' + names[0].encode() + b'"' for other, names in LEVELS.items() if other != signal]


def _runs(requests: Iterator[tuple[Signal, Line, bytes]]) -> Iterator[tuple[Signal, list[tuple[Line, bytes]]]]:
    """Neighbours of one signal together."""
    run: list[tuple[Line, bytes]] = []
    of: Signal | None = None
    for signal, line, data in requests:
        if of is not None and signal != of:
            yield of, run
            run = []
        of = signal
        run.append((line, data))
    if of is not None:
        yield of, run


PLUG = Plug(OTLPFileSettings, OTLPFiles, once=True)
