"""What `whence.open` gives: an archive to ask, in filters, in SQL, or for causes and effects."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whence.causality.chains import Chain, downstream, upstream
from whence.causality.graph import Follow
from whence.errors import ConfigError
from whence.event.model import Event
from whence.filter.parse import parse
from whence.filter.tree import Everything, Filter
from whence.index.correlations import Correlations
from whence.index.statistics import Statistics

if TYPE_CHECKING:
    import pyarrow as pa

    from whence.index.engine import Engine, Found


class Answers:
    """An archive to ask. Each question looks at what is there now, events being written included.

    A `filter` is text in the filter language, or its tree; None is every event.
    """

    def __init__(self, engine: "Engine") -> None:
        self.engine = engine

    def events(
        self,
        filter: str | Filter | None = None,
        *,
        limit: int | None = None,
        newest: bool = False,
        timeout: float | None = None,
    ) -> "Found":
        """The events that match, by time, as a stream; `newest`: the last ones first.

        After `timeout` seconds the stream ends, and its `partial` is true where more was to come. Raises FilterError.
        """
        return self.engine.events(self.engine.where(_tree(filter)), limit=limit, newest=newest, timeout=timeout)

    def count(self, filter: str | Filter | None = None) -> int:
        """How many events match. Raises FilterError."""
        return self.engine.count(self.engine.where(_tree(filter))).number

    def stats(
        self,
        filter: str | Filter | None = None,
        *,
        by: str = "type",
        hourly: bool = False,
        timeout: float | None = None,
    ) -> Statistics:
        """The events that match, counted by a field of theirs, or by `minute`, `hour` or `day`; how many failed, how long
        they took, from when to when. `hourly`: in each hour of the day, too.

        After `timeout` seconds those up to some moment, perhaps without durations, and `partial` is true. Raises FilterError.
        """
        from whence.index.summaries import statistics

        return statistics(self.engine, _tree(filter), by=by, hourly=hourly, timeout=timeout)

    def correlations(self, filter: str | Filter | None = None, *, limit: int | None = None) -> Correlations:
        """What happened under each correlation id of the events that match, the latest first. Raises FilterError."""
        from whence.index.summaries import correlations

        return correlations(self.engine, _tree(filter), limit=limit)

    def why(self, event_id: str, *, follow: Follow = Follow.BEST, max_hops: int | None = None) -> Chain:
        """What led to an event, from the root causes on. Raises NotFoundError."""
        with self.engine.lock:
            return upstream(self.engine.graph(), event_id, follow=follow, max_hops=max_hops)

    def effects(self, event_id: str, *, follow: Follow = Follow.BEST, max_hops: int | None = None) -> Chain:
        """What an event led to. Raises NotFoundError."""
        with self.engine.lock:
            return downstream(self.engine.graph(), event_id, follow=follow, max_hops=max_hops)

    def events_of(self, chain: Chain) -> list[Event]:
        """The events of a chain, in its order."""
        found = self.engine.load(hop.id for hop in chain.hops)
        return [found[hop.id] for hop in chain.hops]

    def arrow(self, filter: str | Filter | None = None) -> "pa.RecordBatchReader":
        """The events that match as a stream of Arrow batches, by time; maps are JSON text. Raises FilterError."""
        return self.engine.arrow(self.engine.where(_tree(filter)))

    def df(self, filter: str | Filter | None = None) -> Any:
        """The events that match as a pandas DataFrame (which needs pandas). Raises FilterError."""
        return self.arrow(filter).read_pandas()

    def sql(self, text: str) -> "pa.RecordBatchReader":
        """The answer to one SELECT over the views `events`, `spans`, `causes` and `runs`, as a stream of Arrow batches.

        `.read_all()` gives a table, `.read_pandas()` a DataFrame. Raises FilterError.
        """
        return self.engine.sql(text)


def _tree(filter: str | Filter | None) -> Filter:
    if filter is None:
        return Everything()
    return parse(filter, now=time.time_ns()) if isinstance(filter, str) else filter


def open(path: str | Path) -> Answers:
    """An archive to ask: a directory, or one file of OTLP JSON lines.

    Raises NotFoundError where there is none, ConfigError where `whence[query]` is not installed.
    """
    try:
        from whence.index.engine import Engine
    except ModuleNotFoundError as cause:
        raise ConfigError(f"cannot ask an archive without {cause.name}: pip install 'whence[query]'") from cause
    return Answers(Engine(Path(path)))
