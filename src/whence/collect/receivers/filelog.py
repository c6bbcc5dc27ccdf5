"""The receiver `filelog`: lines of text or JSON in files become log records."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import orjson
from pydantic import model_validator

from whence.collect.batch import Batch
from whence.collect.component import Consumer, Health, Host, Plug
from whence.collect.receivers.files.lines import Line
from whence.collect.receivers.files.named import names_of, wanted
from whence.collect.receivers.files.offering import Offering, place_of
from whence.collect.receivers.files.ordering import Expression
from whence.collect.receivers.files.settings import FileSettings
from whence.collect.receivers.files.splitting import Splitting, is_object
from whence.collect.receivers.files.tailing import Part, Tailing, Taking
from whence.collect.receivers.operators.chain import Operators, through
from whence.collect.receivers.operators.entry import Entry, pairs
from whence.collect.records.patterns import pattern
from whence.collect.settings import Duration, Settings
from whence.errors import DataError
from whence.event.misfits import Misfit
from whence.otlp.foreign import otlp_of
from whence.otlp.from_eliot import from_eliot
from whence.otlp.from_structlog import from_structlog
from whence.otlp.value import faithful_items
from whence.otlp.wire import Signal

_FORMS: Final = {"structlog": from_structlog, "eliot": from_eliot}
_ENDINGS: Final = (".gz", ".zst", ".jsonl", ".json", ".log")


_FLUSHED: Final = 0.5
"""Seconds that the last record of a multiline file waits for more, as the Collector's."""


class Multiline(Settings):
    """Records of several lines: one of the two is in the first line of each, or in the last."""

    line_start_pattern: Expression | None = None
    line_end_pattern: Expression | None = None
    omit_pattern: Literal[False] = False

    @model_validator(mode="after")
    def _one(self) -> "Multiline":
        if (self.line_start_pattern is None) is (self.line_end_pattern is None):
            raise Misfit("expected one of line_start_pattern and line_end_pattern")
        return self


class FilelogSettings(FileSettings):
    """As of any file, and what becomes of a line."""

    operators: Operators = ()
    multiline: Multiline | None = None
    attributes: Mapping[str, Any] = {}
    resource: Mapping[str, Any] = {}
    preserve_leading_whitespaces: bool = False
    preserve_trailing_whitespaces: bool = False
    force_flush_period: Duration = 0.0
    """How long a last line without an end waits; 0: for its end, unless it is a whole JSON object."""
    format: Literal["structlog", "eliot"] | None = None
    """Lines of these become records with their type, time, severity and causes; others stay text."""

    @model_validator(mode="after")
    def _one_way(self) -> "FilelogSettings":
        if self.format and self.operators:
            raise Misfit("one of format and operators: format says what every field is")
        return self


class Made(NamedTuple):
    """A log record and what is around it."""

    line: Line
    resource: dict[str, Any]
    scope: dict[str, Any]
    record: dict[str, Any]


class LogFiles:
    """Reads them."""

    def __init__(self, settings: FilelogSettings, host: Host, outputs: Mapping[Signal, Consumer]) -> None:
        flushes = settings.force_flush_period or (_FLUSHED if settings.multiline else 0.0)
        is_whole = (lambda _: True) if flushes else is_object
        taking = Taking(self._take, is_whole, flushes or settings.poll_interval, splitting_of(settings))
        self._settings = settings
        self._host = host
        self._named = wanted(settings)
        self._attributes, _ = faithful_items(settings.attributes)
        self._resource, _ = faithful_items(settings.resource)
        self._raw = settings.encoding == "nop"
        self._tailing = Tailing(settings, host, taking)
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
        names = names_of(self._named, part.file)
        made = [one for line in part.lines if (one := self._made(part, line, names(line))) is not None]
        if made:
            self._offering.offer_each(made, batch_of, lambda one: one.line, part.file.path)

    def _made(self, part: Part, line: Line, names: dict[str, Any]) -> Made | None:
        """The record of a line; None where there is none in it, or an operator drops it."""
        body = self._text(line.data)
        if not body:
            return None
        said: str | None = (
            f"a piece of at most {self._settings.max_log_size} bytes of a longer one: raise max_log_size"
            if line.cut
            else None
        )
        if self._settings.format and not said:
            try:
                return self._foreign(part, line, names)
            except DataError as fault:
                said = str(fault)
        now = self._host.now()
        entry = Entry(body, now, self._attributes | names, self._resource.copy())
        stays, trouble = through(self._settings.operators, entry, now)
        if said or trouble:
            self._offering.doubt(part.file.path, place_of(line.number, line.start), said or trouble or "")
        if not stays:
            return None
        resource = {"attributes": pairs(entry.resource)} if entry.resource else {}
        return Made(line, resource, {"name": entry.scope} if entry.scope else {}, entry.record())

    def _text(self, data: bytes) -> str | bytes:
        text: str | bytes = data if self._raw else data.decode("utf-8", "replace")
        if not self._settings.preserve_leading_whitespaces:
            text = text.lstrip()
        return text if self._settings.preserve_trailing_whitespaces else text.rstrip()

    def _foreign(self, part: Part, line: Line, names: dict[str, Any]) -> Made:
        """The record of a line of another tool. Raises DataError."""
        try:
            fields = orjson.loads(line.data)
        except orjson.JSONDecodeError as fault:
            raise DataError(f"no JSON: {fault}") from None
        if not isinstance(fields, dict):
            raise DataError("no JSON object")
        found = otlp_of(_FORMS[self._settings.format or "structlog"](fields), _stem(part.file.path))
        (around,) = found["resourceLogs"]
        (scope,) = around["scopeLogs"]
        (record,) = scope["logRecords"]
        record["attributes"] += pairs(self._attributes | names)
        resource = {"attributes": around["resource"]["attributes"] + pairs(self._resource)}
        return Made(line, resource, scope["scope"], record)


def batch_of(made: Sequence[Made]) -> Batch:
    """One request of all of them."""
    return Batch("logs", tree=tree_of(made), transport="file")


def tree_of(made: Sequence[Made]) -> dict[str, Any]:
    """One request of all of them: neighbours with the same resource and scope together."""
    resources: list[dict[str, Any]] = []
    for resource, of_resource in _runs(made, lambda one: one.resource):
        scopes = [
            {"scope": scope, "logRecords": [one.record for one in of_scope]}
            for scope, of_scope in _runs(of_resource, lambda one: one.scope)
        ]
        resources.append({"resource": resource, "scopeLogs": scopes})
    return {"resourceLogs": resources}


def _runs(made: Sequence[Made], of: Any) -> Iterator[tuple[dict[str, Any], list[Made]]]:
    run: list[Made] = []
    for one in made:
        if run and of(one) != of(run[0]):
            yield of(run[0]), run
            run = []
        run.append(one)
    if run:
        yield of(run[0]), run


@lru_cache(maxsize=1000)
def _stem(path: str) -> str:
    """The file's name without the endings that say how it is written."""
    name = Path(path).name
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    return name or Path(path).name


def splitting_of(settings: FilelogSettings) -> Splitting:
    """How these settings cut a file into records."""
    many = settings.multiline or Multiline.model_construct()
    starts, ends = (one and pattern(one) for one in (many.line_start_pattern, many.line_end_pattern))
    encoding = None if settings.encoding == "nop" else settings.encoding or "utf-8"
    return Splitting(settings.max_log_size, True, encoding, starts, ends)


PLUG = Plug(FilelogSettings, LogFiles, once=True)
