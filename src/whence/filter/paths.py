"""Where a filter looks, and the pipes after it: the paths that are written in them.

The law: pure. What looks everywhere (a text anywhere) names no path.
"""

from collections.abc import Iterator

from whence.filter.tree import (
    Among,
    Both,
    Bucket,
    Caused,
    CausedBy,
    Compare,
    Contains,
    Count,
    Distinct,
    Either,
    Exists,
    Fields,
    Filter,
    Like,
    Matches,
    Negation,
    Path,
    Pipe,
    Query,
    Sort,
    StartsWith,
    Stat,
    Top,
)


def paths_in(tree: Filter) -> Iterator[Path]:
    """Every path that a filter names, those of its questions about causes and effects too."""
    match tree:
        case Both(parts) | Either(parts):
            for part in parts:
                yield from paths_in(part)
        case Negation(part) | CausedBy(part) | Caused(part):
            yield from paths_in(part)
        case (
            Compare(path) | Among(path) | Like(path) | Contains(path) | StartsWith(path) | Matches(path) | Exists(path)
        ):
            yield path


def paths_of(query: Query) -> Iterator[Path]:
    """Every path that a query names, in its filter or in its pipes."""
    yield from paths_in(query.filter)
    for pipe in query.pipes:
        yield from _in_pipe(pipe)


def _in_pipe(pipe: Pipe) -> Iterator[Path]:
    match pipe:
        case Count(keys):
            yield from (key for key in keys if not isinstance(key, Bucket))
        case Stat(_, path, keys):
            yield path
            yield from (key for key in keys if not isinstance(key, Bucket))
        case Top(_, path) | Sort(Path() as path):
            yield path
        case Fields(paths) | Distinct(paths):
            yield from paths
