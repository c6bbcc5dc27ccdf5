"""The editors: what a statement does to what it names.

The law: pure. A key that is not there, and nil, are nothing to change.
"""

import re
from collections.abc import Callable, MutableMapping
from functools import lru_cache
from typing import Any

from whence.collect.ottl.calculate import kind_name
from whence.collect.ottl.errors import Failure
from whence.collect.ottl.functions import Regex, Taken, Target, bounded, editor
from whence.collect.records.patterns import pattern, template
from whence.collect.records.plain import as_string
from whence.collect.records.walk import Place

Map = MutableMapping[str, Any]

_template = lru_cache(maxsize=512)(template)


@editor
def set_(place: Place, target: Target, value: Any) -> None:
    """Sets a path to a value; nil changes nothing."""
    if value is not None:
        target.write(place, value)


@editor
def delete_key(place: Place, target: Target, key: str) -> None:
    """Takes one key out of a map."""
    target.change(place, lambda of: _drop(of, [key]))


@editor
def delete_matching_keys(place: Place, target: Target, pattern: Regex) -> None:
    """Takes the keys that match out of a map."""
    search = _search(pattern)
    target.change(place, lambda of: _drop(of, [key for key in of if search(key)]))


@editor
def keep_keys(place: Place, target: Target, keys: list[Any]) -> None:
    """Takes all other keys out of a map."""
    kept = {as_string(key) for key in keys}
    target.change(place, lambda of: _drop(of, [key for key in of if key not in kept]))


@editor
def keep_matching_keys(place: Place, target: Target, pattern: Regex) -> None:
    """Takes the keys that do not match out of a map."""
    search = _search(pattern)
    target.change(place, lambda of: _drop(of, [key for key in of if not search(key)]))


@editor
def limit(place: Place, target: Target, limit: int, priority_keys: list[Any] | None = None) -> None:
    """Leaves at most so many keys in a map: those of `priority_keys` before any other."""
    first = {as_string(key) for key in priority_keys or ()}
    if limit < 0 or len(first) > limit:
        raise Failure(f"limit: {limit} is less than the number of priority keys, or than zero")

    def cut(of: Map) -> None:
        kept = set(sorted(of, key=lambda key: key not in first)[:limit])
        _drop(of, [key for key in of if key not in kept])

    target.change(place, cut)


@editor
def truncate_all(place: Place, target: Target, limit: int) -> None:
    """Cuts the texts that are a map's values to so many bytes, between characters."""
    if limit < 0:
        raise Failure("truncate_all: the limit is less than zero")

    def cut(of: Map) -> None:
        for key, value in list(of.items()):
            if isinstance(value, str) and len(data := value.encode()) > limit:
                of[key] = data[:limit].decode(errors="ignore")

    target.change(place, cut)


@editor
def replace_pattern(  # noqa: PLR0917 - OTTL's own order, of which the last may be left out
    place: Place, target: Target, regex: Regex, replacement: str, function: Taken = None,
    replacement_format: str | None = None,
) -> None:  # fmt: skip
    """Replaces what matches in a text; `$1` in the replacement is a group."""
    replace = _replacing(regex, replacement, function, replacement_format)
    value = target.read(place)
    if isinstance(value, str) and (now := replace(value)) != value:
        target.write(place, now)


@editor
def replace_match(  # noqa: PLR0917 - OTTL's own order, of which the last may be left out
    place: Place, target: Target, pattern: str, replacement: str, function: Taken = None,
    replacement_format: str | None = None,
) -> None:  # fmt: skip
    """Replaces a whole text that fits a glob: `*` any run, `?` any one character."""
    value = target.read(place)
    if isinstance(value, str) and _glob(pattern).fullmatch(value):
        target.write(place, _whole(value, replacement, function, replacement_format))


@editor
def replace_all_patterns(  # noqa: PLR0917 - OTTL's own order, of which the last may be left out
    place: Place, target: Target, mode: str, regex: Regex, replacement: str,
    function: Taken = None, replacement_format: str | None = None,
) -> None:  # fmt: skip
    """Replaces what matches in a map's keys or in those of its values that are text; `mode`: `key` or `value`."""
    replace = _replacing(regex, replacement, function, replacement_format)

    def change(of: Map) -> None:
        for key, value in list(of.items()):
            if mode == "value" and isinstance(value, str) and (now := replace(value)) != value:
                of[key] = now
            elif mode == "key" and (name := replace(key)) != key:
                del of[key]
                of[name] = value

    if mode not in ("key", "value"):
        raise Failure('replace_all_patterns: expected "key" or "value" for mode')
    target.change(place, change)


@editor
def replace_all_matches(  # noqa: PLR0917 - OTTL's own order, of which the last may be left out
    place: Place, target: Target, pattern: str, replacement: str, function: Taken = None,
    replacement_format: str | None = None,
) -> None:  # fmt: skip
    """Replaces those of a map's values that are text and fit a glob as a whole."""
    glob = _glob(pattern)

    def change(of: Map) -> None:
        for key, value in list(of.items()):
            if isinstance(value, str) and glob.fullmatch(value):
                of[key] = _whole(value, replacement, function, replacement_format)

    target.change(place, change)


@editor
def merge_maps(place: Place, target: Target, source: dict[str, Any], strategy: str = "upsert") -> None:
    """Adds the keys of another map: `insert` those that are not there, `update` those that are, `upsert` both."""
    if strategy not in ("insert", "update", "upsert"):
        raise Failure('merge_maps: expected "insert", "update" or "upsert" for strategy')

    def merge(of: Map) -> None:
        for key, value in source.items():
            if strategy == "upsert" or (key in of) is (strategy == "update"):
                of[key] = value

    if target.edit is None and target.read(place) is None:
        target.write(place, {})
    target.change(place, merge)


@editor
def flatten(
    place: Place, target: Target, prefix: str = "", depth: int | None = None, resolve_conflicts: bool = False
) -> None:
    """Lifts what is in nested maps and lists into the map itself, under keys with dots: `a.b.0`."""
    if depth is not None and depth < 0:
        raise Failure("flatten: the depth is less than zero")

    def change(of: Map) -> None:
        found: dict[str, Any] = {}
        for key, value in list(of.items()):
            _flatten(found, f"{prefix}.{key}" if prefix else key, value, depth, resolve_conflicts)
        _drop(of, [key for key in of if key not in found])
        for key, value in found.items():
            if key not in of or isinstance(of[key], (dict, list)) or of[key] != value:
                of[key] = value

    target.change(place, change)


def _flatten(found: dict[str, Any], key: str, value: Any, depth: int | None, apart: bool) -> None:
    if isinstance(value, (dict, list)) and value and depth != 0:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for inner, item in items:
            _flatten(found, f"{key}.{inner}", item, None if depth is None else depth - 1, apart)
        return
    if apart and key in found:
        key = next(name for n in range(len(found) + 1) if (name := f"{key}.{n}") not in found)
    found[key] = value


@editor
def append(place: Place, target: Target, value: Any = None, values: list[Any] | None = None) -> None:
    """Adds to the end of a list; what is no list becomes one first."""
    before = target.read(place)
    items = list(before) if isinstance(before, list) else [] if before is None else [before]
    target.write(place, [*items, *([] if value is None else [value]), *(values or [])])


# --- how ------------------------------------------------------------------------------------------------------------------


def _drop(of: Map, keys: list[str]) -> None:
    for key in keys:
        of.pop(key, None)


def _search(regex: Any) -> Callable[[str], Any]:
    return regex.search  # type: ignore[no-any-return]


def _replacing(regex: Any, replacement: str, function: Any, shape: str | None) -> Callable[[str], str]:
    fill = _template(replacement)

    def one(match: Any) -> str:
        return _through(fill(match), function, shape)

    return lambda value: bounded("replace_pattern", regex.sub(one, value))


def _whole(value: str, replacement: str, function: Any, shape: str | None) -> str:
    return _through(replacement if function is None else value, function, shape)


def _through(text: str, function: Any, shape: str | None) -> str:
    if function is not None:
        found = function(text)
        if not isinstance(found, str):
            raise Failure(f"the function gives {kind_name(found)} as replacement, not a text")
        text = found
    return text if shape is None else shape.replace("%s", text)


@lru_cache(maxsize=512)
def _glob(text: str) -> Any:
    return pattern("(?s)" + "".join(".*" if one == "*" else "." if one == "?" else re.escape(one) for one in text))
