"""Errors put together with their like out of an archive's columns.

The law: the same groups as `error_groups.group_errors` makes of every error.
"""

from typing import TYPE_CHECKING, Final

from whence.event import names
from whence.filter.tree import Filter
from whence.index.asked import Asked
from whence.index.engine import Clock
from whence.index.error_groups import (
    INSTRUMENTATIONS,
    KEPT_LANES,
    OURS,
    SAYS_NOTHING,
    TRACED,
    ErrorGroup,
    ErrorGroups,
)
from whence.index.failures import FAILED

if TYPE_CHECKING:
    from whence.index.engine import Engine


def _said(column: str, key: str) -> str:
    """SQL of `error_groups.said`."""
    place = f"{column}, '/{key}'"
    nothing = ", ".join(f"'{text}'" for text in SAYS_NOTHING)
    text = (
        f"CASE json_type({place}) WHEN 'VARCHAR' THEN nullif(json_extract_string({place}), '') WHEN 'NULL' THEN NULL"
        f" WHEN 'DOUBLE' THEN CAST(CAST(json_extract_string({place}) AS DOUBLE) AS VARCHAR)"
        f" ELSE CAST(json_extract({place}) AS VARCHAR) END"
    )
    return f"(CASE WHEN json_type({place}) = 'VARCHAR' OR {text} NOT IN ({nothing}) THEN {text} END)"


_KIND: Final = f"coalesce({_said('attributes', names.EXCEPTION_TYPE)}, {_said('payload', 'error_type')})"
_TOLD: Final = (
    f"coalesce({_said('attributes', names.EXCEPTION_MESSAGE)}, {_said('attributes', names.SPAN_STATUS_MESSAGE)},"
    f" {_said('payload', 'error')}, {_said('payload', 'message')}, nullif(description, ''))"
)
_SERVICE: Final = _said("resource", names.SERVICE_NAME)
_LIBRARY: Final = f"(source = '{OURS}' OR starts_with(source, '{INSTRUMENTATIONS}'))"
_WHOSE: Final = (
    "coalesce(nullif(concat_ws('/', nullif(agent, ''), coalesce(nullif(task, ''), nullif(stage, ''))), ''),"
    f" CASE WHEN {_LIBRARY} THEN {_SERVICE} END, nullif(source, ''), {_SERVICE}, '')"
)
_ERRORS: Final = f"SELECT *, concat_ws(': ', {_KIND}, {_TOLD}) AS message FROM _all WHERE ({{where}}) AND {FAILED}"
_GROUPS: Final = (
    f"SELECT type, message, count(*), max(time), count(*) OVER () FROM ({_ERRORS}) GROUP BY type, message"
    " ORDER BY count(*) DESC, min((time, id)) LIMIT {limit}"
)
_MEMBERS: Final = (
    f"SELECT type, message, arg_min(id, (time, id), {TRACED}), arg_min(time, (time, id), {TRACED}),"
    f" list_slice(list_sort(list(DISTINCT whose)), 1, {KEPT_LANES})"
    f" FROM (SELECT *, {_WHOSE} AS whose FROM ({_ERRORS})"
    " WHERE (type, message) IN (SELECT (unnest({types}::VARCHAR[]), unnest({messages}::VARCHAR[])))) GROUP BY type, message"
)


def error_groups(engine: "Engine", tree: Filter, *, limit: int) -> ErrorGroups:
    """The errors among the events that match, like ones together; of many groups the first `limit`. Raises FilterError."""
    asked = Asked(engine, tree, Clock(None))
    rows = asked.rows(_GROUPS.replace("{limit}", str(limit)))
    if not rows:
        return ErrorGroups([], 0)
    groups = {(type, message): ErrorGroup(type, message, count, last) for type, message, count, last, _ in rows}
    place = len(asked.where.parameters)
    text = _MEMBERS.replace("{types}", f"${place + 1}").replace("{messages}", f"${place + 2}")
    for type, message, ids, times, lanes in asked.rows(text, [list(column) for column in zip(*groups, strict=True)]):
        group = groups.get((type, message))
        if group is not None:
            group.earliest, group.lanes = list(zip(times, ids, strict=True)), set(lanes)
    return ErrorGroups([group for group in groups.values() if group.earliest], rows[0][-1])
