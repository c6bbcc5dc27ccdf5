"""A tree gone through level by level, and a new tree of what became of it.

The law: pure. What was not changed is in the new tree as the same object; where nothing was, the new tree is the old one.
A scope that lost all its records goes, and a resource that lost all its scopes; what was empty before stays.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from whence.collect.batch import LEVELS, Batch
from whence.collect.records.draft import Draft, Json
from whence.otlp.wire import Signal

METRIC_TYPES: Final = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")


class Place:
    """A record and what is around it, each as a draft; what is further in than the place is None."""

    __slots__ = ("cache", "group", "index", "inner", "part", "record", "resource", "scope")

    def __init__(self, group: Draft, resource: Draft) -> None:
        self.group = group
        """The ResourceLogs, ResourceSpans or ResourceMetrics: it has the resource's schema URL."""
        self.resource = resource
        self.part: Draft | None = None
        self.scope: Draft | None = None
        self.record: Draft | None = None
        """A log record, span or metric."""
        self.inner: Draft | None = None
        """A span event or data point."""
        self.index = 0
        """Which one of its span's events `inner` is."""
        self.cache: dict[str, Any] = {}
        """For whoever visits: kept from visit to visit of one place."""


Look = Callable[[Place], bool]
"""Visits a place, changes the drafts it wants to, and says whether it stays."""


class Visit(NamedTuple):
    """What is done at each level; None where nothing is. From the outside in."""

    resource: Look | None = None
    scope: Look | None = None
    record: Look | None = None
    inner: Look | None = None


def rewrite(signal: Signal, tree: Json, visit: Visit) -> Json | None:
    """The tree after a visit: the same one where nothing changed, None where nothing is left.

    Drafts of a resource and scope are shared by the visits to what is in them.
    """
    resources = LEVELS[signal][0]
    before: list[Json] = tree.get(resources) or []
    after = _kept(before, lambda group: _resource(signal, group, visit))
    if after is before:
        return tree
    return {**tree, resources: after} if after else None


def _resource(signal: Signal, original: Json, visit: Visit) -> Json | None:
    scopes = LEVELS[signal][1]
    group, resource = Draft(original), Draft(original.get("resource") or {})
    place = Place(group, resource)
    if visit.resource and not visit.resource(place):
        return None
    if visit.scope or visit.record or visit.inner:
        before: list[Json] = original.get(scopes) or []
        after = _kept(before, lambda part: _scope(signal, part, place, visit))
        if after is not before:
            if not after:
                return None
            group.set(scopes, after)
    return _with(group, "resource", resource)


def _scope(signal: Signal, original: Json, around: Place, visit: Visit) -> Json | None:
    records = LEVELS[signal][2]
    part, scope = Draft(original), Draft(original.get("scope") or {})
    place = Place(around.group, around.resource)
    place.part, place.scope = part, scope
    if visit.scope and not visit.scope(place):
        return None
    if visit.record or visit.inner:
        before: list[Json] = original.get(records) or []
        after = _kept(before, lambda record: _record(signal, record, place, visit))
        if after is not before:
            if not after:
                return None
            part.set(records, after)
    return _with(part, "scope", scope)


def _record(signal: Signal, original: Json, around: Place, visit: Visit) -> Json | None:
    record = Draft(original)
    place = Place(around.group, around.resource)
    place.part, place.scope, place.record = around.part, around.scope, record
    if visit.record and not visit.record(place):
        return None
    if visit.inner and signal == "traces":
        _inside(record, "events", place, visit.inner)
    elif visit.inner and signal == "metrics" and not _points(record, place, visit.inner):
        return None
    return record.result()


def _points(metric: Draft, place: Place, look: Look) -> bool:
    """Visits the data points; whether the metric still has any, or had none."""
    kind = metric_type(metric)
    if kind is None:
        return True
    data = Draft(metric.get(kind))
    left = _inside(data, "dataPoints", place, look)
    now = data.result()
    if now is not data.original:
        metric.set(kind, now)
    return left


def _inside(holder: Draft, name: str, around: Place, look: Look) -> bool:
    """Visits the objects in a list of `holder`; whether any is left, or none was there."""
    before: list[Json] = holder.get(name) or []
    index = -1

    def one(original: Json) -> Json | None:
        nonlocal index
        index += 1
        place = Place(around.group, around.resource)
        place.part, place.scope, place.record = around.part, around.scope, around.record
        place.inner, place.index = Draft(original), index
        return place.inner.result() if look(place) else None

    after = _kept(before, one)
    if after is not before:
        holder.set(name, after or None)
    return bool(after) or not before


def metric_type(metric: Draft) -> str | None:
    """The name of the field that holds a metric's data points."""
    return next((kind for kind in METRIC_TYPES if metric.get(kind) is not None), None)


def _kept(before: list[Json], become: Callable[[Json], Json | None]) -> list[Json]:
    """What each becomes, without those that become nothing; the same list where all stay as they are."""
    after = [new for old in before if (new := become(old)) is not None]
    same = len(after) == len(before) and all(new is old for new, old in zip(after, before, strict=True))
    return before if same else after


def _with(holder: Draft, name: str, inside: Draft) -> Json:
    now = inside.result()
    if now is not inside.original:
        holder.set(name, now)
    return holder.result()


# --- counting -------------------------------------------------------------------------------------------------------------


def count(signal: Signal, tree: Json | None) -> int:
    """Log records, spans or data points in a tree."""
    if tree is None:
        return 0
    if signal != "metrics":
        return sum(len(found) for found in _lists(signal, tree))
    return sum(
        len((metric.get(kind) or {}).get("dataPoints") or ())
        for found in _lists(signal, tree)
        for metric in found
        for kind in METRIC_TYPES
    )


def _lists(signal: Signal, tree: Json) -> Iterable[list[Json]]:
    resources, scopes, records = LEVELS[signal]
    for group in tree.get(resources) or ():
        for part in group.get(scopes) or ():
            yield part.get(records) or []


def rewritten(batch: Batch, visit: Visit) -> Batch | None:
    """A batch after a visit: the very batch, bytes and all, where nothing changed; None where nothing is left.

    Raises DataError as `Batch.opened`.
    """
    opened = batch.opened()
    tree = rewrite(batch.signal, opened.tree or {}, visit)
    if tree is None:
        return None
    return batch if tree is opened.tree else opened.with_tree(tree)
