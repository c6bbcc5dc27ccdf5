"""Names of the exporter `file`: which groups have files, what closed files are called, and which of them are too many or too old.

The law: pure. `now` and the time zone are given.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final

STAR: Final = "*"
"""Where a path has the group's name."""
_TIME: Final = "%Y-%m-%dT%H-%M-%S.%f"
_WRITTEN: Final = r"(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3})(?:-[a-z]+)?"
"""The Collector's own closed files have their reason (`-size`) behind the time."""
_PACKED: Final = (".zst", ".gz")


def groups_there(pattern: str, paths: Iterable[str]) -> Iterator[str]:
    """The groups whose files are among these paths; closed files are not counted as groups of their own."""
    before, _, behind = pattern.partition(STAR)
    for path in paths:
        group = path.removeprefix(before).removesuffix(behind)
        if not re.search(f"-{_WRITTEN}$", group):
            yield group


def closed_name(path: Path, at: datetime, taken: Iterable[str]) -> str:
    """What a file is called once it is closed: `traces-2026-01-02T03-04-05.678.json`. Never one of `taken`."""
    stem, ending = _parts(path)
    others = set(taken)
    while (name := f"{stem}-{at.strftime(_TIME)[:-3]}{ending}") in others:
        at += timedelta(milliseconds=1)
    return name


def closed_at(path: Path, name: str, zone: tzinfo) -> datetime | None:
    """When the file of this name was closed; None where it is none of this path's."""
    stem, ending = _parts(path)
    found = re.fullmatch(re.escape(stem) + "-" + _WRITTEN + re.escape(ending), name)
    if not found:
        return None
    try:
        return datetime.strptime(found[1], _TIME).replace(tzinfo=zone)
    except ValueError:
        return None


def surplus(path: Path, names: Iterable[str], most: int, days: int, now: datetime) -> list[str]:
    """Of the names in its directory, the closed files of this path beyond `most`, or older than `days`; 0: no bound."""
    zone = now.tzinfo
    assert zone is not None
    dated = [(at, name) for name in names if (at := closed_at(path, name, zone)) is not None]
    newest = sorted(dated, reverse=True)
    kept = newest[:most] if most else newest
    if days:
        kept = [one for one in kept if now - one[0] <= timedelta(days=days)]
    return [name for at, name in newest if (at, name) not in kept]


def fitting(sizes: Sequence[int], room: int, most: int) -> list[int]:
    """How many of the pieces go into the file that has `room`, into the next that holds `most`, and so on.

    The first number may be 0. A piece larger than `most` has a file of its own.
    """
    counts = [0]
    for size in sizes:
        if size > room and room != most:
            counts.append(0)
            room = most
        counts[-1] += 1
        room -= size
    return counts


def _parts(path: Path) -> tuple[str, str]:
    """The name without its ending, and that: `.json`, `.json.zst`."""
    ending = path.suffix
    stem = path.name.removesuffix(ending) if ending else path.name
    if ending in _PACKED:
        inner = Path(stem).suffix
        return stem.removesuffix(inner) if inner else stem, inner + ending
    return stem, ending
