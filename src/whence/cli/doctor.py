"""`whence doctor`: what is installed and configured, and whether it works."""

import os
import platform
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from importlib.metadata import EntryPoint, PackageNotFoundError, distributions, entry_points
from pathlib import Path
from typing import Final, Literal

from whence.cli.options import ARCHIVE, ArchiveOption, JsonOption
from whence.cli.output import screen, write, write_json
from whence.cli.screen import Screen, Style
from whence.cli.text import pad, safe
from whence.native import CORE, Choice
from whence.version import VERSION

Health = Literal["ok", "note", "wrong"]

_SIGNALS: Final = ("traces", "logs", "metrics")
_LOW_SPACE: Final = 500_000_000
"""Bytes: room for one segment at the default rotation size."""
_LOW_INODES: Final = 1_000
_SECRET: Final = ("HEADERS", "TOKEN", "KEY", "SECRET", "PASSWORD")
_DURABILITIES: Final = ("interval", "durable", "none")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: `note` is worth knowing, `wrong` keeps whence from doing what was asked."""

    what: str
    health: Health
    said: str


def doctor(*, archive: ArchiveOption = ARCHIVE, json: JsonOption = False) -> int:
    """Check the installation, the settings and the archive.

    Python and the packages, whether the exporters' entry points load, environment variables and their spelling, whether
    the archive can be written, its durability, and room on the disk. Exits with 1 where anything is wrong.
    """
    found = [*installed(), *exporters(), *environment(os.environ, exporter_names()), *storage(archive)]
    if json:
        write_json(map(asdict, found))
    else:
        there = screen()
        width = max(len(finding.what) for finding in found)
        write(finding_line(finding, width, there) for finding in found)
    return int(any(finding.health == "wrong" for finding in found))


def finding_line(finding: Finding, width: int, screen: Screen) -> str:
    """One finding in one line; `width` of the column that says what was looked at."""
    marks: dict[Health, tuple[str, Style]] = {
        "ok": ("ok   ", "good"),
        "note": ("note ", "warning"),
        "wrong": ("WRONG", "error"),
    }
    mark, style = marks[finding.health]
    return f"{screen.paint(mark, style)}  {pad(safe(finding.what), width)}  {safe(finding.said)}".rstrip()


# --- what is installed ------------------------------------------------------------------------------------------------


def installed() -> Iterator[Finding]:
    """Python, whence and the OpenTelemetry packages, with their versions."""
    yield Finding("python", "ok", f"{platform.python_version()} at {sys.executable}")
    yield Finding("whence", "ok", VERSION)
    yield core(CORE)
    try:
        versions = sorted(
            {
                (name, found.version)
                for found in distributions()
                if (name := found.name or "").startswith("opentelemetry")
            }
        )
    except (PackageNotFoundError, OSError) as fault:
        yield Finding("packages", "wrong", f"cannot list the installed packages: {fault}")
        return
    for name, found_version in versions:
        yield Finding(name, "ok", found_version)
    for name in ("opentelemetry-api", "opentelemetry-sdk"):
        if name not in dict(versions):
            yield Finding(name, "wrong", f"not installed: pip install {name}")


def core(choice: Choice) -> Finding:
    """Which core reads and writes OTLP, and why; either gives the same answers."""
    if choice.module is None:
        return Finding("core", "note", f"pure Python, several times slower: {choice.why}")
    return Finding("core", "ok", f"native: {choice.why}")


def exporters() -> Iterator[Finding]:
    """Whether whence's exporters are found and load, as `OTEL_*_EXPORTER=whence` needs."""
    for signal in _SIGNALS:
        what = f"OTEL_{signal.upper()}_EXPORTER=whence"
        found = list(entry_points(group=f"opentelemetry_{signal}_exporter", name="whence"))
        yield Finding(what, *_loads(found))


def _loads(found: Iterable[EntryPoint]) -> tuple[Health, str]:
    for point in found:
        try:
            point.load()
        except Exception as fault:  # noqa: BLE001 - whatever an import raises is the finding
            return "wrong", f"cannot load {point.value}: {fault!r}"
        return "ok", point.value
    return "wrong", "no entry point: install whence (pip install whence) into this Python"


def exporter_names() -> dict[str, set[str]]:
    """The exporter names that are installed, by signal."""
    return {
        signal: {point.name for point in entry_points(group=f"opentelemetry_{signal}_exporter")} for signal in _SIGNALS
    }


# --- what is configured -----------------------------------------------------------------------------------------------


def environment(variables: Mapping[str, str], names: Mapping[str, set[str]]) -> Iterator[Finding]:
    """The OTEL_* and WHENCE_* variables, and what is wrong with them. Values that may be secret are not shown."""
    for variable in sorted(variables):
        value = variables[variable]
        if variable.startswith("OTEL_") and variable.endswith("_EXPORTER"):
            yield _exporter_variable(variable, value, names)
        elif variable == "WHENCE_DURABILITY" and value not in _DURABILITIES:
            yield Finding(variable, "wrong", f"{value!r} is not one of {', '.join(_DURABILITIES)}")
        elif variable == "OTEL_SDK_DISABLED" and value.lower() == "true":
            yield Finding(variable, "wrong", "true: OpenTelemetry is switched off and nothing is recorded")
        elif variable.startswith(("OTEL_", "WHENCE_")):
            secret = any(word in variable for word in _SECRET)
            yield Finding(variable, "ok", "(set, not shown)" if secret else value)


def _exporter_variable(variable: str, value: str, names: Mapping[str, set[str]]) -> Finding:
    signal = variable.removeprefix("OTEL_").removesuffix("_EXPORTER").lower()
    known = names.get(signal)
    if known is None:
        return Finding(variable, "wrong", f"no such variable: there are {', '.join(map(_variable, _SIGNALS))}")
    # The SDK knows `none` by itself, and takes `otlp` for whichever OTLP exporter is installed.
    known = known | {"none"} | ({"otlp"} if any(name.startswith("otlp") for name in known) else set())
    for name in filter(None, map(str.strip, value.split(","))):
        if name not in known:
            near = get_close_matches(name, sorted(known), 1)
            hint = f": did you mean {near[0]!r}?" if near else f": there are {', '.join(sorted(known))}"
            return Finding(variable, "wrong", f"no exporter is called {name!r}{hint}")
    return Finding(variable, "ok", value)


def _variable(signal: str) -> str:
    return f"OTEL_{signal.upper()}_EXPORTER"


# --- where it is written ----------------------------------------------------------------------------------------------


def storage(directory: Path) -> Iterator[Finding]:
    """Whether the archive, or the place where it would be made, can be written; durability and room."""
    place = directory.absolute()
    nearest = next(parent for parent in (place, *place.parents) if parent.exists())
    said = str(place) if nearest == place else f"{place} does not exist yet; it would be made in {nearest}"
    fault = _cannot_write(nearest)
    yield Finding("archive", "wrong" if fault else "ok", fault or said)
    durability = os.environ.get("WHENCE_DURABILITY", "interval")
    yield Finding("durability", "ok", f"{durability} (as set by WHENCE_DURABILITY, unless the program says otherwise)")
    try:
        stat = os.statvfs(nearest)
    except OSError as cause:
        yield Finding("disk", "wrong", f"cannot ask how much room there is at {nearest}: {cause.strerror}")
        return
    free = stat.f_bavail * stat.f_frsize
    yield Finding("disk", "wrong" if free < _LOW_SPACE else "ok", f"{free / 1e9:.1f} GB free")
    if stat.f_files:  # some file systems have no fixed number of inodes and say 0
        low = stat.f_favail < _LOW_INODES
        yield Finding("inodes", "wrong" if low else "ok", f"{stat.f_favail} free")


def _cannot_write(directory: Path) -> str | None:
    """Why nothing can be written there, found by writing; None where it can."""
    if not directory.is_dir():
        return f"{directory} is not a directory: choose another with -a or WHENCE_ARCHIVE"
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(b"whence doctor")
            file.flush()
            os.fsync(file.fileno())
    except OSError as fault:
        return f"cannot write in {directory}: {fault.strerror}"
    return None
