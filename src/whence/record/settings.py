"""Every setting of recording, and where it comes from: the call, else the environment, else a YAML file, else its default.

`read_settings` is all that callers need. Only it reads a file; the rest is pure, with arguments, variables and text given.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from whence.archive.terms import Durability, WriterOptions
from whence.errors import ConfigError
from whence.event.kinds import Verbosity
from whence.event.misfits import misfits, nearest
from whence.event.typed import Label
from whence.event.units import parse_duration, parse_size
from whence.index.background import begin_build
from whence.record.queue import WhenFull
from whence.record.written import (
    Days,
    Duration,
    Level,
    Size,
    as_choice,
    as_endpoint,
    as_headers,
    as_names,
    as_pairs,
    as_path,
    as_rules,
    or_never,
)

PREFIX: Final = "WHENCE_"
CONFIG: Final = "config"
"""The one argument, and variable, that is no setting: where the YAML file is."""

Place = tuple[str | int, ...]


# --- the settings -------------------------------------------------------------------------------------------------------


class Otlp(BaseModel):
    """Where finished records also go, by OTLP. Needs `whence[otlp]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: Annotated[str, BeforeValidator(as_endpoint)] = Field(
        description="the receiver, such as `http://localhost:4318`; with `https://`, encrypted"
    )
    protocol: Annotated[Literal["grpc", "http/protobuf"] | None, BeforeValidator(as_choice)] = Field(
        None, description="`grpc` or `http/protobuf`; by default `grpc` for port 4317 and `http/protobuf` for any other"
    )
    headers: Annotated[dict[str, str], BeforeValidator(as_headers)] = Field(
        {}, description="headers sent along, such as an API key; in the variable as `name=value,name=value`", repr=False
    )
    timeout: Duration = Field(10.0, description="how long one request may take")


class Retention(BaseModel):
    """What `whence retain` keeps, where its options do not say otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: Days = Field(default=30, description="how many days events are kept that no rule names")
    error_days: Days = Field(default=365, description="the same for events of severity ERROR and worse")
    audit_days: Days = Field(default=2_555, description="the same for audit events; no rule of `keep` shortens it")
    keep: Annotated[dict[Label, Days], BeforeValidator(as_rules)] = Field(
        default={},
        description="days by filter; the first that matches decides about an event; in the variable as a JSON object. "
        "Needs `whence[query]`",
    )
    run_events: Annotated[int | None, BeforeValidator(or_never(lambda value: value)), Field(ge=0)] = Field(
        default=None, description="events kept of one run, at most"
    )
    run_bytes: Annotated[Size | None, BeforeValidator(or_never(parse_size))] = Field(
        default=None, description="the disk space one run may take"
    )
    total_bytes: Annotated[Size | None, BeforeValidator(or_never(parse_size))] = Field(
        default=None, description="the disk space the archive may take"
    )


class Settings(BaseModel):
    """Every setting of recording, and of what is kept of it. Made by `read_settings`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    archive: Annotated[Path, BeforeValidator(as_path)] = Field(
        Path("whence-archive"), description="the archive's directory; made if it is not there"
    )
    run: Label | None = Field(default=None, description="the run's id; by default made of the time and a random part")
    service: Label | None = Field(
        default=None, description="the program's name (`service.name`); by default its script's name"
    )
    verbosity: Level = Field(
        Verbosity.ACTION,
        description="how much is recorded: `milestone`, `decision`, `action`, `state` or `detail`, each with those before it",
    )
    verbosity_by_agent: Annotated[dict[Label, Level], BeforeValidator(as_pairs)] = Field(
        {}, description="the same for some agents, by agent id; in the variable as `a7=detail,a8=state`"
    )
    durability: Annotated[Durability, BeforeValidator(as_choice)] = Field(
        Durability.INTERVAL,
        description="what a power cut may cost: `interval`, as much as `sync_seconds` says; `durable`, nothing that emit has "
        "returned for; `none`, half a minute. A killed program loses only what is queued, with `durable` nothing",
    )
    queue_size: int = Field(10_000, description="records waiting to be written, at most", ge=1)
    when_full: Annotated[WhenFull, BeforeValidator(as_choice)] = Field(
        WhenFull.HELP,
        description="what a record that finds the queue full does: `help` to give way to the writer for a millisecond before "
        "it is dropped, `drop_newest`, `drop_oldest`, `block` until there is room, `unbounded`",
    )
    rotate_bytes: Size = Field(500_000_000, description="a file is closed, and another begun, at this size", ge=1)
    rotate_seconds: Annotated[Duration | None, BeforeValidator(or_never(parse_duration))] = Field(
        None, description="a file is closed at this age too"
    )
    compress_over: Annotated[Size | None, BeforeValidator(or_never(parse_size))] = Field(
        1 << 20, description="closed files larger than this are compressed (zstd)"
    )
    encrypt_to: Annotated[tuple[Label, ...], BeforeValidator(as_names)] = Field(
        (),
        description="closed files are encrypted to these age public keys (`age1...`); in the variable with commas between them. "
        "Needs `whence[encrypt]`",
    )
    index_closed: bool = Field(
        True,
        description="have another process, of low priority, index closed files, so that the first question about them is "
        "answered at once. Needs `whence[query]`; without, nothing happens",
    )
    sync_seconds: Annotated[Duration, Field(gt=0)] = Field(
        0.1, description="with `durability: interval`, how long written data may wait to be put on the device"
    )
    sync_bytes: Annotated[Size, Field(ge=1)] = Field(
        1 << 20, description="with `durability: interval`, how much written data may wait, at most"
    )
    hold_bytes: Size = Field(64 << 20, description="memory for records while the disk is full or fails")
    console: bool = Field(False, description="show each event as a log line tagged `[events]` too")
    logging: bool = Field(True, description="record the program's ordinary logging too")
    metrics: bool = Field(True, description="record the program's OpenTelemetry metrics too")
    bridge: bool | None = Field(
        None,
        description="show events on their spans' timelines (as span events) to trace viewers; by default where `otlp` is set",
    )
    otlp: Otlp | None = Field(
        default=None, description="send everything to an OTLP receiver too: its endpoint, or the settings below"
    )
    retention: Retention = Field(Retention(), description="what `whence retain` keeps: the settings below")
    handle_sigterm: bool = Field(False, description="on SIGTERM write what is queued and exit with code 143")
    shutdown_timeout: Duration = Field(
        10.0, description="how long the end of the program may wait for the last records"
    )

    def writer_options(self) -> WriterOptions:
        """Those of the settings that concern the archive's writer."""
        return WriterOptions(
            durability=self.durability,
            rotate_bytes=self.rotate_bytes,
            rotate_seconds=self.rotate_seconds,
            sync_seconds=self.sync_seconds,
            sync_bytes=self.sync_bytes,
            compress_over=self.compress_over,
            encrypt_to=self.encrypt_to,
            hold_bytes=self.hold_bytes,
            on_sealed=begin_build if self.index_closed else None,
        )


GROUPS: Final[Mapping[str, type[BaseModel]]] = {"otlp": Otlp, "retention": Retention}
"""Settings that are groups of settings."""


def variables() -> dict[str, Place]:
    """Every environment variable and the setting it gives: `WHENCE_OTLP_ENDPOINT` gives `otlp.endpoint`."""
    found: dict[str, Place] = {}
    for name in Settings.model_fields:
        if name in GROUPS:
            found |= {f"{PREFIX}{name}_{inner}".upper(): (name, inner) for inner in GROUPS[name].model_fields}
        else:
            found[f"{PREFIX}{name}".upper()] = (name,)
    return found


# --- where they come from -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Source:
    """Settings given in one place: their values, and what each one is called there."""

    values: Mapping[str, Any]
    called: Mapping[Place, str] = field(default_factory=dict)
    otherwise: str = "{}"
    """What a setting that is not in `called` is called; `{}` is its own name."""

    def name_of(self, place: Place) -> str:
        """How to speak of a setting, so that whoever set it finds it: `queue_size (whence.yaml, line 4)`."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.called:
                return self.called[place[:length]]
        return self.otherwise.format(".".join(map(str, place)))


def read_settings(
    arguments: Mapping[str, Any], environ: Mapping[str, str], read: Callable[[Path], str] | None = None
) -> Settings:
    """The settings that hold, from a call's arguments, the environment, and the YAML file that either of them names.

    `read` gives a file's text. Raises ConfigError naming where the fault is, the key, what was expected and what was there.
    """
    given = dict(arguments)
    file = given.pop(CONFIG, None) or environ.get(f"{PREFIX}{CONFIG.upper()}")
    sources = [from_environment(environ), from_arguments(given)]
    if file:
        sources.insert(0, from_file(str(file), (read or _read)(Path(file))))
    return settings_of(sources)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as trouble:
        cause = trouble.strerror if isinstance(trouble, OSError) else trouble
        raise ConfigError(f"cannot read the configuration file {str(file)!r}: {cause}") from trouble


def from_arguments(arguments: Mapping[str, Any]) -> Source:
    """What a call was given. `otlp` may be just the endpoint."""
    return Source(dict(arguments), otherwise="{} (argument)")


def from_environment(environ: Mapping[str, str]) -> Source:
    """What `WHENCE_*` variables say; an empty one says nothing. Raises ConfigError for one that is nearly a setting's name."""
    known = variables()
    values: dict[str, Any] = {}
    called: dict[Place, str] = {}
    for variable, place in known.items():
        text = environ.get(variable)
        if not text:
            continue
        group = values.setdefault(str(place[0]), {}) if len(place) > 1 else values
        group[str(place[-1])] = text
        called[place] = f"{variable} (environment)"
    for variable in environ:
        _suspect(variable, known)
    return Source(values, called, "{} (environment)")


_FOREIGN: Final = re.compile(r".*_(SERVICE_(HOST|PORT.*)|PORT(_.*)?)")
"""Variables Kubernetes makes for a service that is called `whence`."""


def _suspect(variable: str, known: Mapping[str, Place]) -> None:
    """A variable nobody reads is no error: others may use the prefix. A typo is."""
    if not variable.startswith(PREFIX) or variable in known or _FOREIGN.fullmatch(variable):
        return
    names = [*known, f"{PREFIX}{CONFIG.upper()}"]
    close = get_close_matches(variable, names, 1, 0.85)
    if close and variable not in names:
        raise ConfigError(f"cannot use {variable} (environment): there is no such setting; did you mean {close[0]!r}?")


def from_file(file: str, text: str) -> Source:
    """What a YAML file says, each key with its line. Raises ConfigError where it is not YAML, or not a mapping."""
    from ruamel.yaml import YAML  # slow to import, and most programs have no file
    from ruamel.yaml.error import YAMLError

    try:
        loaded = YAML(typ="rt", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError) as trouble:
        mark = getattr(trouble, "problem_mark", None)
        where = f"{file}, line {mark.line + 1}" if mark else file
        cause = getattr(trouble, "problem", None) or str(trouble).partition("\n")[0]
        raise ConfigError(f"cannot read {where}: not YAML: {cause}") from trouble
    if loaded is None:
        return Source({})
    if not isinstance(loaded, Mapping):
        raise ConfigError(f"cannot read {file}: expected settings such as `archive: ./records`, one a line")
    called: dict[Place, str] = {}
    for place, line in _lines(loaded, ()):
        called[place] = f"{'.'.join(map(str, place))} ({file}, line {line})"
    return Source(loaded, called, f"{{}} ({file})")


def _lines(mapping: Any, above: Place) -> Iterator[tuple[Place, int]]:
    for key, value in mapping.items():
        at = (mapping.lc.data or {}).get(key)  # nothing for a key that a YAML merge brought in
        if at is not None:
            yield (*above, key), at[0] + 1
        if hasattr(value, "lc") and isinstance(value, Mapping):
            yield from _lines(value, (*above, key))


# --- together -----------------------------------------------------------------------------------------------------------


def settings_of(sources: Sequence[Source]) -> Settings:
    """The settings that hold when later sources go before earlier ones, key by key, in groups too.

    Raises ConfigError naming every unknown key and every value that does not fit, and where it was set.
    """
    merged: dict[str, Any] = {}
    origin: dict[str | int, Source] = {}
    faults: list[str] = []
    for source in sources:
        faults += _unknown(source)
        for key, value in source.values.items():
            before, now = merged.get(key), _group(key, value)
            if key in GROUPS and isinstance(before, Mapping) and isinstance(now, Mapping):
                now = {**before, **now}
            merged[key] = now
            origin[key] = _over(origin.get(key), source)
    if not faults:
        try:
            return Settings(**merged)
        except ValidationError as error:
            faults = [f"{origin[place[0]].name_of(place)}: {_hushed(place, wrong)}" for place, wrong in misfits(error)]
    raise ConfigError(f"cannot use {'; '.join(faults)}")


def _group(key: str, value: Any) -> Any:
    """A group that is given in short, or ready-made, as its settings."""
    if key not in GROUPS:
        return value
    if key == "otlp" and isinstance(value, str):
        return {"endpoint": value}
    return value.model_dump(exclude_unset=True) if isinstance(value, BaseModel) else value


def _over(before: Source | None, now: Source) -> Source:
    """Where parts of a group come from several sources, each part is still called what it is called where it was set."""
    return now if before is None else Source({}, {**before.called, **now.called}, now.otherwise)


def _unknown(source: Source) -> Iterator[str]:
    for key, value in source.values.items():
        if key not in Settings.model_fields:
            known = [*Settings.model_fields, CONFIG]
            yield f"{source.name_of((key,))}: there is no such setting{nearest(str(key), known)}"
        elif key in GROUPS and isinstance(value, Mapping):
            known = list(GROUPS[key].model_fields)
            for inner in value:
                if inner not in known:
                    yield f"{source.name_of((key, inner))}: there is no such setting{nearest(str(inner), known)}"


def _hushed(place: Place, wrong: str) -> str:
    """Never a header's value, or a password in an address, in an error: it may be a key to somebody's account."""
    return wrong.partition(", got ")[0] if "headers" in place or "@" in wrong else wrong
