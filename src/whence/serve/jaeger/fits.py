"""Which spans fit a search taken together with the events on them and with what their links say.

The law: what columns hold is asked of them; only of links, which no column has, are lines read, and each line once.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Any, Final

from whence.archive.reader import Archive
from whence.event.ids import span_id_of
from whence.event.model import Event
from whence.filter.match import matcher
from whence.filter.selection import joined
from whence.filter.tree import Among, Either, Filter, Path
from whence.otlp.value import plain_attributes
from whence.serve.jaeger.fields import span_of
from whence.serve.jaeger.limit import in_time
from whence.serve.jaeger.search import IS_LOG_EVENT, ON_SPAN, SPAN_EVENTS, Said, Search, says, spans_of
from whence.serve.jaeger.walk import Pair
from whence.serve.jaeger.whole import Reader, Where, spans_in

_AT_ONCE: Final = 500
"""Spans that are looked up together."""
_LINES: Final = 4_000
"""Lines of which it is kept what their links say: of most it is nothing."""
Saying = Mapping[Pair, Set[str]]
"""By span, the attributes of a search that its links say."""


class Fits:
    """Whether spans fit a search, their events and what is known of their links taken together."""

    def __init__(self, pairs_where: Callable[[Filter], set[Pair]], search: Search, said: Sequence[Said]) -> None:
        """`pairs_where`: the spans, or the spans of the events, for which a filter holds and which the caller may see."""
        self._pairs, self._base, self._said = pairs_where, spans_of(search), said

    def __call__(self, pairs: Sequence[Pair], linked: Saying | None = None, *, known: bool = False) -> list[str]:
        """The traces of those spans that fit. `known`: what the attributes ask for is said on each of them already."""
        found: list[str] = []
        for at in range(0, len(pairs), _AT_ONCE):
            in_time()
            some = pairs[at : at + _AT_ONCE]
            fitting = self._spans(some, self._base)
            for one in () if known else self._said:
                fitting &= self._saying(one, fitting, linked or {})
            found += [trace for trace, span in some if (trace, span) in fitting]
        return found

    def _spans(self, pairs: Sequence[Pair] | set[Pair], tree: Filter) -> set[Pair]:
        """Those of some spans for which a filter holds."""
        ids = tuple(span_id_of(*pair) for pair in pairs)
        return self._pairs(joined([Among(Path("id"), ids), tree])) if ids else set()

    def _saying(self, said: Said, pairs: set[Pair], linked: Saying) -> set[Pair]:
        """Those of some spans that say an attribute: themselves, or by an event or a link."""
        found = self._spans(pairs, said.on_span) | {pair for pair in pairs if said.key in linked.get(pair, ())}
        left = pairs - found
        if left and said.on_event is not None:
            on = Among(Path("span_id"), tuple(dict.fromkeys(span for _, span in left)))
            found |= self._pairs(joined([ON_SPAN, on, Either((SPAN_EVENTS, IS_LOG_EVENT)), said.on_event]))
        return found


class Links:
    """What the links in an archive's lines say, as far as it was asked for. Safe to ask from several threads."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._lock = threading.Lock()
        self._kept: OrderedDict[Where, list[tuple[Pair, Event]]] = OrderedDict()

    def said(self, places: Sequence[Where], attributes: Mapping[str, str]) -> dict[Pair, set[str]]:
        """By span in these lines, those of some attributes that its links say."""
        wanted = {key: matcher(says(key, value)) for key, value in attributes.items()}
        found: dict[Pair, set[str]] = {}
        for pair, link in self._links(places):
            said = {key for key, is_said in wanted.items() if is_said(link) is True}
            if said:
                found.setdefault(pair, set()).update(said)
        return found

    def _links(self, places: Sequence[Where]) -> Iterator[tuple[Pair, Event]]:
        """The links in these lines that have attributes, as events with just these."""
        with self._lock:
            kept = {place: self._kept[place] for place in places if place in self._kept}
            for place in kept:
                self._kept.move_to_end(place)
        reader = Reader(self._archive)
        for place in sorted(places):
            in_time()
            found = kept.get(place)
            if found is None:
                found = list(_links_in(reader.line(place) or b""))
                with self._lock:
                    self._kept[place] = found
                    while len(self._kept) > _LINES:
                        self._kept.popitem(last=False)
            yield from found


def _links_in(data: bytes) -> Iterator[tuple[Pair, Event]]:
    if b'"links"' not in data and b"\\u" not in data:
        return
    for trace, spans in spans_in(data).items():
        for _, span in spans:
            for link in span.get("links") or ():
                if said := _attributes(link):
                    yield (trace, span_of(span)), Event(id="", type="", time=0, attributes=said)


def _attributes(link: Any) -> dict[str, Any]:
    """What a link says; nothing where it is none."""
    try:
        return plain_attributes(link.get("attributes"))
    except (ValueError, TypeError, AttributeError):
        return {}
