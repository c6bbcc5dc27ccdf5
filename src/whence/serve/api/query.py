"""Queries: a filter with pipes, answered as a table, or as events where its pipes leave them what they are."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from whence.filter.parse import parse_query
from whence.filter.paths import paths_of
from whence.filter.tree import Head
from whence.index.rows import Rows, cell
from whence.serve.access.caller import Caller
from whence.serve.api.models import TableModel, json_of
from whence.serve.door import Here, Limited, Strict, answer
from whence.serve.problems import RESPONSES, Refusal

router = APIRouter(dependencies=[Strict], responses=RESPONSES, tags=["events"])


@router.get("/api/query", summary="A filter with pipes", responses=json_of(TableModel))
def query(
    *,
    here: Here,
    left: Limited,
    q: Annotated[str, Query(description="Such as `severity >= ERROR | count by agent`.")],
    limit: Annotated[int, Query(ge=0, description="At most so many rows or events.")] = 1_000,
) -> Response:
    """The answer of `whence query`: `columns` and `rows`, or `events`. Of the events the caller may see, and nothing else."""
    most = here.settings.most_events
    if limit > most:
        raise Refusal(422, f"cannot give {limit:,} rows at once: at most {most:,}; add `| head {most}`")
    asked = parse_query(q, now=here.served.clock())
    here.allows(paths_of(asked))
    tree = here.visible(asked.filter)
    if not asked.pipes:
        found = here.engine.events(here.engine.where(tree), limit=limit + 1, timeout=left)
        return _events(here, list(found), limit, lambda: found.partial)
    table = here.engine.ask(replace(asked, filter=tree, pipes=(*asked.pipes, Head(limit + 1))), timeout=left)
    if not isinstance(table, Rows):
        return _events(here, list(islice(table, limit + 1)), limit, lambda: table.partial)
    rows = list(_cells(here.caller, table))
    body = {"columns": table.names, "rows": rows[:limit], "has_more": len(rows) > limit, "partial": table.partial}
    return answer(body)


def _events(here: Here, held: list[Any], limit: int, partial: Any) -> Response:
    events = [here.shown(event) for event in held[:limit]]
    return answer({"events": events, "has_more": len(held) > limit, "partial": partial()})


def _cells(caller: Caller, table: Rows) -> Iterator[list[Any]]:
    """The rows as JSON has them, masked as the caller may see them: by the last key of a column's path, and by value."""
    mask, keys = caller.mask, [name.rpartition(".")[2].strip('"') for name in table.names]
    for row in table.rows:
        cells = [cell(value, kind) for value, kind in zip(row, table.kinds, strict=True)]
        if mask is not None:
            cells = [mask.under(key, value) for key, value in zip(keys, cells, strict=True)]
        yield cells
