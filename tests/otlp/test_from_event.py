"""Events become OTLP records that read back as the same events."""

from hypothesis import given
from hypothesis import strategies as st

from build_examples import examples
from whence.event.ids import span_id_of
from whence.event.kinds import Severity
from whence.event.model import Event
from whence.otlp.decode import Place, decode
from whence.otlp.from_event import tree_of
from whence.otlp.to_protobuf import protobuf_of_tree

names = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=8)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | names
    | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=5,
)
hexes = st.integers(1, 2**64 - 1).map(lambda n: f"{n:016x}")
times = st.integers(1, 2**62)
shared = {
    "type": names,
    "time": times,
    "kind": st.none() | names,
    "run": st.none() | names,
    "source": st.none() | names,
    "seq": st.none() | st.integers(0, 2**62),
    "turn": st.none() | st.integers(-5, 5),
    "agent": st.none() | names,
    "task": st.none() | names,
    "stage": st.none() | names,
    "correlation": st.none() | names,
    "schema": st.none() | names,
    "caused_by": st.lists(names, max_size=3, unique=True).map(tuple),
    "payload": st.dictionaries(names, values, max_size=3),
    "attributes": st.dictionaries(names.map(lambda name: f"app.{name}"), values, max_size=3),
    "resource": st.dictionaries(names.map(lambda name: f"res.{name}"), values, max_size=2),
    "scope": st.just({}) | st.builds(lambda name: {"name": name, "version": "1"}, names),
}
logs = st.builds(
    Event,
    id=names,
    signal=st.just("log"),
    severity=st.none() | st.sampled_from(list(Severity)),
    status=st.none() | names,
    description=st.none() | names,
    trace_id=st.none() | st.just("ab" * 16),
    span_id=st.none() | hexes,
    dropped=st.integers(0, 3),
    **shared,  # type: ignore[arg-type]
)
spans = st.builds(
    lambda event, span, failed, status: _span(event, span, failed, status),
    st.builds(Event, id=st.just(""), signal=st.just("span"), **shared),  # type: ignore[arg-type]
    hexes,
    st.booleans(),
    st.sampled_from([None, "ok"]),
)


def _span(event: Event, span: str, failed: bool, status: str | None) -> Event:
    from dataclasses import replace

    trace = "cd" * 16
    return replace(
        event,
        id=span_id_of(trace, span),
        trace_id=trace,
        span_id=span,
        duration_ns=event.time % 1000,
        caused_by=(*event.caused_by, span_id_of(trace, "12" * 8)),
        severity=Severity.ERROR if failed else None,
        status="error" if failed else status,
    )


@examples(60)
@given(st.lists(logs | spans, min_size=1, max_size=4))
def test_what_is_sent_reads_back_as_it_was(events: list[Event]) -> None:
    """Every field of log events and spans, in JSON; and the same tree is good protobuf."""
    found = []
    for signal, tree in tree_of(events).items():
        decoded = decode(tree, Place("x", 0))
        assert decoded.bad == []
        found += decoded.events
        assert protobuf_of_tree(signal, tree)
    expected = {event.id: (event.run or None, event.source or event.scope.get("name")) for event in events}
    assert sorted(map(_shown, found)) == sorted(map(_shown, events))
    assert {event.id: (event.run, event.source) for event in found} == expected


def _shown(event: Event) -> str:
    from whence.event.flat import to_flat

    flat = to_flat(event)
    flat.pop("source", None)
    return repr(sorted(flat.items(), key=lambda pair: pair[0]))
