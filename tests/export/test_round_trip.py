"""Export, then import: the same events, whatever was in them."""

import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from build import an_archive, an_event
from build_examples import examples
from whence.archive.reader import Archive
from whence.cli.app import call
from whence.event.flat import from_flat
from whence.export.flat_json import write_lines
from whence.export.source import Source

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
EVENTS = st.lists(
    st.builds(
        lambda type, payload, agent, description, causes, when: an_event(
            type or "x", *causes, payload=payload, agent=agent, description=description, time=when
        ),
        TEXT,
        st.dictionaries(TEXT, PLAIN, max_size=4),
        st.none() | TEXT.filter(bool),
        st.none() | TEXT,
        st.lists(st.sampled_from(["01KDV000000000000000000001", "span:0-0"]), max_size=2, unique=True),
        st.integers(1, 2**63 - 1),
    ),
    min_size=1,
    max_size=6,
)


@examples(15)
@given(EVENTS)
def test_events_survive_jsonl_and_otlp(events: list) -> None:  # type: ignore[type-arg]
    """Flat lines by `from_flat`, OTLP lines by `whence import`: both give the events of the archive they came from."""
    with TemporaryDirectory() as place:
        root = Path(place)
        archive = Archive(an_archive(root / "a", events))
        before = list(archive.events())
        assert len(before) == len(events)
        out = io.BytesIO()
        write_lines(Source(archive), out)
        assert [from_flat(json.loads(line)) for line in out.getvalue().splitlines()] == before
        assert call(["export", str(root / "all.otlp.jsonl"), "-a", str(root / "a")]) == 0
        assert call(["import", str(root / "all.otlp.jsonl"), "-a", str(root / "b")]) == 0
        after = list(Archive(root / "b").events())
        assert sorted(after, key=lambda e: e.id) == sorted(before, key=lambda e: e.id)
