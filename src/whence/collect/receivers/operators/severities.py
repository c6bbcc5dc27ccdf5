"""Severities by the words and numbers that programs write, as the Collector's `severity` block maps them.

The law: pure. Source: pkg/stanza/docs/types/severity.md.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

_NAMES: Final = ("trace", "debug", "info", "warn", "error", "fatal")
ALIASES: Final[Mapping[str, int]] = {
    f"{name}{step or ''}": 4 * place + max(step, 1) for place, name in enumerate(_NAMES) for step in (0, 2, 3, 4)
}
"""`info` is 9, `info2` is 10."""
_SYNONYMS: Final = {"warning": "warn", "err": "error"}
_CLASSES: Final = {f"{n}xx": range(n * 100, n * 100 + 100) for n in (2, 3, 4, 5)}
_WIDEST: Final = 100_000


def severities(preset: str, mapping: Mapping[str, Any]) -> dict[str, int]:
    """The severity number of each text, in lower case. Raises ValueError."""
    found: dict[str, int] = {}
    if preset != "none":
        found = {**ALIASES, **{str(number): number for number in ALIASES.values()}}
    if preset == "default":
        for word, name in _SYNONYMS.items():
            found |= {f"{word}{step}": ALIASES[f"{name}{step}"] for step in ("", "2", "3", "4")}
    for alias, values in mapping.items():
        number = 0 if alias == "default" else ALIASES.get(str(alias).lower())
        if number is None:
            raise ValueError(f"severities such as info, warn or error2, not {alias}")
        for value in values if isinstance(values, (list, tuple)) else [values]:
            found |= dict.fromkeys(_texts(value), number)
    return found


def name_of(number: int) -> str:
    """The short name of a severity number: `INFO2`."""
    place, step = divmod(number - 1, 4)
    return f"{_NAMES[place].upper()}{step + 1 if step else ''}" if number else ""


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        least, most = value.get("min"), value.get("max")
        if set(value) != {"min", "max"} or not isinstance(least, int) or not isinstance(most, int):
            raise ValueError("a range of two whole numbers: {min: 300, max: 399}")
        if abs(most - least) > _WIDEST:
            raise ValueError(f"a range of {_WIDEST} numbers at most")
        yield from (str(number) for number in range(min(least, most), max(least, most) + 1))
    elif str(value) in _CLASSES:
        yield from map(str, _CLASSES[str(value)])
    elif isinstance(value, (str, int)):
        yield str(value).lower()
    else:
        raise ValueError("words, whole numbers, ranges, and 2xx to 5xx")
